"""Manual pages, made from the parsers by the library `argparse-manpage` (extra `install`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fruix import __version__
from fruix.cli.command_table import COMMANDS
from fruix.cli.parser import Parser, configured_parsers, overview
from fruix.errors import FruixError
from fruix.late import late_pattern

_SECTION = 1
# The beginning of a line of text that roff would take for a macro; the library's own macros are
# `.TH` and the like.
_TEXT = late_pattern(r"^(?='|\.(?![A-Z]{1,2}\b))", re.MULTILINE)


def pages() -> Mapping[str, str]:
    """Text by the name of the page: `fruix`, and `fruix-build` and so on.

    Raises:
        FruixError: the library is not installed.
    """
    names = {command: f"fruix-{command}" for command in COMMANDS}
    whole = _page("fruix", overview(), list(names.values()))
    commands = configured_parsers()[1]
    return {"fruix": whole, **{names[word]: _page(names[word], commands[word], ["fruix"]) for word in names}}


def file_name(page: str) -> str:
    """Where `man` looks for it, below `share/man`."""
    return f"man{_SECTION}/{page}.{_SECTION}"


def _page(name: str, parser: Parser, see_also: list[str]) -> str:
    try:
        from argparse_manpage.manpage import Manpage  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise FruixError(
            f"manual pages are made by the library argparse-manpage: no module '{error.name}'",
            hint="pip install 'fruix[install]'",
        ) from error
    page = Manpage(parser)
    page.prog = name
    page.source = f"Fruix {__version__}"
    page.manual = "Fruix"
    page.section = _SECTION
    page.description = (parser.description or "").removesuffix(".")
    words = parser.prog.split()
    page.synopsis = [parser.prog, *page.synopsis[len(words) :]]
    page.add_section("see also", ">", ", ".join(f"\\fB{other}\\fR({_SECTION})" for other in see_also))
    return _TEXT.sub(r"\\&", str(page))
