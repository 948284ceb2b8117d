"""What can run in a build's sandbox: the derivation's own builder, or the built-in fetcher. One interface for both.

A program is prepared before anything global exists (so that bad requests fail early), gives the sandbox
specification, and says afterwards where its results lie and which store paths may be referred to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from fruix.building.builders import fetchurl
from fruix.building.builders.environment import Circumstances, Given, given
from fruix.building.builders.platforms import check_features, check_machine, wants_kvm
from fruix.building.builders.references_graph import graph_files, graph_objects
from fruix.building.builders.sandbox_spec import Surroundings, identity_for, sandbox_spec
from fruix.building.builders.undelivered import others, read_report, wrong_contents
from fruix.building.failures import FailedError, mismatch
from fruix.building.outputs.checks import check_words
from fruix.building.plan.goals import contract_name
from fruix.building.plan.input_closure import present_inputs
from fruix.building.record.log import BuildLog
from fruix.building.resources import Resources
from fruix.building.run.state import Attempt
from fruix.building.workspace import Workspace, put_files
from fruix.errors import BadDerivationError, IsolationUnavailableError
from fruix.hostview import ResolvedView
from fruix.model.attributes import read as read_attributes
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.reasons import reason
from fruix.model.secrets import secrets_in
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind, Entry, SandboxSpec, User
from fruix.sandbox.back_ends import current
from fruix.sandbox.contracts import CONTRACTS, Contract
from fruix.sandbox.network_choice import choose
from fruix.sandbox.network_files import CERTIFICATES, host_files
from fruix.sandbox.networks import NONE, SETTING
from fruix.store.tree.interruption import check_interrupt

# Where sandboxes have something of their own, besides the store and the build directory.
_TAKEN = ("/dev", "/etc", "/proc", "/tmp")  # noqa: S108 - names inside


class Program(Protocol):
    """What a build's life needs to know of what it runs."""

    @property
    def networked(self) -> bool:
        """Whether descriptors could have got out: then outputs are copied."""

    @property
    def candidates(self) -> list[StorePath]:
        """Store paths that its outputs may refer to, besides themselves."""

    @property
    def shown(self) -> ResolvedView | None:
        """What the latest `spec` shows of the host's own tools, if it shows any."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that it is told and that don't belong into a log."""

    def spec(self, area: Workspace, user: User) -> SandboxSpec:
        """The sandbox to run it in."""

    def done_without_sandbox(self, area: Workspace, uid: int, log: BuildLog) -> bool:
        """Whether its work could be done without running anything (a source that is at hand)."""

    def results(self, area: Workspace) -> Mapping[str, str]:
        """Output name → where it lies on the host."""

    def why_failed(self, area: Workspace) -> FailedError | None:
        """What it left word of, if it has failed and says more than by its exit code."""


def contract_of(derivation: Derivation, default: str) -> Contract:
    """The contract that a derivation names, else its dialect's."""
    name = contract_name(derivation, default)
    if name not in CONTRACTS:
        raise BadDerivationError(
            f"unknown build contract '{name}'", hint=f"known: {', '.join(sorted(CONTRACTS))}"
        )
    return CONTRACTS[name]


def given_to_builder(
    attempt: Attempt, contract: Contract, inputs: list[StorePath], with_: Resources
) -> Given:
    """What the derivation's own builder is started with."""
    job, attributes, options = attempt.job, attempt.attributes, attempt.job.options
    around = Circumstances(
        store=with_.store.directory,
        cores=options.cores if options.cores is not None else with_.settings.cores,
        directory=contract.build_directory(job.derivation.name + ".drv"),
        passed={name: os.environ[name] for name in with_.settings.impure_variables if name in os.environ},
    )
    plain = attributes.structured is None
    guix = contract.guix_attributes
    files = graph_files(with_.store, job.path, attributes, inputs, guix=guix) if plain else {}
    objects = {} if plain else graph_objects(with_.store, job.path, attributes, inputs)
    return given(job.derivation, attributes, contract, around, graph_files=files, graph_objects=objects)


@dataclass(slots=True)
class OwnBuilder:
    """The derivation's builder: sealed, unless its output is fixed. Then it may have the network (see `sandbox.networks`)."""

    derivation: Derivation
    contract: Contract
    view: ResolvedView | None
    inputs: list[StorePath]
    given: Given
    resources: Resources
    attempt: Attempt
    network: str
    shown: ResolvedView | None = None

    @property
    def networked(self) -> bool:
        """Whether descriptors could have got out: then outputs are copied."""
        return self.network != NONE

    @property
    def candidates(self) -> list[StorePath]:
        """Paths that an output may refer to."""
        return self.inputs

    @classmethod
    def prepare(cls, attempt: Attempt, with_: Resources) -> OwnBuilder:
        """Check the contract, what is declared, the view and the inputs."""
        job, settings = attempt.job, with_.settings
        derivation = job.derivation
        contract = contract_of(derivation, job.options.contract)
        attributes = attempt.attributes = read_attributes(derivation, guix=contract.guix_attributes)
        check_machine(job.path, derivation, attributes, contract, settings)
        check_words(job.path, derivation, attributes)
        view = with_.views.for_derivation(derivation, attributes)
        inputs = present_inputs(with_.store, job.path, derivation)
        network = choose(settings.fixed_output_network) if derivation.is_fixed else NONE
        attempt.view = view.view if view else None
        attempt.inputs = len(inputs)
        what = given_to_builder(attempt, contract, inputs, with_)
        return cls(derivation, contract, view, inputs, what, with_, attempt, network)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Of the daemon's variables."""
        return self.given.secrets

    def spec(self, area: Workspace, user: User) -> SandboxSpec:
        """By contract."""
        store = self.resources.store
        self.shown = self._shown(area)
        around = Surroundings(
            contract=self.contract,
            workspace=area,
            user=user,
            inputs=tuple((store.real(path), path) for path in self.inputs),
            view=self.shown,
            store_directory=store.directory,
            network=self.network,
            given=self.given,
            kvm=wants_kvm(self.attempt.attributes, self.contract, self.resources.settings),
        )
        return sandbox_spec(self.derivation, around)

    def _shown(self, area: Workspace) -> ResolvedView | None:
        if self.view is None or not current().costly_mounts:
            return self.view
        build = self.contract.build_directory(self.derivation.name + ".drv")
        taken = (*_TAKEN, build, self.resources.store.directory)
        return self.resources.prepared.use(self.view, area.base, taken)

    def done_without_sandbox(self, area: Workspace, uid: int, log: BuildLog) -> bool:  # noqa: ARG002
        """Never; but its files are put in place."""
        put_files(area, self.given.files, uid)
        return False

    def results(self, area: Workspace) -> dict[str, str]:
        """Outputs lie in the build's own store directory."""
        outputs = self.derivation.outputs
        return {name: f"{area.store}/{output.path.base}" for name, output in outputs.items() if output.path}

    def why_failed(self, area: Workspace) -> FailedError | None:  # noqa: ARG002
        """Nothing: what a builder says is its log."""
        return None


