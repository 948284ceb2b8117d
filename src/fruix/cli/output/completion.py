"""Completions for shells, made from the parsers by the library `shtab` (extra `install`).

What an argument is completed by follows from its name: names of packages for `PACKAGE`, files for
`FILE`, `PATH` and the like.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from fruix.cli.command_table import COMMANDS
from fruix.cli.parser import configured_parsers
from fruix.errors import FruixError
from fruix.packages.roots.pins import shipped

# Shell → where it looks for the file, below PREFIX.
PLACES: Mapping[str, str] = {
    "bash": "share/bash-completion/completions/fruix",
    "zsh": "share/zsh/site-functions/_fruix",
    "fish": "share/fish/vendor_completions.d/fruix.fish",
}
_PACKAGES = frozenset({"PACKAGE", "A", "B"})
_FILES = frozenset({"FILE", "FILE.py", "DIR", "DIRECTORY", "DRV", "PATH", "A", "B"})
_NAMES = "fruix packages 2>/dev/null | cut -d ' ' -f 1"
_PATHS = "__fish_complete_path (commandline -ct)"
# (packages, files) → what completes them, for each shell.
_COMPLETERS: Mapping[tuple[bool, bool], Mapping[str, str]] = {
    (True, False): {"bash": "_fruix_packages", "zsh": "_fruix_packages", "fish": f"({_NAMES})"},
    (False, True): {"bash": "_fruix_files", "zsh": "_files", "fish": f"({_PATHS})"},
    (True, True): {
        "bash": "_fruix_package_or_file",
        "zsh": "_fruix_package_or_file",
        "fish": f"({_NAMES}; {_PATHS})",
    },
}
_COMMANDS = {
    "bash": "_fruix_commands",
    "zsh": "_fruix_commands",
    "fish": f"(printf '%s\\n' {' '.join(COMMANDS)})",
}
_ROOTS = {
    "bash": "_fruix_roots",
    "zsh": "_fruix_roots",
    "fish": f"({_PATHS}; printf '%s\\n' {' '.join(shipped())})",
}
# In bash, a name with `_file` in it tells shtab that directories get a slash.
_FUNCTIONS: Mapping[str, str] = {
    "bash": f"""
_fruix_packages() {{ compgen -W "$({_NAMES})" -- "$1"; }}
_fruix_files() {{ compgen -f -- "$1"; }}
_fruix_package_or_file() {{ _fruix_packages "$1"; _fruix_files "$1"; }}
_fruix_commands() {{ compgen -W "{" ".join(COMMANDS)}" -- "$1"; }}
_fruix_roots() {{ compgen -W "{" ".join(shipped())}" -- "$1"; _fruix_files "$1"; }}
""",
    "zsh": f"""
_fruix_packages() {{ local -a names; names=(${{(f)"$({_NAMES})"}}); compadd -a names; }}
_fruix_package_or_file() {{ _alternative 'packages:package:_fruix_packages' 'files:file:_files'; }}
_fruix_commands() {{ compadd {" ".join(COMMANDS)}; }}
_fruix_roots() {{ compadd {" ".join(shipped())}; _files; }}
""",
    "fish": "",
}


def completion(shell: str) -> str:
    """The file for a shell of `PLACES`.

    Raises:
        FruixError: the library is not installed.
    """
    try:
        import shtab  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise FruixError(
            f"completions are made by the library shtab: no module '{error.name}'",
            hint="pip install 'fruix[install]'",
        ) from error
    parser, _ = configured_parsers()
    for owner, action in _arguments(parser):
        completer = _completer(owner, action)
        if completer:
            action.complete = completer  # type: ignore[attr-defined]  # where shtab looks
    return str(shtab.complete(parser, shell, preamble=_FUNCTIONS[shell]))


def _completer(owner: str, action: argparse.Action) -> Mapping[str, str] | None:
    if (owner, action.dest) == ("fruix help", "words"):
        return _COMMANDS
    if owner.startswith("fruix root ") and action.dest in {"root", "old", "new"}:
        return _ROOTS
    if action.choices is not None or action.nargs == 0:
        return None
    words = set(str(action.metavar or action.dest.upper()).split("|"))
    return _COMPLETERS.get((bool(words & _PACKAGES), bool(words & _FILES)))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """The arguments of all commands, each with the command that takes it."""
    for action in parser._actions:  # noqa: SLF001 - there is no other way to them
        if action.nargs == argparse.PARSER and isinstance(action.choices, dict):
            for below in action.choices.values():
                yield from _arguments(below)
        else:
            yield parser.prog, action
