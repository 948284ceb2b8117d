"""Other machines that builds are sent to: which one, and whether any.

A derivation may be sent if it isn't checked, repaired or built several times, if its contract isn't
Guix's (whose builders see what only this daemon shows them), and if a machine of the request builds for
its system and has what it requires. Of those that have a slot free, the one with the fewest of our
builds for its speed takes it; among equals the faster one. A build that this machine can do as well
waits for no other one: it is begun here as soon as all of those are busy; one that prefers to be built
here, or that names this machine's host view, is never sent if it needn't be.

A machine that wasn't reached isn't asked again for `REST` seconds, but for what nobody else can build.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from fruix.building.builders.platforms import check_machine
from fruix.building.builders.prepared_builder import contract_of
from fruix.building.plan.goal import contract_name
from fruix.building.settings import BuildSettings
from fruix.errors import FruixError
from fruix.model import attributes
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode
from fruix.model.derivation import Derivation
from fruix.model.hostview import VIEW_VARIABLE
from fruix.model.machines import Machine

if TYPE_CHECKING:
    from fruix.building.queue.job import Job
    from fruix.model.storepath import StorePath

REST = 60.0
_GUIX = "guix"


class Fleet:
    """Of one daemon. Not thread-safe: the scheduler has a lock."""

    def __init__(self, settings: BuildSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._resting: dict[str, float] = {}  # until when

    def suitable(self, derivation: Derivation, options: BuildOptions) -> dict[Machine, str]:
        """The machines of a request, and why each can't build a derivation (empty: it can)."""
        if not options.machines or options.mode is not BuildMode.NORMAL or options.rounds > 1:
            return {}
        if contract_name(derivation, options.contract) == _GUIX:
            return {}
        if derivation.is_impure:
            return {}  # it is made of what this machine has
        try:
            required = attributes.read(derivation).required_features
        except FruixError:
            return {}  # its build here will say what is wrong
        return {machine: machine.objection(derivation.system, required) for machine in options.machines}

    def prepare(self, job: Job) -> None:
        """Note which machines could build a job, and whether this one can."""
        found = self.suitable(job.derivation, job.options)
        job.machines = [machine for machine, objection in found.items() if not objection]
        job.objections = [f"'{machine.uri}' {why}" for machine, why in found.items() if why]
        if job.machines:
            job.fits_here, job.prefers_here = self._here(job.path, job.derivation, job.options)

    def _here(self, path: StorePath, derivation: Derivation, options: BuildOptions) -> tuple[bool, bool]:
        contract = contract_of(derivation, options.contract)
        declared = attributes.read(derivation, guix=contract.guix_attributes)
        try:
            check_machine(path, derivation, declared, contract, self._settings)
        except FruixError:
            return False, False
        return True, declared.prefer_local or VIEW_VARIABLE in derivation.env

    def may_stay(self, job: Job) -> bool:
        """Whether a job may begin on this machine now."""
        if not job.machines:
            return True
        return _allowed_here(job) and (job.prefers_here or self.choice(job) is None)

    def may_go(self, job: Job) -> bool:
        """Whether a job may begin on another one now."""
        return not (job.prefers_here and _allowed_here(job)) and self.choice(job) is not None

    def choice(self, job: Job) -> Machine | None:
        """The machine that would take a job now."""
        now = self._clock()
        awake = [machine for machine in job.machines if self._resting.get(machine.uri, now) <= now]
        if not awake and not _allowed_here(job):
            awake = job.machines
        free = [machine for machine in awake if self._running[machine.uri] < machine.max_jobs]
        return min(free, key=self._weight, default=None)

    def _weight(self, machine: Machine) -> tuple[float, float, int]:
        running = self._running[machine.uri]
        return running / machine.speed, -machine.speed, running

    def send(self, job: Job) -> None:
        """The machine of choice takes it."""
        machine = self.choice(job)
        assert machine is not None
        others = [self._described(one) for one in job.machines if one != machine]
        job.machine = machine
        job.why = "; ".join([f"sent to {self._described(machine)}", *others, *job.objections])
        self._running[machine.uri] += 1

    def keep(self, job: Job) -> None:
        """This machine takes it."""
        job.machine = None
        if job.machines or job.objections:
            wish = ["it prefers this machine"] if job.machines and job.prefers_here else []
            others = [self._described(one) for one in job.machines]
            job.why = "; ".join(["built here", *wish, *others, *job.objections])

    def _described(self, machine: Machine) -> str:
        rests = self._resting.get(machine.uri, 0.0) > self._clock()
        away = ", was not reached just now" if rests else ""
        slots = f"{self._running[machine.uri]} of {machine.max_jobs} builds"
        return f"'{machine.uri}' ({slots}, speed {machine.speed:g}{away})"

    def done(self, job: Job, *, lost: bool) -> None:
        """A job has ended, or its machine was lost and something else is to be tried."""
        if job.machine is None:
            return
        self._running[job.machine.uri] -= 1
        if lost:
            self._resting[job.machine.uri] = self._clock() + REST
            job.machines.remove(job.machine)
            job.objections.append(f"'{job.machine.uri}' was not reached")
        job.machine = None


def _allowed_here(job: Job) -> bool:
    return job.fits_here and job.is_allowed_here()