@dataclass(slots=True)
class Fetching:
    """A download in a sandbox of its own: the network, nothing of the store, one writable directory.

    `at_hand` is an already downloaded file with the right contents; then there is no sandbox.
    """

    download: fetchurl.Download
    resources: Resources
    attempt: Attempt
    network: str
    at_hand: str | None
    shown: None = None

    @property
    def networked(self) -> bool:
        """Always; what is at hand is copied all the same."""
        return True

    @property
    def candidates(self) -> list[StorePath]:
        """None: a fetched file refers to nothing."""
        return []

    @classmethod
    def prepare(cls, attempt: Attempt, with_: Resources) -> Fetching:
        """Check what is asked for and declared; resolve mirrors; look among the files at hand.

        Raises:
            FruixError: it is not declared as it should be, no URL of it can be asked, or there is no network for it.
        """
        job = attempt.job
        guix = contract_of(job.derivation, job.options.contract).guix_attributes
        attempt.attributes = read_attributes(job.derivation, guix=guix)
        check_features(job.path, attempt.attributes, with_.settings)
        download = fetchurl.read_request(job.derivation, with_.settings.mirrors, with_.store.real)
        at_hand = fetchurl.local_copy(download, with_.settings)
        if not at_hand:
            fetchurl.check_request(download, with_.settings)
        network = NONE if at_hand else choose(with_.settings.fixed_output_network)
        if network == NONE and not at_hand:
            raise IsolationUnavailableError(
                "downloads are switched off",
                hint=f"put the file into one of the 'sources' directories, or change the setting '{SETTING}'",
            )
        return cls(download, with_, attempt, network, at_hand)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Passwords of proxies."""
        return secrets_in(fetchurl.proxies().values())

    def spec(self, area: Workspace, user: User) -> SandboxSpec:
        """The code is already in the process."""
        contract = CONTRACTS["fruix"]
        identity = identity_for(contract, user, self.network)
        files = contract.files(identity, host_files(self.network))
        ca_file = next((file.path for file in files if file.path.endswith(CERTIFICATES)), "")
        return SandboxSpec(
            id=area.name,
            root=area.root,
            identity=identity,
            binds=(Bind(area.build, "/build", writable=True),),
            files=files,
            hostname=contract.hostname,
            domainname=contract.domainname,
            network=self.network,
            program=Entry(
                "fruix.building.builders.download:main",
                fetchurl.entry_arguments(self.download, "/build", self.resources.settings, ca_file),
            ),
        )

    def done_without_sandbox(self, area: Workspace, uid: int, log: BuildLog) -> bool:
        """Take the file from the operator's source directories if it is there."""
        if self.at_hand is None:
            return False
        self.attempt.source = self.at_hand
        log.note(f"taken from {self.at_hand}")
        _copy_for(uid, self.at_hand, f"{area.build}/{fetchurl.OUTPUT_NAME}")
        return True

    def results(self, area: Workspace) -> dict[str, str]:
        """The one file."""
        return {"out": f"{area.build}/{fetchurl.OUTPUT_NAME}"}

    def why_failed(self, area: Workspace) -> FailedError | None:
        """Which URLs did not deliver, and why; other contents than declared go before a server that has none."""
        found = read_report(f"{area.build}/{fetchurl.REPORT_NAME}")
        if not found:
            return None
        path, derivation = self.attempt.job.path, self.attempt.job.derivation
        if wrong := wrong_contents(found, self.download.hash):
            url, got = wrong
            return mismatch(path, derivation, "out", self.download.hash, got, url)
        first = found[0]
        why = reason("download", url=first.url, text=first.why, others=others(found, first.url))
        return FailedError(path, why, status=BuildStatus.TRANSIENT_FAILURE)


def _copy_for(uid: int, source: str, destination: str) -> None:
    """Copy a file's bytes; the result belongs to the build user, as if it had been fetched."""
    descriptor = os.open(
        destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
    )
    with open(source, "rb") as file, os.fdopen(descriptor, "wb") as copy:
        while chunk := file.read(1 << 20):
            check_interrupt()
            copy.write(chunk)
        os.fchown(copy.fileno(), uid, uid)
