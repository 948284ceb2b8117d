"""From a derivation to what its sandbox shows: the build contract, the input closure and the host view as plain data.

Pure apart from reading path names: the same derivation, contract, view and workspace give the same specification.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fruix.building.builders.environment import Given
from fruix.building.builders.platforms import KVM, kvm_groups, personality
from fruix.building.workspace import Workspace
from fruix.hostview import ResolvedView
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind, Exec, Identity, SandboxSpec, User
from fruix.sandbox.contracts import Contract
from fruix.sandbox.network_files import host_files
from fruix.sandbox.networks import NONE, OWN


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a build's sandbox is made from besides the derivation itself."""

    contract: Contract
    workspace: Workspace
    user: User
    inputs: tuple[
        tuple[str, StorePath], ...
    ]  # (name on the host, path as seen inside), closed under references
    view: ResolvedView | None
    store_directory: str
    network: str  # see sandbox.networks
    given: Given
    kvm: bool = False  # show the device


def sandbox_spec(derivation: Derivation, around: Surroundings) -> SandboxSpec:
    """The specification for running `derivation`'s own builder."""
    contract = around.contract
    inside = contract.build_directory(derivation.name + ".drv")
    identity = identity_for(contract, around.user, around.network)
    if around.kvm and not identity.shared:  # which keeps the groups that it has
        identity = replace(identity, groups=kvm_groups() or ())
    view_binds = around.view.binds if around.view else ()
    view_links = around.view.links if around.view else ()
    return SandboxSpec(
        id=around.workspace.name,
        root=around.workspace.root,
        identity=identity,
        binds=(*view_binds, *_own_areas(around, inside), *_inputs(around.inputs)),
        hidden=around.view.hidden if around.view else (),
        links=view_links,
        files=contract.files(identity, host_files(around.network) if around.network != NONE else None),
        hostname=contract.hostname,
        domainname=contract.domainname,
        network=around.network,
        program=Exec(
            derivation.builder,
            (derivation.builder.rpartition("/")[2], *around.given.arguments),
            around.given.variables,
            inside,
        ),
        personality=personality(derivation.system),
        devices=(KVM,) if around.kvm else (),
    )


def identity_for(contract: Contract, user: User, network: str) -> Identity:
    """Who runs; a network of its own takes a user namespace, whatever the ids in it are."""
    identity = contract.identity(user.uid, user.number)
    return replace(identity, user_namespace=True) if network in OWN else identity


def _own_areas(around: Surroundings, inside: str) -> Iterable[Bind]:
    """The build's own directories: where outputs go, and where it works (below /tmp, in one contract)."""
    yield Bind(around.workspace.store, around.store_directory, writable=True)
    yield Bind(around.workspace.tmp, "/tmp", writable=True)  # noqa: S108 - the name inside
    yield Bind(around.workspace.build, inside, writable=True)


def _inputs(inputs: Iterable[tuple[str, StorePath]]) -> Iterable[Bind]:
    return (Bind(source, str(path)) for source, path in inputs)
