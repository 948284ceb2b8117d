"""What has to be unpacked together with some packages: all that they depend on.

Recommended and suggested packages are left out. The order of what was asked for decides between
alternatives: what is already there is taken before anything else, then the first alternative that
the archive can give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from fruix.cli.debian.index import Binary, Index, Relation
from fruix.errors import UsageError


def close(
    index: Index, wanted: Iterable[str], present: Iterable[Binary] = (), without: Collection[str] = ()
) -> list[Binary]:
    """The packages `wanted` and what they need, less those that are `present`, ordered by name.

    Args:
        index: the packages that there are.
        wanted: names of packages.
        present: packages that are there anyway, with all that they need.
        without: names of packages that are taken as being there, and left out.

    Raises:
        UsageError: nothing satisfies a dependency, or two of the packages exclude each other.
    """
    given = {binary.name: binary for binary in present}
    chosen: dict[str, Binary] = {}
    waiting: deque[tuple[Relation, ...]] = deque((Relation(name),) for name in wanted)
    asked_by = dict.fromkeys(waiting, "the list of wanted packages")
    while waiting:
        alternatives = waiting.popleft()
        have = (*given.values(), *chosen.values())
        if any(one.name in without or any(map(one.met_by, have)) for one in alternatives):
            continue
        binary = _choose(index, alternatives, asked_by[alternatives])
        chosen[binary.name] = binary
        for needed in binary.needs:
            waiting.append(needed)
            asked_by.setdefault(needed, f"package {binary.name} {binary.version}")
    _check_together([*given.values(), *chosen.values()])
    return [chosen[name] for name in sorted(chosen)]


def _choose(index: Index, alternatives: tuple[Relation, ...], asked_by: str) -> Binary:
    for relation in alternatives:
        for binary in index.satisfying(relation):
            return binary
    raise UsageError(
        f"nothing in the archive satisfies '{' | '.join(map(str, alternatives))}'",
        where=asked_by,
        hint="the suite may be in the middle of a change: try again later, or name another package",
    )


def _check_together(binaries: list[Binary]) -> None:
    there: dict[str, list[Binary]] = {}
    for binary in binaries:
        for name in {binary.name, *(given.name for given in binary.provides)}:
            there.setdefault(name, []).append(binary)
    for one in binaries:
        for relation in one.against:
            for other in there.get(relation.name, ()):
                if other is not one and relation.met_by(other):
                    raise UsageError(
                        f"{one.name} {one.version} excludes {other.name} {other.version}",
                        where=f"'{relation}' among what {one.name} conflicts with or breaks",
                        hint="ask for one of them in another variant, or for neither",
                    )
