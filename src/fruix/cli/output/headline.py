"""The line before a build; imports next to nothing (see `cli.output.plan`)."""

from __future__ import annotations

from fruix.model.estimate import MADE, estimate

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

NAMED = 3  # how many are named where there are more


def about(seconds: float) -> str:
    """A rough duration: `1 s`, `50 s`, `6 min`, `2 h 10 min`."""
    if seconds < 55:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def chained(every: Iterable[str]) -> str:
    """`a → b → c`; a long one with its ends only."""
    names = list(every)
    if len(names) > NAMED:
        names = [names[0], "…", names[-1]]
    return " → ".join(names)


def counted(builds: Sequence[Any], jobs: int, problems: Sequence[str], name_of: Callable[[Any], str]) -> str:
    """`12 to build, 31 to fetch, about 6 min, longest path a → b`.

    `builds` have the attributes of `PlannedBuild`; `name_of` gives the short names of derivations.
    """
    if not builds:
        return "nothing to be done" if problems else "nothing to be done: everything is valid"
    made = sum(row.kind in MADE for row in builds)
    counts = ((made, "build"), (len(builds) - made, "fetch"))
    parts = [f"{count} to {verb}" for count, verb in counts if count]
    guess = estimate(builds, jobs)
    if guess.seconds:
        unknown = f" and {guess.unknown} never done here" if guess.unknown else ""
        parts.append(f"about {about(guess.seconds)}{unknown}")
    if len(guess.path) > 1:
        parts.append(f"longest path {chained(map(name_of, guess.path))}")
    return ", ".join(parts)
