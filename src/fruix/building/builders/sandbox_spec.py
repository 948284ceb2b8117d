"""From a prepared builder to the specification of its sandbox.

The one place where builds' specifications are made.

Pure apart from reading path names: the same builder and parameters give the same specification.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain

from fruix.building.builders.platforms import KVM, kvm_groups
from fruix.building.builders.prepared_builder import PreparedBuilder
from fruix.building.limits import Limits
from fruix.building.resources import Resources
from fruix.building.workspace import Workspace
from fruix.dataclass import dataclass, field, replace
from fruix.hostview import ResolvedView
from fruix.sandbox import Bind, Entry, Exec, File, Identity, SandboxSpec, User
from fruix.sandbox.back_ends import current
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.network_files import host_files
from fruix.sandbox.networks import NONE, OWN

# Where sandboxes have something of their own, besides the store and the build directory.
BUILD = "/build"
_TAKEN = ("/dev", "/etc", "/proc", "/tmp")  # noqa: S108 - names inside


@dataclass(frozen=True, slots=True)
class SandboxParams:
    """What a sandbox is made from besides its builder.

    Attributes:
        workspace: the build's directories.
        user: who runs it.
        view: what is shown of the host (see `shown_view`).
        limits: what the kernel enforces of them.
        program: run in the builder's place.
        files: shown besides those of the contract.
        terminal: its log is a terminal (see `SandboxSpec`).
    """

    workspace: Workspace
    user: User
    view: ResolvedView | None = None
    limits: Limits = field(default_factory=Limits)
    program: Exec | None = None
    files: tuple[File, ...] = ()
    terminal: bool = False


def sandbox_spec(builder: PreparedBuilder, params: SandboxParams) -> SandboxSpec:
    """The specification for running `builder`."""
    contract, area, view = builder.contract, params.workspace, builder.root or params.view
    identity = _identity(builder, params.user)
    connected = host_files(builder.network) if builder.network != NONE else None
    files = () if builder.host else contract.files(identity, connected)
    taken = {*chain.from_iterable(map(_upwards, files))}
    return SandboxSpec(
        id=area.name,
        root=area.root,
        identity=identity,
        program=params.program or builder.program,
        binds=(
            *builder.host,
            *builder.shown,
            *(bind for bind in (view.binds if view else ()) if bind.target not in taken),
            *_areas(builder, area),
            *_inputs(builder),
            *builder.others,
        ),
        hidden=view.hidden if view else (),
        links=tuple(link for link in (view.links if view else ()) if link.path not in taken),
        files=(*files, *params.files),
        hostname=contract.hostname,
        domainname=contract.domainname,
        network=builder.network,
        loopback_ports=builder.loopback_ports,
        limits=params.limits.resources,
        personality=builder.personality,
        devices=(KVM,) if builder.kvm else (),
        memory_max=params.limits.max_memory,
        pids_max=params.limits.processes_at_most,
        terminal=params.terminal,
        # Where the builder has the daemon's own ids, nothing but the seal keeps it from the root.
        sealed_root=contract.sealed_root or identity.shared,
    )


def entry_spec(
    workspace: Workspace, user: User, program: Entry, network: str, binds: tuple[Bind, ...], limits: Limits
) -> SandboxSpec:
    """The specification for a function of the daemon's code that belongs to no derivation.

    It can write to the workspace's `build`, seen as `BUILD`, and read what is bound.
    """
    contract = CONTRACTS["fruix"]
    identity = contract.identity(user.uid, user.number)
    if network in OWN:
        identity = replace(identity, user_namespace=True)
    connected = host_files(network) if network != NONE else None
    return SandboxSpec(
        id=workspace.name,
        root=workspace.root,
        identity=identity,
        program=program,
        binds=(Bind(workspace.build, BUILD, writable=True), *binds),
        files=contract.files(identity, connected),
        hostname=contract.hostname,
        domainname=contract.domainname,
        network=network,
        limits=limits.resources,
        memory_max=limits.max_memory,
        pids_max=limits.processes_at_most,
    )


def shown_view(builder: PreparedBuilder, area: Workspace, resources: Resources) -> ResolvedView | None:
    """What is shown of the host.

    The view itself, or the copy of it that is used where mounts are costly (made if need be).
    """
    if builder.view is None or not current().costly_mounts:
        return builder.view
    taken = (*_TAKEN, *(inside for _, inside in builder.areas))
    return resources.prepared.use(builder.view, area.base, taken)


def _identity(builder: PreparedBuilder, user: User) -> Identity:
    """Who runs; a network of its own takes a user namespace, whatever the ids in it are."""
    identity = builder.contract.identity(user.uid, user.number)
    if builder.network in OWN:
        identity = replace(identity, user_namespace=True)
    if builder.kvm and not identity.shared:  # which keeps the groups that it has
        identity = replace(identity, groups=kvm_groups() or ())
    return identity


def _upwards(file: File) -> Iterator[str]:
    """A file's path and those of the directories above it."""
    path = file.path
    while path != "/":
        yield path
        path = os.path.dirname(path)


def _areas(builder: PreparedBuilder, area: Workspace) -> Iterable[Bind]:
    return (Bind(f"{area.base}/{part}", inside, writable=True) for part, inside in builder.areas)


def _inputs(builder: PreparedBuilder) -> Iterable[Bind]:
    return [Bind(source, path.text) for source, path in builder.inputs]
