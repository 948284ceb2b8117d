"""Variables of a build: which the build sets itself, and what values a package's own may have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

from fruix.errors import UsageError
from fruix.late import late_pattern
from fruix.model import attributes, structured
from fruix.model.hostview import CONTRACT_VARIABLE, SET_UP_VARIABLE, VIEW_HASH_VARIABLE, VIEW_VARIABLE
from fruix.model.root import LIBRARY_PATH_VARIABLE, LOADER_VARIABLE, ROOT_VARIABLE, RUNTIME_VARIABLE
from fruix.packages.check import Form, Rule, one_of
from fruix.packages.search_paths import SEARCH_PATHS
from fruix.packages.wording import shown

# Set by the daemon over whatever a derivation has, in one contract or another
# (`sandbox.contracts`), or needed as they are.
_DAEMON = frozenset({
    "NIX_BUILD_TOP", "NIX_BUILD_CORES", "NIX_STORE", "NIX_LOG_FD", "NIX_OUTPUT_CHECKED",
    "PWD", "TMPDIR", "TEMPDIR", "TMP", "TEMP",
})  # fmt: skip
# Set by the daemon where a derivation has none: a package may choose another value, but no output
# may have the name.
_DEFAULTS = frozenset({"HOME", "TERM", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH"})
# Set in every derivation of a package (`lower`), and what Nix's and Guix's own tools read there.
_DERIVATION = frozenset({
    ROOT_VARIABLE, RUNTIME_VARIABLE, LOADER_VARIABLE, LIBRARY_PATH_VARIABLE,
    VIEW_VARIABLE, VIEW_HASH_VARIABLE, CONTRACT_VARIABLE, SET_UP_VARIABLE, structured.VARIABLE,
    "pname", "version", "source", "patches", "patchFuzz",
    "inputs", "inputsPath", "nativeInputs", "nativeInputsPath",
    "name", "system", "builder", "args", "outputs", "__noChroot", "__impureHostDeps",
})  # fmt: skip
# Of the shell itself.
_SHELL = frozenset({"_", "ENV", "IFS", "LINENO", "OPTARG", "OPTIND", "PPID", "PS1", "PS2", "PS4"})
_FROM_INPUTS = frozenset(path.variable for path in SEARCH_PATHS)

SET_BY_BUILD = _DAEMON | _DERIVATION | _SHELL | _FROM_INPUTS | {*attributes.NAMES}
TAKEN = SET_BY_BUILD | _DEFAULTS

_NAME = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        raise ValueError('write "1" or ""')  # noqa: TRY004 - what `Form` asks for
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        if wrong := [item for item in value if not isinstance(item, str) or item.split() != [item]]:
            hint = "write the value as it should be, as one text"
            raise ValueError(f"{shown(wrong[0])} is not one word: {hint}")
        return " ".join(value)
    if isinstance(value, str):
        return value
    raise ValueError


VariableName = Annotated[
    str,
    Rule(
        "the name of a variable: letters, digits and _, not beginning with a digit",
        lambda name: _NAME.fullmatch(name) is not None,
        "names of variables",
    ),
]
VariableValue = Annotated[str, Form("a text, a whole number, or a list of words", _value, "texts")]
Variables = Mapping[VariableName, VariableValue]
AttributeName = Annotated[str, one_of(attributes.NAMES, "the name of an attribute of derivations")]


def check_environment(names: Iterable[str], outputs: Sequence[str], scripts: Sequence[str]) -> None:
    """Refuse variables of a package that the build sets itself.

    They would be lost, or would take the build's away.

    Args:
        names: of the package's variables.
        outputs: names of its outputs, each a variable with the output's path.
        scripts: the build system's own phases.

    Raises:
        UsageError: with the reason.
    """
    for name in names:
        if name in SET_BY_BUILD or name in outputs or name in assigned(scripts):
            what, hint = _reason(name)
            wanted = "argument 'environment' should hold variables of the package's own"
            raise UsageError(f"{wanted}, not '{name}', which is {what}", hint=hint)


def _reason(name: str) -> tuple[str, str]:
    """What a variable is that the build sets, and what to do instead of setting it."""
    if name in attributes.NAMES:
        return "an attribute of derivations", f'give it in the field declares={{"{name}": "…"}}'
    what = "a search path, made of the inputs" if name in _FROM_INPUTS else "set by the build itself"
    return what, f"a phase can change it: export {name}=…"


def check_outputs(outputs: Sequence[str], scripts: Sequence[str]) -> None:
    """Refuse outputs with the name of a variable of the build: each output is a variable too.

    Raises:
        UsageError: with the name.
    """
    for number, name in enumerate(outputs, 1):
        if name != "out" and (name in TAKEN or name in assigned(scripts)):
            raise UsageError(
                f"item {number} of field 'outputs' should be a name of its own, not '{name}'",
                hint=f"the build has a variable ${name}; usual names are out, bin, lib, dev, doc, man",
            )


def assigned(scripts: Sequence[str]) -> frozenset[str]:
    """The variables that shell scripts set, but for those that they only add to (`NAME=…$NAME…`).

    Found by a pattern that knows assignments, `for` and `read`; words that only look like one
    (`make VERBOSE=1`) are among them.
    """
    return frozenset().union(*map(_assigned, scripts))


_SETS = late_pattern(
    r"(?:^|(?<=[\s;{(|&]))(?:(?:for|read -r) +([A-Za-z_]\w*)|([A-Za-z_]\w*)=(?!=))", re.MULTILINE
)


@lru_cache(maxsize=64)
def _assigned(script: str) -> frozenset[str]:
    found: set[str] = set()
    for match in _SETS.finditer(script):
        name = match[1] or match[2]
        line = script[match.end() : script.find("\n", match.end())]
        if not re.search(rf"\$\{{?{name}\b", line):
            found.add(name)
    return frozenset(found)
