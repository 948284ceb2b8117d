"""What a build system makes of a package: the arguments that it takes, and the recipe that comes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from fruix.dataclass import dataclass, field
from fruix.errors import UsageError
from fruix.late import late_pattern
from fruix.packages.check import Rule, wrong
from fruix.packages.phases import Phases
from fruix.packages.variables import Variables
from fruix.packages.wording import in_a_line

# What phases are made from: (name, script) in order.
Items = list[tuple[str, str]]
Flags = tuple[str, ...]
# Two extended regular expressions: of lines that tell of a test passed, and of one failed.
Patterns = Annotated[
    tuple[str, ...],
    Rule("two patterns, of tests passed and of tests failed", lambda patterns: len(patterns) in {0, 2}),
]
InsidePath = Annotated[
    str,
    Rule(
        "a path inside of the source or the output",
        lambda path: path != "" and not path.startswith("/") and ".." not in path.split("/"),
        "paths",
    ),
]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The builder's phases, and variables for its environment."""

    phases: Phases
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arguments:
    """Arguments of every build system: variables for the builder's environment."""

    environment: Variables = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StandardArguments(Arguments):
    """Arguments of build systems with tests and phases of their own.

    Attributes:
        tests: whether the phase `check` is there.
        phases: a function from the standard phases to the package's.
    """

    tests: bool = True
    count_tests: Patterns = ()
    phases: Callable[[Phases], Phases] = lambda phases: phases


# The same everywhere, so that no build depends on the day, the place or the language of whoever
# runs it. ZIP archives (wheels, JARs) hold no date before 1980: 1980-01-02, so that it is one in
# every zone.
FIXED_ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C", "SOURCE_DATE_EPOCH": "315619200", "TZ": "UTC"}


def changed(standard: Phases, arguments: Arguments) -> Phases:
    """The standard phases, without `check` if tests are off, after the package's own changes.

    Raises:
        UsageError: the package's function gives something else than phases, or asks for what is not
            there.
    """
    if not isinstance(arguments, StandardArguments):
        return standard
    if not arguments.tests and "check" in standard.names:
        standard = standard.remove("check")
    try:
        phases: object = arguments.phases(standard)
    except UsageError as error:
        raise UsageError(f"argument 'phases': {error.message}", hint=error.hint) from error
    except Exception as error:  # a function of the user's may raise anything
        raise UsageError(f"argument 'phases': {in_a_line(error)}") from error
    if not isinstance(phases, Phases):
        hint = "for example lambda phases: phases.remove('configure'); a `def` needs a `return`"
        raise wrong("argument 'phases'", "a function that returns Phases", phases, hint)
    return phases


def quoted(flag: str) -> str:
    """One word of the shell, in double quotes: variables such as `$out` are put in.

    `$$` is a dollar, as in Make and `string.Template`.
    """
    return '"' + "".join(_QUOTED.get(part, part) for part in _SPECIAL.split(flag)) + '"'


_QUOTED = {"\\": "\\\\", '"': '\\"', "`": "\\`", "$$": "\\$"}
_SPECIAL = late_pattern(r'(\\|"|`|\$\$)')
