"""A daemon in this process: the real server, sessions and store, with a builder that only pretends."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fruix.building.builder import ANY, Builder
from fruix.building.sandbox_shell import ShellRequest
from fruix.client import RemoteStore
from fruix.daemon.build_half import BuildHalf
from fruix.daemon.keyring import Keyring
from fruix.daemon.listening import listen
from fruix.daemon.server import Server
from fruix.daemon.service import Service
from fruix.daemon.settings import Settings
from fruix.errors import HostViewError
from fruix.model.activity import ActiveBuild
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildFinished, BuildStarted, Event, LogLine, PhaseStarted
from fruix.model.hostview import HostPackage, HostView, Sighting
from fruix.model.planned import BuildPlan, Missing, PlannedBuild
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.sandbox import Exit
from fruix.store import Layout, Limits, LocalStore
from fruix.store.deduplication.rules import Rules
from fruix.substitutes.substituter import Found, Offer


@dataclass
class FakeBuilder(Builder):
    """Tells of a build and returns `results`; with `wait` set it waits to be cancelled."""

    results: dict[StorePath, BuildResult] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    wait: bool = False
    started: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    seen: list[BuildOptions] = field(default_factory=list)
    rows: list[ActiveBuild] = field(default_factory=list)
    offers: dict[StorePath, Offer] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drained: threading.Event = field(default_factory=threading.Event)
    given: Mapping[StorePath, Derivation] = field(default_factory=dict)

    def realise(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions,
        on_event: Callable[[Event], None],
        cancelled: threading.Event,
        given: Mapping[StorePath, Derivation] | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        self.given = given or {}
        self.seen.append(options)
        for event in self.events:
            on_event(event)
        on_wait()
        self.started.set()
        if self.wait and cancelled.wait(60):
            self.cancelled.set()
        default = BuildResult(BuildStatus.ALREADY_VALID)
        return [(request, self.results.get(request.path, default)) for request in requests]

    @override
    def substitutable(self, paths: Collection[StorePath], options: BuildOptions = ANY) -> Found:
        return Found({path: self.offers[path] for path in paths if path in self.offers}, self.notes)

    @override
    def missing(self, requests: Iterable[DerivedPath], options: BuildOptions = ANY) -> Missing:
        return Missing(will_build=tuple(request.path for request in requests))

    @override
    def planned(self, requests: Iterable[DerivedPath], options: BuildOptions = ANY) -> BuildPlan:
        return BuildPlan(tuple(PlannedBuild(request.path, missing=("out",)) for request in requests), 2)

    def active(self) -> list[ActiveBuild]:
        return self.rows

    def enter(
        self,
        asked: ShellRequest,
        _options: BuildOptions,
        on_open: Callable[[int, str], None],
        gone: threading.Event,
    ) -> Exit:
        """A pipe stands in for the terminal."""
        reader, writer = os.pipe()
        os.write(writer, repr(asked.command).encode())
        os.close(writer)
        try:
            on_open(reader, f"shell on {asked.terminal}")
        finally:
            os.close(reader)
        if self.wait and gone.wait(60):
            self.cancelled.set()
        return Exit(None, 9, 0, 0, 0) if asked.command == ("die",) else Exit(7, None, 0, 0, 0)

    def host_view(self, name: str) -> HostView:
        if name != "base":
            raise HostViewError(f"host view '{name}' is not offered here", hint="offered: base")
        packages = {"gcc": HostPackage("12.2.0-14", ("/usr/bin/cc",))}
        return HostView(
            name, "ab" * 32, {"/usr/bin/cc": "cd" * 32, "/bin": "usr/bin"}, ("/usr/bin",), packages
        )

    def host_views(self) -> dict[str, list[Sighting]]:
        return {"base": [("0" * 64, 1_700_000_000), ("ab" * 32, 1_800_000_000)], "other": []}

    def drain(self) -> None:
        """Builds go on until their clients leave."""
        self.drained.wait(60)

    def close(self) -> None:
        pass


def build_events(drv: StorePath) -> list[Event]:
    return [
        BuildStarted(drv, "thing", "/log/thing.gz", 42, 1.5),
        PhaseStarted(drv, "configure", 2.5),
        LogLine(drv, "@nix {} not a command \udcff"),
        BuildFinished(drv, 3.5, {"out": "/frx/store/x"}),
    ]


@dataclass
class Running:
    path: str
    store: LocalStore
    builder: FakeBuilder
    service: Service
    server: Server
    thread: threading.Thread
    plugged: list[socket.socket] = field(default_factory=list)

    def connect(self) -> RemoteStore:
        return RemoteStore(self.plug(), self.store.directory)

    def plug(self) -> socket.socket:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.connect(self.path)  # waits where the queue is full; with a time limit it would fail at once
        stream.settimeout(60)
        self.plugged.append(stream)
        return stream


def layout(tmp_path: Path) -> Layout:
    return Layout(store=f"{tmp_path}/frx/store", state=f"{tmp_path}/frx/var/fruix", log=f"{tmp_path}/frx/log")


@contextmanager
def running(
    tmp_path: Path,
    settings: Settings | None = None,
    limits: Limits | None = None,
    deduplication: Rules | None = None,
) -> Iterator[Running]:
    where = layout(tmp_path)
    builder, settings = FakeBuilder(), settings or Settings()
    with LocalStore(where, limits=limits or Limits(), deduplication=deduplication) as store:
        half = BuildHalf(lambda: builder)
        assert half.builder is builder  # as when something has been built
        service = Service(store, half, settings, Keyring.open(settings))
        listener = listen(where.socket)
        server = Server(service, [listener])
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            daemon = Running(where.socket, store, builder, service, server, thread)
            yield daemon
        finally:
            for stream in daemon.plugged:
                stream.close()
            server.stop()
            thread.join()
            listener.close()
            service.close()
