"""A prepared builder: what runs for a derivation and what its sandbox is made from, as one frozen value.

It is made before anything of the build exists (see `prepare`), so that bad requests fail early, and
holds for all rounds of a build. The derivation's own program (`own`), the fetcher (`fetch`) and the
other builtins (`builtin`) differ in its fields alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from fruix.building.plan.goal import contract_name
from fruix.building.root_view import RootView
from fruix.dataclass import dataclass, field
from fruix.errors import BadDerivationError
from fruix.hostview import ResolvedView
from fruix.model.attributes import Attributes
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath, base_names
from fruix.sandbox import Bind, Entry, Exec
from fruix.sandbox.back_ends import current
from fruix.sandbox.contracts import CONTRACTS, Contract
from fruix.sandbox.networks import NONE

if TYPE_CHECKING:
    from fruix.building.builders.fetchurl import Download


@dataclass(frozen=True, slots=True)
class PreparedBuilder:
    """What runs, what it is shown, and where its outputs will lie.

    Attributes:
        path: the derivation's own path.
        contract: how its sandbox looks.
        program: the program of the derivation, or a function of the daemon's code.
        areas: the parts of the workspace that it may write to: (`store`, `tmp` or `build`, path
            inside), in the order of mounting.
        outputs: output name → where it will lie, below the workspace.
        inputs: (name on the host, path as seen inside), closed under references; outputs may refer
            to them.
        view: the host view that it asks for.
        root: the tree in the store that it is built in instead.
        network: how it is connected (see `sandbox.networks`).
        loopback_ports: of the host, that it may reach.
        kvm: whether it is shown the device.
        files: put into its working directory before it starts: name → contents.
        secrets: texts that it is told and that don't belong into a log.
        download: what the fetcher fetches.
        shown: what the operator shows of the host.
        host: top-level entries of the host that it sees as they are, where it has no sandbox.
        at_hand: a downloaded file with the right contents, which makes a sandbox unnecessary.
        talks: it may talk to the daemon (see `building.nested`).
        others: objects of the store that it sees besides, where it has no sandbox and talks.
    """

    path: StorePath
    derivation: Derivation
    attributes: Attributes
    contract: Contract
    program: Exec | Entry
    areas: tuple[tuple[str, str], ...]
    outputs: Mapping[str, str]
    inputs: tuple[tuple[str, StorePath], ...] = ()
    view: ResolvedView | None = None
    root: RootView | None = None
    network: str = NONE
    loopback_ports: tuple[int, ...] = ()
    personality: str = "native"
    kvm: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    download: Download | None = None
    shown: tuple[Bind, ...] = ()
    host: tuple[Bind, ...] = ()
    at_hand: str = ""
    talks: bool = False
    others: tuple[Bind, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether it is the derivation's own program."""
        return isinstance(self.program, Exec)

    @property
    def copies_outputs(self) -> bool:
        """Whether outputs are copied.

        Descriptors of them could have left a sandbox that has a network.
        """
        return self.download is not None or self.network != NONE

    @property
    def candidates(self) -> list[StorePath]:
        """Store paths that its outputs may refer to, besides themselves."""
        return [path for _, path in self.inputs]

    @property
    def lasting_points(self) -> Collection[str] | None:
        """Names of the mount points of its inputs; None if another build's directories may not serve.

        They (`kept_points`, `spare`) may not where a descriptor of one could have left the sandbox, where
        copies are put into it while it runs, and where mounts are costly: some inputs are copied there too.
        """
        if self.copies_outputs or self.talks or current().costly_mounts:
            return None
        return {*base_names(self.candidates)}


def contract_of(derivation: Derivation, default: str) -> Contract:
    """The contract that a derivation names, else its client's.

    Raises:
        BadDerivationError: there is none of that name.
    """
    name = contract_name(derivation, default)
    if name not in CONTRACTS:
        raise BadDerivationError(
            f"unknown build contract '{name}'", hint=f"known: {', '.join(sorted(CONTRACTS))}"
        )
    return CONTRACTS[name]


def outputs_in_store(derivation: Derivation) -> dict[str, str]:
    """Where outputs lie below the workspace that are made in the build's own store directory."""
    return {name: f"store/{path.base}" for name, path in derivation.output_paths.items()}
