"""What collections of garbage are asked for, what they tell meanwhile, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fruix.dataclass import dataclass
from fruix.model.storepath import StorePath


@dataclass(frozen=True, slots=True)
class Keep:
    """What keeps paths alive besides references.

    Attributes:
        outputs: a live derivation keeps its outputs.
        derivations: a live output keeps the derivation that it was built from.
    """

    outputs: bool = False
    derivations: bool = True


@dataclass(frozen=True, slots=True)
class Goal:
    """When a collection has freed enough; None: not before everything dead is gone.

    Attributes:
        max_freed: so many bytes have been freed.
        min_free: so many bytes are free on the store's file system.
        older_than: roots and old generations count no more, and are removed, if they have not been
            made or used since this moment (seconds since the epoch).
        dry_run: delete nothing, remove nothing.
    """

    max_freed: int | None = None
    min_free: int | None = None
    older_than: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """A garbage collection root: the link (or a word in braces) and what it keeps."""

    link: str
    target: StorePath

    @property
    def is_link(self) -> bool:
        """Whether it is a link, and not what a session or a process uses."""
        return not self.link.startswith(("{", "/proc/"))


@dataclass(frozen=True, slots=True)
class LiveStep:
    """A path that is alive.

    `how`: as a `root`, or as what the path of the step before has as a `reference`, as its `deriver`
    or as an `output`.
    """

    path: StorePath
    how: str


@dataclass(frozen=True, slots=True)
class WhyLive:
    """The shortest way from a root to a path that it keeps alive; no steps: nothing does.

    `root` as of `Root.link`.
    """

    root: str = ""
    steps: tuple[LiveStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Collected:
    """How a collection ended.

    Attributes:
        live: valid paths that something keeps alive.
        deleted: paths and unregistered objects that were deleted (or would be).
        freed: bytes of files whose last link went (of a dry run: sizes of archives).
        foreign: names in the store directory that are no store objects, and were left alone.
    """

    live: int = 0
    deleted: int = 0
    freed: int = 0
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RootNote:
    """A link among the roots that was removed (`stale`) or could not be looked at (`unreadable`)."""

    what: str
    link: str
    target: str


@dataclass(frozen=True, slots=True)
class Marked:
    """The roots are found, and what is alive: so many valid paths of so many."""

    live: int
    total: int


@dataclass(frozen=True, slots=True)
class Step:
    """Paths that are gone from the store, and how many bytes have been freed so far."""

    paths: Sequence[str]
    freed: int


@dataclass(frozen=True, slots=True)
class UnusedLinks:
    """All that was to be deleted is; now links go that deduplication made to files that are gone."""

    freed: int


@dataclass(frozen=True, slots=True)
class LinksSave:
    """How many bytes the links of deduplication save that are left at the end."""

    size: int


GarbageEvent = RootNote | Marked | Step | UnusedLinks | LinksSave

Report = Callable[[GarbageEvent], None]
"""Told of what happens, on the thread that collects."""
