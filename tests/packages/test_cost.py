"""What lowering costs, in calls of Python's functions, which no load of the machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import FrameType

from fruix.model.hostview import HostView
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Package
from packages.test_definitions import FakeStore

# For a package with three inputs; 313 and 549 while each annotation was looked through for each value, and
# each derivation was written anew for each of its hashes.
MOST_TO_DEFINE, MOST_TO_LOWER = 80, 185
_NUMBERS = count()


def calls(work: Callable[[], object]) -> int:
    counted = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted


def define(many: int) -> list[Package]:
    number = next(_NUMBERS)
    made: list[Package] = []
    for index in range(many):
        inputs = dict.fromkeys(made[index // step] for step in (2, 3, 5)) if index else {}
        made.append(Package(f"p{number}-{index}", "1", "trivial", None, {"script": ":"}, tuple(inputs)))
    return made


def lower(packages: list[Package]) -> None:
    work = Lowering(FakeStore(), LoweringContext("x86_64-linux", lambda name: HostView(name, "f" * 64)))  # type: ignore[arg-type]
    for package in packages:
        work.lowered(package)


def growth(work: Callable[[int], Callable[[], object]]) -> float:
    """Calls for one of many more."""
    work(20)()  # what is done once
    few, many = calls(work(50)), calls(work(150))
    return (many - few) / 100


def test_defining_a_package() -> None:
    assert growth(lambda many: lambda: define(many)) <= MOST_TO_DEFINE


def test_lowering_a_package() -> None:
    def of(many: int) -> Callable[[], object]:
        packages = define(many)
        return lambda: lower(packages)

    assert growth(of) <= MOST_TO_LOWER
