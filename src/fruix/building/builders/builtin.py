"""The sandbox of a builder of our own that needs no network: its inputs, a store directory for its output, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fruix.building.builders.buildenv import read_members
from fruix.building.builders.platforms import check_features
from fruix.building.failures import FailedError
from fruix.building.outputs.checks import check_words
from fruix.building.plan.input_closure import present_inputs
from fruix.building.record.log import BuildLog
from fruix.building.resources import Resources
from fruix.building.run.state import Attempt
from fruix.building.workspace import Workspace
from fruix.errors import BadDerivationError
from fruix.model.attributes import read as read_attributes
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind, Entry, SandboxSpec, User
from fruix.sandbox.contracts import CONTRACTS


def _profile(derivation: Derivation) -> dict[str, Any]:
    members = read_members(derivation.env.get("derivations", ""))
    return {
        "members": [[member.priority, member.path] for member in members],
        "manifest": derivation.env.get("manifest", ""),
    }


def _channel(derivation: Derivation) -> dict[str, Any]:
    source, name = (derivation.env.get(variable, "") for variable in ("src", "channelName"))
    if not source or not name or "/" in name or name in {".", ".."}:
        raise BadDerivationError(
            "builtin:unpack-channel needs the variables 'src' and 'channelName' (a plain name)",
            where=derivation.name,
        )
    return {"source": source, "name": name}


# Builder → the function that runs in the sandbox, and what reads its arguments.
BUILDERS: Mapping[str, tuple[str, Callable[[Derivation], dict[str, Any]]]] = {
    "builtin:buildenv": ("fruix.building.builders.buildenv:main", _profile),
    "builtin:unpack-channel": ("fruix.building.builders.unpack_channel:main", _channel),
}


@dataclass(slots=True)
class Builtin:
    """A `Program` (see `build.programs`)."""

    derivation: Derivation
    entry: Entry
    inputs: list[StorePath]
    resources: Resources
    networked: bool = False
    shown: None = None
    secrets: tuple[str, ...] = ()

    @property
    def candidates(self) -> list[StorePath]:
        """Paths that its output may refer to."""
        return self.inputs

    @classmethod
    def prepare(cls, attempt: Attempt, with_: Resources) -> Builtin:
        """Check what it is asked for."""
        job = attempt.job
        derivation = job.derivation
        out = derivation.output_paths.get("out")
        if out is None or len(derivation.outputs) != 1:
            raise BadDerivationError(f"'{derivation.builder}' makes one output, 'out'", where=derivation.name)
        attributes = attempt.attributes = read_attributes(derivation)
        check_features(job.path, attributes, with_.settings)
        check_words(job.path, derivation, attributes)
        function, read = BUILDERS[derivation.builder]
        inputs = present_inputs(with_.store, job.path, derivation)
        attempt.inputs = len(inputs)
        return cls(derivation, Entry(function, {"out": str(out), **read(derivation)}), inputs, with_)

    def spec(self, area: Workspace, user: User) -> SandboxSpec:
        """The code is already in the process."""
        contract, store = CONTRACTS["fruix"], self.resources.store
        identity = contract.identity(user.uid, user.number)
        return SandboxSpec(
            id=area.name,
            root=area.root,
            identity=identity,
            binds=(
                Bind(area.store, store.directory, writable=True),
                *(Bind(store.real(path), str(path)) for path in self.inputs),
            ),
            files=contract.files(identity),
            hostname=contract.hostname,
            domainname=contract.domainname,
            program=self.entry,
        )

    def done_without_sandbox(self, area: Workspace, uid: int, log: BuildLog) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def results(self, area: Workspace) -> dict[str, str]:
        """Its output lies in the build's own store directory."""
        return {name: f"{area.store}/{path.base}" for name, path in self.derivation.output_paths.items()}

    def why_failed(self, area: Workspace) -> FailedError | None:  # noqa: ARG002
        """Nothing: it says that on its log."""
        return None
