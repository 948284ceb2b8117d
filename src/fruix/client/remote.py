"""`RemoteStore`: the daemon's store, with the interface of a local one, and its builders.

Connecting costs a round trip and about 2 ms. Not for several threads at once: connect once per
thread.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fruix.client.exchange import OnEvent
from fruix.client.garbage import RemoteGarbage
from fruix.dataclass import replace
from fruix.model.activity import ActiveBuild
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Event, Message
from fruix.model.finding import Finding, FindingKind
from fruix.model.hostview import HostView, Sighting
from fruix.model.planned import BuildPlan, Missing, PlannedBuild
from fruix.model.storepath import DEFAULT_STORE, StorePath
from fruix.protocol import nix
from fruix.protocol.common_operations import (
    ClearFailedPaths,
    DescribeHostView,
    OptimiseStore,
    QueryFailedPaths,
    SetOptions,
    VerifyStore,
)
from fruix.protocol.options import ANY_JOBS, NIX_DEFAULT_VERBOSITY, ClientOptions
from fruix.protocol.own_operations import CheckStore
from fruix.protocol.wire import FEATURE

if TYPE_CHECKING:
    from fruix.model.build_options import BuildOptions


class RemoteStore(RemoteGarbage):
    """A connection to a daemon: its store and its builders."""

    def __init__(
        self, stream: socket.socket, directory: str = DEFAULT_STORE, *, where: str = "daemon"
    ) -> None:
        """Take over a connected socket and greet; see `Exchange`."""
        super().__init__(stream, directory, where=where)
        self._options = ClientOptions(verbosity=NIX_DEFAULT_VERBOSITY)

    def listen_to(self, alarm: int | None) -> None:
        """Have waits for the daemon end when a descriptor becomes readable, as one does by signals."""
        self._exchange.alarm = alarm

    def missing(self, requests: Iterable[DerivedPath]) -> Missing:
        """What building `requests` would do."""
        return self._call(nix.QueryMissing(tuple(requests)))

    def build(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Make `requests` valid.

        Args:
            requests: store paths, or derivations with the outputs wanted.
            options: how (default: as the daemon is set).
            on_event: called for everything that happens meanwhile.

        Returns:
            One result per request, in order; failures are results too.
        """
        self._set_options(self._chosen(options))
        mode = BuildMode.NORMAL if options is None else options.mode
        return list(self._call(nix.BuildPathsWithResults(tuple(requests), mode), on_event=on_event))

    def build_derivation(
        self,
        drv: StorePath,
        derivation: Derivation,
        options: BuildOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> BuildResult:
        """Build a derivation that need not be in the daemon's store; what it needs has to be.

        `derivation` has no derivations among its inputs, but their outputs among its sources.

        Raises:
            NotPermittedError: the daemon doesn't trust this user, and the contents aren't declared.
        """
        self._set_options(self._chosen(options))
        return self._call(nix.BuildDerivation(drv, derivation, BuildMode.NORMAL), on_event=on_event)

    def _chosen(self, options: BuildOptions | None) -> ClientOptions:
        chosen = client_options(options)
        if FEATURE not in self._exchange.context.features and chosen.max_jobs == ANY_JOBS:
            # A daemon that isn't Fruix's knows no bound but the client's.
            chosen = replace(chosen, max_jobs=os.cpu_count() or 1)
        return chosen

    def verify(
        self, *, contents: bool, repair: bool = False, on_event: OnEvent | None = None
    ) -> Collection[Finding]:
        """Have the daemon check its store.

        Args:
            contents: read and hash every path too.
            repair: build again what is damaged (for trusted users).
            on_event: told of what happens.

        Returns:
            What is wrong (with `repair`: still is). A daemon that isn't Fruix's tells that as events;
            here is only whether there was anything.
        """
        if FEATURE in self._exchange.context.features:
            return self._call(CheckStore(contents, repair), on_event=on_event)
        is_bad = self._call(VerifyStore(contents, repair), on_event=on_event)
        return (Finding(FindingKind.ELSEWHERE),) if is_bad else ()

    def optimise(self, on_event: OnEvent | None = None) -> None:
        """Have the daemon make equal files of its store one; what that saved is told as a message."""
        self._call(OptimiseStore(), on_event=on_event)

    def failures(self) -> list[StorePath]:
        """Outputs of builds that are remembered to have failed for good."""
        return list(self._call(QueryFailedPaths()))

    def clear_failures(self, paths: Iterable[StorePath] | None) -> None:
        """Forget that they failed; None: all of them."""
        self._call(ClearFailedPaths(("*",) if paths is None else tuple(map(str, paths))))

    def host_view(self, name: str) -> HostView:
        """A host view of the daemon's machine as it is now, or, by its fingerprint, one that it had.

        Raises:
            HostViewChangedError: something of it is being changed just now.
            HostViewError: it offers none of that name, and never had that fingerprint; or that view
                lacks something.
            ProtocolError: it is no fruix daemon.
        """
        return self.call_own("has no host views", nix.QueryHostView(name))

    def described_host_view(self, name: str) -> str:
        """A host view of the daemon's machine in Scheme data (see `model.view_scheme`).

        Raises:
            HostViewError: it offers none of that name, or the view lacks something.
            ProtocolError: it is no fruix daemon.
        """
        return self.call_own("has no host views", DescribeHostView(name))

    def host_views(self) -> Mapping[str, Sequence[Sighting]]:
        """Return the views that the daemon's machine offers.

        With each come the fingerprints that it was seen to have, oldest first.
        """
        return self.call_own("has no host views", nix.QueryHostViews())

    def active_builds(self) -> list[ActiveBuild]:
        """The builds of all clients that run or wait, oldest first.

        Raises:
            ProtocolError: it is no fruix daemon.
        """
        return list(self.call_own("can't list builds", nix.QueryActiveBuilds()))

    def plan(self, requests: Iterable[DerivedPath], mode: BuildMode = BuildMode.NORMAL) -> BuildPlan:
        """Return what building `requests` would do; a fruix daemon adds reasons and usual durations."""
        wanted = tuple(requests)
        if FEATURE in self._exchange.context.features:
            return self._call(nix.QueryPlan(wanted, mode))
        missing = self.missing(wanted)
        problems = tuple(f"path '{path}' can't be had" for path in sorted(missing.unknown))
        builds = (PlannedBuild(drv, missing=self._lacking(drv)) for drv in sorted(missing.will_build))
        return BuildPlan(tuple(builds), problems=problems)

    def _lacking(self, drv: StorePath) -> tuple[str, ...]:
        outputs = self.derivation_outputs(drv)
        valid = self.valid_paths(outputs.values())
        return tuple(name for name, path in sorted(outputs.items()) if path not in valid)

    def enter(
        self,
        drv: StorePath,
        terminal: str,
        command: Sequence[str],
        on_open: Callable[[int, str], None],
        *,
        fresh: bool = False,
    ) -> int:
        """Run a shell in the sandbox of a derivation whose inputs are valid.

        Returns its exit status, 128 and more for signals.

        Args:
            drv: the derivation.
            terminal: the kind of terminal (TERM) that it is shown on.
            command: what to run instead of an interactive shell.
            fresh: new directories, also where a failed build's are kept.
            on_open: given the outer end of the sandbox's terminal, which it has to close, and a
                line about what runs; the shell is ended when this returns.

        Raises:
            NotPermittedError: the daemon doesn't trust this user.
        """
        descriptors: list[int] = []

        def on_event(event: Event) -> None:
            if isinstance(event, Message) and descriptors:
                on_open(descriptors.pop(), event.text)

        try:
            return self.call_own(
                "can't be entered",
                nix.EnterSandbox(drv, terminal, tuple(command), fresh),
                on_event=on_event,
                descriptors=descriptors,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _set_options(self, options: ClientOptions) -> None:
        if options != self._options:
            self._call(SetOptions(options))
            self._options = options


def client_options(options: BuildOptions | None) -> ClientOptions:
    """As the wire has them. What is None stays unsaid, so that the daemon's own setting holds."""
    if options is None:
        return ClientOptions(verbosity=NIX_DEFAULT_VERBOSITY)
    numbers = {
        "cores": options.cores,
        "timeout": options.timeout,
        "max-silent-time": options.max_silent_time,
        "max-build-log-size": options.max_log_size,
        "build-repeat": options.rounds - 1 if options.rounds > 1 else None,
    }
    overrides = {name: str(number) for name, number in numbers.items() if number is not None}
    if options.machines is not None:
        overrides["builders"] = "\n".join(machine.text for machine in options.machines)
    if options.machines_substitute:
        overrides["builders-use-substitutes"] = "true"
    return ClientOptions(
        keep_failed=options.keep_failed,
        keep_going=options.keep_going,
        max_jobs=ANY_JOBS if options.max_jobs is None else options.max_jobs,
        verbosity=NIX_DEFAULT_VERBOSITY,
        fallback=options.substitutes.fallback is True,
        overrides=overrides,
    )
