"""What the modes of a build do: make what is missing, check what is there, or repair it.

One class each, behind one interface.

A mode's rules say whether there is anything to do, compare the results of several rounds, and
decide what becomes of the outputs when the build has succeeded. Outputs are staged until then, so
nothing is visible or registered before they have agreed; what they do not keep is dropped by its
caller (`run.build`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from fruix import failpoints
from fruix.building.failures import FailedError
from fruix.dataclass import dataclass, field, replace
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
class OutputSet:
    """Which outputs, in which store.

    `keep`: whether a result that differs is kept (`suffix`: of its name) for people to look at.

    What comparisons find is gathered in `differences`.
    """

    store: LocalStore
    drv: StorePath
    paths: Sequence[StorePath]
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
        """The output of a round isn't what it was in the round before.

        The later one is kept at its own name, if that is free.
        """
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


class ModeRules(Protocol):
    """What `run.build` asks of a mode."""

    name: str
    outputs: OutputSet

    def nothing_to_do(self) -> bool:
        """Whether the build can be left out. The outputs are locked.

        Raises:
            FailedError: it can't even be tried.
        """

    def finish(self, staged: list[Staged]) -> list[PathInfo]:
        """Use the outputs of the last round. The infos of all outputs.

        Raises:
            FailedError: they are not what they should be.
        """


@dataclass(slots=True)
class NormalRules:
    """Make the outputs that are missing valid; those that are valid stay as they are.

    Outputs that have become valid since the build was asked for are the result of another build,
    perhaps under the rules of another world: `accept` is asked whether they are what this one could
    have made.
    """

    outputs: OutputSet
    accept: Callable[[], None]
    remembered: (
        Callable[[], bool] | None
    )  # whether a failure that is remembered counts; None: none are remembered
    name: str = "build"

    def nothing_to_do(self) -> bool:
        """Whether all are valid; leftovers of unregistered ones are deleted.

        Raises:
            FailedError: the failure of one is remembered, or valid ones break a rule of this build.
        """
        store, paths = self.outputs.store, self.outputs.paths
        missing = [path for path in paths if not store.is_valid(path)]
        if missing and self.remembered and (failed := store.failures.among(missing)) and self.remembered():
            raise FailedError(
                self.outputs.drv,
                reason("cached", path=str(failed[0])),
                hint=f"to try again: fruix store failures --clear {failed[0]}",
            )
        for path in missing:
            store.delete_unregistered(path)
        if not missing:
            self.accept()
        return not missing

    def finish(self, staged: list[Staged]) -> list[PathInfo]:
        """Give the new outputs their final names, and register all of them or none."""
        store = self.outputs.store
        names = [output.info.path for output in staged]
        with store.lock_paths(sorted({*names}.difference(self.outputs.paths))):
            for path in names:
                store.add_temp_root(path)
            return self._publish([self._judged(output) for output in staged])

    def _judged(self, output: Staged) -> Staged:
        """The output, with whether its name is taken now."""
        path = output.info.path
        if not output.valid and path in self.outputs.paths:
            return output  # it was locked before: nobody else has made it valid
        return replace(output, valid=self.outputs.store.is_valid(path))

    def _publish(self, staged: list[Staged]) -> list[PathInfo]:
        store = self.outputs.store
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
class CheckRules:
    """Compare with what is valid; change nothing."""

    outputs: OutputSet
    name: str = "check"

    def nothing_to_do(self) -> bool:
        """Never; but there must be something to compare with."""
        if not all(self.outputs.store.is_there(path) for path in self.outputs.paths):
            raise FailedError(
                self.outputs.drv, reason("missing-outputs"), hint="build it without checking first"
            )
        return False

    def finish(self, staged: list[Staged]) -> list[PathInfo]:
        """All outputs are compared before the first difference is told."""
        store, found = self.outputs.store, []
        for output in staged:
            info = store.path_info(output.info.path)
            if info is None:  # its contents give it another name now
                found.append(_differs("check-differs", output.info.path, ""))
            elif info.nar_hash != output.info.nar_hash:
                found.append(self.outputs.checked(output))
            else:
                store.remove_result(output.info.path, self.outputs.suffix)  # of an earlier check
        if found:
            raise FailedError(self.outputs.drv, found[0], hint="compare the two, and see the log")
        return [output.info for output in staged]


@dataclass(slots=True)
class RepairRules:
    """Put fresh outputs where damaged or missing ones are; whole ones stay as they are."""

    outputs: OutputSet
    emit_note: Callable[[Reason], None]
    damaged: list[StorePath] = field(default_factory=list)
    name: str = "repair"

    def nothing_to_do(self) -> bool:
        """Reads and hashes every output anew."""
        store = self.outputs.store
        self.damaged = [path for path in self.outputs.paths if not store.is_whole(path)]
        for path in filter(store.is_valid, self.damaged):
            self.emit_note(reason("corrupted", path=str(path)))
        return not self.damaged

    def finish(self, staged: list[Staged]) -> list[PathInfo]:
        """Swap. A result that differs from what was registered is registered anew.

        What it was is lost.
        """
        store, made = self.outputs.store, {output.info.path for output in staged}
        lost = sorted(path for path in set(self.damaged) - made if store.is_valid(path))
        if lost:  # their contents give them other names now
            raise FailedError(self.outputs.drv, reason("irreparable", path=str(lost[0])))
        with store.lock_paths(sorted(made.difference(self.outputs.paths))):
            for output in staged:
                if output.info.path in self.damaged or not store.is_valid(output.info.path):
                    store.add_temp_root(output.info.path)
                    with store.replacing(output.info):
                        failpoints.reach("replace")
                        info = output.replace()
                        failpoints.reach("register-again")
                        store.register([info])
        infos = (store.path_info(output.info.path) for output in staged)
        return [info for info in infos if info is not None]


def compare_rounds(outputs: OutputSet, previous: list[Staged], latest: list[Staged]) -> None:
    """Compare the outputs of two rounds; the older ones are kept if they differ.

    Raises:
        FailedError: they differ.
    """
    found = []
    for old, new in zip(previous, latest, strict=True):
        if (old.info.nar_hash, old.info.references) != (new.info.nar_hash, new.info.references):
            found.append(outputs.repeated(old, new))
    if found:
        raise FailedError(outputs.drv, found[0])


def rules_of(
    mode: BuildMode,
    outputs: OutputSet,
    emit_note: Callable[[Reason], None],
    accept: Callable[[], None],
    remembered: Callable[[], bool] | None,
) -> ModeRules:
    """The rules of a mode of the protocol.

    `emit_note` tells the clients at once; `accept` raises `FailedError` if valid outputs break a
    rule of this build; `remembered`: see `NormalRules`.
    """
    match mode:
        case BuildMode.CHECK:
            return CheckRules(outputs)
        case BuildMode.REPAIR:
            return RepairRules(outputs, emit_note)
        case _:
            return NormalRules(outputs, accept, remembered)
