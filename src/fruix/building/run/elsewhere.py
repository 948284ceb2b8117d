"""A build on another machine: what it needs goes there, its log comes as it is written, then its outputs.

They are staged like those of a builder here: hashed while they are written, compared with what the
other machine says and with what the derivation declares, and registered all together or not at all.
Its word on what they refer to is taken, as the operator's choice of machines implies. Outputs that
their contents name have the names that these give, whatever it says.

Nothing is left of one that fails: the connection is closed, which ends the build there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from fruix.building.connect import Elsewhere
from fruix.building.failures import FailedError
from fruix.building.outputs.modes import ModeRules
from fruix.building.outputs.stage import drop
from fruix.building.plan.goal import contract_name
from fruix.building.record.log import BuildLog
from fruix.building.resources import Resources
from fruix.building.run.outcome import conclude
from fruix.building.run.state import RunState
from fruix.dataclass import replace
from fruix.errors import DisconnectedError, FruixError, ImportMismatchError, ProtocolError
from fruix.model.buildresult import BuildStatus
from fruix.model.contentaddress import ContentAddress, parse_output_method
from fruix.model.events import BuildStarted, Event, LogLine, Message, PhaseStarted, Progress
from fruix.model.machines import Machine
from fruix.model.pathinfo import PathInfo
from fruix.model.reason_rows import OTHER
from fruix.model.reasons import Reason, reason
from fruix.model.resolving import without_scratch_paths
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.objects.content_hashes import addressed_path
from fruix.store.outputs.staged import Staged
from fruix.store.tree.interruption import interruptible

_OWN = "fruix"
_WARNING = 1
_LOST = (DisconnectedError, ProtocolError)


class LostError(FruixError):
    """The machine can't be used, which has been told; the build is to be tried elsewhere."""


def build_elsewhere(
    state: RunState, machine: Machine, mode: ModeRules, log: BuildLog, resources: Resources
) -> None:
    """Have a machine build, and take its outputs.

    Raises:
        FailedError: it failed, as the machine says, or had to be ended.
        LostError: the machine was not reached, or has gone and the build may be tried elsewhere.
    """
    run = _Run(state, machine, log)
    staged: dict[str, Staged] = {}
    state.begin_round(1)
    try:
        with (
            interruptible(run.why_stop),
            resources.connect(machine, resources.store.directory, state.job.waker, run.why_stop) as there,
        ):
            made = run.build(there, resources.store)
            for name in sorted(state.job.derivation.outputs):
                staged[name] = run.take(there, resources.store, name, made)
            conclude(state, mode, staged)
    except FailedError:
        raise
    except FruixError as error:
        if isinstance(error, _LOST) or not run.begun:
            raise run.lost(error) from error
        raise
    finally:
        drop([*staged.values()])


class _Run:
    """One of them."""

    def __init__(self, state: RunState, machine: Machine, log: BuildLog) -> None:
        self._state = state
        self._machine = machine
        self._log = log
        self.begun = self._builds = False

    def why_stop(self) -> FruixError | None:
        """As of a builder here; silence counts while the other machine builds."""
        job = self._state.job
        if job.cancelled:
            return FailedError(job.path, reason("cancelled"))
        why = self._state.allowance.passed(self._log.size if self._builds else None)
        return FailedError(job.path, why) if why is not None else None

    def lost(self, error: FruixError) -> FruixError:
        """What comes of losing the machine: nothing is lost before it began."""
        job = self._state.job
        text = f"can't build on '{self._machine.uri}': {error}"
        if self.begun and job.wanted(lambda options: options.substitutes.fallback is True) is None:
            status, hint = BuildStatus.TRANSIENT_FAILURE, "with '--fallback' it is tried elsewhere"
            return FailedError(job.path, reason(OTHER, text=text), status=status, hint=hint)
        job.emit(Message(_WARNING, f"warning: {text}"))
        return LostError(text)

    def build(self, there: Elsewhere, store: LocalStore) -> Mapping[str, StorePath]:
        """From the inputs to the end of the builder; where the outputs are there."""
        job, derivation = self._state.job, self._state.job.derivation
        contract = contract_name(derivation, job.options.contract)
        if contract == _OWN and not there.is_own:
            raise FruixError(f"its daemon isn't Fruix's, which the contract '{contract}' asks for")
        inputs = list(derivation.input_srcs)
        for drv, names in derivation.input_drvs.items():
            outputs = store.derivation_outputs(drv)
            inputs += [outputs[name] for name in names]
        inputs = sorted(set(inputs))
        there.send(store, inputs, substitute=bool(job.options.machines_substitute))
        self._announce()
        self.begun = self._builds = True
        self._state.allowance.heard()
        sent = without_scratch_paths(derivation) if derivation.is_floating else derivation
        sent = replace(sent, input_drvs={}, input_srcs=tuple(inputs))
        result = there.build_derivation(job.path, sent, on_event=self._hear)
        self._builds = False
        if not result.success:
            raise FailedError(job.path, self._as_it_says(result.message), status=result.status)
        return result.outputs if derivation.is_floating else derivation.output_paths

    def _announce(self) -> None:
        job = self._state.job
        job.emit(
            BuildStarted(
                job.path,
                job.derivation.name,
                self._state.facts.log_file,
                time=round(time.time(), 3),
                purpose=self._state.mode,
                outputs={name: str(path) for name, path in job.derivation.output_paths.items()},
                system=job.derivation.system,
                machine=self._machine.uri,
                why=job.why,
            )
        )

    def _hear(self, event: Event) -> None:
        match event:
            case LogLine():
                self._log.note(event.line)
                self._state.allowance.heard()
            case PhaseStarted():
                self._state.begin_phase(event.phase)
            case Progress():
                self._state.emit_progress(event.done, event.total, event.what)
            case Message():
                self._state.job.emit(event)

    def take(self, there: Elsewhere, store: LocalStore, name: str, made: Mapping[str, StorePath]) -> Staged:
        """One output, staged. `made`: where they are there.

        Raises:
            FailedError: it isn't there, or isn't what is said of it.
        """
        job = self._state.job
        path = made.get(name)
        info = there.path_info(path) if path is not None else None
        if path is None or info is None:
            raise FailedError(job.path, reason("no-output", output=name, path=str(path or "")))
        address = self._address(name, info)
        info = replace(info, deriver=job.path, ultimate=False, content_address=address)
        try:
            return store.stage_nar(info, there.nar(path))
        except ImportMismatchError as error:
            raise FailedError(job.path, self._as_it_says(str(error))) from error

    def _address(self, name: str, info: PathInfo) -> ContentAddress | None:
        """What an output has to hold, as far as that is known before it comes.

        Raises:
            FailedError: its name isn't the one that such contents give.
        """
        derivation = self._state.job.derivation
        output, said = derivation.outputs[name], info.content_address
        if derivation.is_fixed:
            return output.content_address
        if not derivation.is_floating:
            return said
        wanted = parse_output_method(output.method_algorithm)
        assert output.path is not None  # the scratch path
        if (
            said is None
            or (said.method, said.hash.algorithm) != wanted
            or info.path.name != output.path.name
            or info.path != addressed_path(said, info)
        ):
            text = f"'{info.path}' is not named by what it holds"
            raise FailedError(self._state.job.path, self._as_it_says(text))
        return said

    def _as_it_says(self, text: str) -> Reason:
        return reason(OTHER, text=f"on '{self._machine.uri}': {text}")
