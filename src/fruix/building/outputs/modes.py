"""What a build is for: making what is missing, checking what is there, or repairing it. One class each, behind one interface.

A purpose says whether there is anything to do, compares the results of several rounds, and decides what becomes of the outputs when the build
has succeeded. Outputs are staged until then, so nothing is visible or registered before a purpose has agreed; what it does not
keep is dropped by its caller (`build.life`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fruix import failpoints
from fruix.building.failures import FailedError
from fruix.model.buildresult import BuildMode
from fruix.model.pathinfo import PathInfo
from fruix.model.reasons import Reason, reason
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.outputs.staged import Staged
from fruix.store.tree.compare import Difference

# How many places in which two results differ are told.
SHOWN = 100


@dataclass(slots=True)
class Subject:
    """Which outputs, in which store; `keep`: whether a result that differs is kept (`suffix`: of its name) for people to look at.

    What comparisons find is gathered in `differences`.
    """

    store: LocalStore
    drv: StorePath
    outputs: Sequence[StorePath]
    keep: Callable[[], bool]
    suffix: str
    differences: list[Compared] = field(default_factory=list)

    def checked(self, output: Staged) -> Reason:
        """A fresh output isn't what the valid one is: the reason that it gives."""
        path, places = output.info.path, output.differences(SHOWN)
        kept = self._kept(output)
        self.differences.append(Compared(path, str(path), kept, places))
        return _differs("check-differs", path, kept)

    def repeated(self, old: Staged, new: Staged) -> Reason:
        """The output of a round isn't what it was in the round before. The later one is kept at its own name, if that is free."""
        path, places = new.info.path, new.differences_from(old, SHOWN)
        kept = self._kept(old)
        if kept and not new.valid:
            self.store.keep_result(new, "")
        self.differences.append(Compared(path, kept, str(path) if kept else "", places))
        return _differs("round-differs", path, kept)

    def _kept(self, output: Staged) -> str:
        return self.store.keep_result(output, self.suffix) if self.keep() else ""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two results of `path` that differ at `places`; where they lie ("": not kept)."""

    path: StorePath
    first: str
    second: str
    places: list[Difference]


def _differs(kind: str, path: StorePath, kept: str) -> Reason:
    return reason(f"{kind}-kept" if kept else kind, path=str(path), kept=kept)


class Purpose(Protocol):
    """What a build's life asks."""

    name: str
    subject: Subject

    def nothing_to_do(self) -> bool:
        """Whether the build can be left out. The outputs are locked.

        Raises:
            FailedError: it can't even be tried.
        """

    def conclude(self, staged: list[Staged]) -> list[PathInfo]:
        """Use the outputs of the last round. The infos of all outputs.

        Raises:
            FailedError: they are not what they should be.
        """


@dataclass(slots=True)
class Building:
    """Make the outputs that are missing valid; those that are valid stay as they are.

    Outputs that have become valid since the build was asked for are the result of another build, perhaps under the rules of another
    world: `accept` is asked whether they are what this one could have made.
    """

    subject: Subject
    accept: Callable[[], None]
    remembered: (
        Callable[[], bool] | None
    )  # whether a failure that is remembered counts; None: none are remembered
    name: str = "build"

    def nothing_to_do(self) -> bool:
        """All valid, or known to fail."""
        store, outputs = self.subject.store, self.subject.outputs
        missing = [path for path in outputs if not store.is_valid(path)]
        if missing and self.remembered and (failed := store.failures.among(missing)) and self.remembered():
            raise FailedError(
                self.subject.drv,
                reason("cached", path=str(failed[0])),
                hint=f"to try again: fruix store failures --clear {failed[0]}",
            )
        for path in missing:
            store.delete_unregistered(path)
        if not missing:
            self.accept()
        return not missing

    def conclude(self, staged: list[Staged]) -> list[PathInfo]:
        """Publish and register."""
        store = self.subject.store
        published: list[PathInfo] = []
        try:
            for output in staged:
                if not output.valid:
                    failpoints.reach("publish-next" if published else "publish")
                    published.append(output.publish())
            failpoints.reach("register")
            store.register(published)
        except BaseException:
            for info in published:
                if not store.is_valid(info.path):
                    store.delete_unregistered(info.path)
            raise
        if self.remembered:
            store.failures.clear([info.path for info in published])
        return [output.info for output in staged]


@dataclass(slots=True)
class Checking:
    """Compare with what is valid; change nothing."""

    subject: Subject
    name: str = "check"

    def nothing_to_do(self) -> bool:
        """Never; but there must be something to compare with."""
        if not all(self.subject.store.is_there(path) for path in self.subject.outputs):
            raise FailedError(
                self.subject.drv, reason("missing-outputs"), hint="build it without checking first"
            )
        return False

    def conclude(self, staged: list[Staged]) -> list[PathInfo]:
        """All outputs are compared before the first difference is told."""
        store, found = self.subject.store, []
        for output in staged:
            info = store.path_info(output.info.path)
            if info is not None and info.nar_hash != output.info.nar_hash:
                found.append(self.subject.checked(output))
            else:
                store.remove_result(output.info.path, self.subject.suffix)  # of an earlier check
        if found:
            raise FailedError(self.subject.drv, found[0], hint="compare the two, and see the log")
        return [output.info for output in staged]


@dataclass(slots=True)
class Repairing:
    """Put fresh outputs where damaged or missing ones are; whole ones stay as they are."""

    subject: Subject
    tell: Callable[[Reason], None]
    damaged: list[StorePath] = field(default_factory=list)
    name: str = "repair"

    def nothing_to_do(self) -> bool:
        """Reads and hashes every output anew."""
        store = self.subject.store
        self.damaged = [path for path in self.subject.outputs if not store.is_whole(path)]
        for path in self.damaged:
            self.tell(reason("corrupted", path=str(path)))
        return not self.damaged

    def conclude(self, staged: list[Staged]) -> list[PathInfo]:
        """Swap. A result that differs from what was registered is registered anew: what it was is lost."""
        store = self.subject.store
        for output in staged:
            if output.info.path in self.damaged:
                failpoints.reach("replace")
                info = output.replace()
                failpoints.reach("register-again")
                store.register_again([info])
        infos = (store.path_info(path) for path in self.subject.outputs)
        return [info for info in infos if info is not None]


def compare_rounds(subject: Subject, previous: list[Staged], latest: list[Staged]) -> None:
    """Compare the outputs of two rounds; the older ones are kept if they differ.

    Raises:
        FailedError: they differ.
    """
    found = []
    for old, new in zip(previous, latest, strict=True):
        if (old.info.nar_hash, old.info.references) != (new.info.nar_hash, new.info.references):
            found.append(subject.repeated(old, new))
    if found:
        raise FailedError(subject.drv, found[0])


def purpose_of(
    mode: BuildMode,
    subject: Subject,
    tell: Callable[[Reason], None],
    accept: Callable[[], None],
    remembered: Callable[[], bool] | None,
) -> Purpose:
    """The purpose of a build in a mode of the protocol.

    `tell` is told of what people should know at once; `accept` raises `FailedError` if valid outputs break a rule of this build; `remembered`:
    see `Building`.
    """
    match mode:
        case BuildMode.CHECK:
            return Checking(subject)
        case BuildMode.REPAIR:
            return Repairing(subject, tell)
        case _:
            return Building(subject, accept, remembered)
