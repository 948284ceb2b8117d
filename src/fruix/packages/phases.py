"""The phases of a builder: named pieces of POSIX shell, in order. A value; every change gives a new one.

phases.replace("check", "./run-tests").insert_after("install", "man", "cp x.1 $out/share/man/man1")
"""

from __future__ import annotations

from typing import Annotated, Self

from fruix.dataclass import dataclass
from fruix.errors import UsageError
from fruix.late import late_pattern
from fruix.model.nearest import nearest
from fruix.packages import check
from fruix.packages.wording import shown

_NAME = late_pattern(r"[a-z][a-z0-9-]*")
PhaseName = Annotated[
    str,
    check.Rule(
        "the name of a phase: lower-case letters, digits and dashes",
        lambda name: _NAME.fullmatch(name) is not None,
        "names of phases",
    ),
]


@dataclass(frozen=True, slots=True)
class Phases:
    """(name, script) in order; names are unique: lower-case letters, digits and dashes.

    Methods that name a phase which is not there raise `UsageError` with the nearest name.
    """

    items: tuple[tuple[PhaseName, str], ...] = ()

    def __post_init__(self) -> None:
        check.read_fields(self)
        names = self.names
        if len(set(names)) != len(names):
            raise UsageError(f"a phase is there twice: {', '.join(names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the phases, in order."""
        return tuple(name for name, _ in self.items)

    def replace(self, name: str, script: str) -> Self:
        """These phases with another script for one of them."""
        at = self._index(name)
        return type(self)((*self.items[:at], _item(name, script), *self.items[at + 1 :]))

    def insert_before(self, name: str, new: str, script: str) -> Self:
        """These phases with a new one before one that is there."""
        at = self._index(name)
        return type(self)((*self.items[:at], _item(new, script), *self.items[at:]))

    def insert_after(self, name: str, new: str, script: str) -> Self:
        """These phases with a new one after one that is there."""
        at = self._index(name)
        return type(self)((*self.items[: at + 1], _item(new, script), *self.items[at + 1 :]))

    def remove(self, name: str) -> Self:
        """These phases without one of them."""
        at = self._index(name)
        return type(self)((*self.items[:at], *self.items[at + 1 :]))

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise UsageError(f"there is no phase '{name}'", hint=nearest(name, self.names))
        return self.names.index(name)


def _item(name: str, script: str) -> tuple[str, str]:
    return name, check.read(script, str, f"the script of phase {shown(name)}")


def script(phases: Phases) -> str:
    """The builder: a POSIX shell script that runs the phases and says so in its log.

    It reads `SET_UP` of `build_systems.shared_phases` first. Each phase is a function, called as a
    plain command so that `set -e` holds inside; a line `@ fruix phase NAME` comes before it, and a
    line beginning with `$ ` before each of its commands (`set -x`).
    """
    functions = "".join(
        f"\nphase_{_function(name)}() {{\nset -x\n{text.strip()}\n}}\n" for name, text in phases.items
    )
    calls = "".join(
        f"{{ begin_phase {name}; }} 2>/dev/null\nphase_{_function(name)}\n" for name in phases.names
    )
    return f"{_HEAD}{functions}\n{calls}{{ set +x; }} 2>/dev/null\n"


_HEAD = """set -eu
. "$setUp"
trap '{ say_failure $?; } 2>/dev/null' EXIT
"""


def _function(name: str) -> str:
    return name.replace("-", "_")
