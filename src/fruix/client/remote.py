"""`RemoteStore`: the daemon's store, with the interface of a local one, and its builders.

Connecting costs a round trip and about 2 ms; a question a round trip (some 30 µs of the daemon's time). Contents are streamed both
ways. Not for several threads at once: connect once per thread.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from fruix.client.exchange import Exchange
from fruix.errors import InvalidPathError, ProtocolError, UnreachableError, UsageError
from fruix.model.activity import ActiveBuild
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.contentaddress import Method, render_method
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import Event, Message
from fruix.model.hostview import HostView, Sighting
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.model.storepath import DEFAULT_STORE, StorePath
from fruix.protocol.model_codecs import Missing, UnkeyedInfo
from fruix.protocol.nix import FEATURE
from fruix.protocol.options import ANY_JOBS, NIX_DEFAULT_VERBOSITY, ClientOptions
from fruix.protocol.streams import NarBody, flat_contents

if TYPE_CHECKING:
    from fruix.building.settings import BuildOptions


class RemoteStore:
    """A connection to a daemon. A context manager. Implements `Store`; errors of the daemon are raised as they were there."""

    def __init__(
        self, stream: socket.socket, directory: str = DEFAULT_STORE, *, where: str = "daemon"
    ) -> None:
        """Take over a connected socket and greet; see `Exchange`."""
        self._directory = directory
        self._exchange = Exchange(stream, directory, where)
        self._options = ClientOptions(verbosity=NIX_DEFAULT_VERBOSITY)

    @property
    def directory(self) -> str:
        """The store directory, part of every path."""
        return self._directory

    @property
    def daemon_version(self) -> str:
        """The daemon's program and version, as it says them."""
        return self._exchange.greeting.daemon_version

    @property
    def trusted(self) -> bool | None:
        """Whether the daemon trusts this user; None if it doesn't say."""
        return self._exchange.greeting.trusted

    def close(self) -> None:
        """Leave; the session's temporary roots go."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Queries

    def is_valid(self, path: StorePath) -> bool:
        """See `Store.is_valid`."""
        return bool(self._call("IsValidPath", path))

    def valid_paths(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """See `Store.valid_paths`."""
        return set(self._call("QueryValidPaths", tuple(paths), False))

    def path_info(self, path: StorePath) -> PathInfo | None:
        """See `Store.path_info`."""
        info: UnkeyedInfo | None = self._call("QueryPathInfo", path)
        return None if info is None else info.keyed(path)

    def references(self, path: StorePath) -> list[StorePath]:
        """See `Store.references`."""
        return list(self._info(path).references)

    def referrers(self, path: StorePath) -> list[StorePath]:
        """See `Store.referrers`."""
        return list(self._call("QueryReferrers", path))

    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """See `Store.closure`. One question per path in it."""
        found: set[StorePath] = set()
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path not in found:
                found.add(path)
                waiting.extend(self.references(path))
        return found

    def valid_derivers(self, path: StorePath) -> list[StorePath]:
        """See `Store.valid_derivers`."""
        return list(self._call("QueryValidDerivers", path))

    def from_hash_part(self, text: str) -> StorePath | None:
        """See `Store.from_hash_part`."""
        found: StorePath | None = self._call("QueryPathFromHashPart", text)
        return found

    def all_valid_paths(self) -> list[StorePath]:
        """See `Store.all_valid_paths`."""
        return list(self._call("QueryAllValidPaths"))

    def derivation_outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        """See `Store.derivation_outputs`."""
        found: Mapping[str, StorePath | None] = self._call("QueryDerivationOutputMap", drv)
        return {name: path for name, path in found.items() if path is not None}

    def read_derivation(self, path: StorePath) -> Derivation:
        """See `Store.read_derivation`."""
        contents = b"".join(flat_contents(self.nar(path)))
        return Derivation.parse(contents, path.name.removesuffix(".drv"), self.directory)

    def nar(self, path: StorePath) -> Iterator[bytes]:
        """See `Store.nar`. Nothing else can be asked before the end; leaving early closes the connection."""
        self._call("NarFromPath", path)
        return self._archive()

    def _archive(self) -> Iterator[bytes]:
        complete = False
        try:
            yield from NarBody(self._exchange.source).chunks()
            complete = True
        finally:
            if not complete:
                self.close()

    def _info(self, path: StorePath) -> PathInfo:
        info = self.path_info(path)
        if info is None:
            raise InvalidPathError(str(path))
        return info

    # Adding

    def add_text(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> StorePath:
        """See `Store.add_text`."""
        return self._add(name, Method.TEXT, "sha256", [contents], references)

    def add_path(
        self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256"
    ) -> StorePath:
        """See `Store.add_path`."""
        from fruix.store.objects.hashes import flat_chunks  # noqa: PLC0415 - only for files
        from fruix.store.tree.dump import dump  # noqa: PLC0415

        directory, base = os.path.split(source.rstrip("/"))
        parent = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            read = dump if method is Method.NAR else flat_chunks
            return self._add(name, method, algorithm, read(parent, os.fsencode(base), where=source), ())
        finally:
            os.close(parent)

    def add_nar(self, info: PathInfo, chunks: Iterable[bytes], *, repair: bool = False) -> None:
        """See `Store.add_nar`; the daemon takes it unchecked from trusted users only."""
        self._call("AddToStoreNar", info, repair, True, body=chunks)

    def add_temp_root(self, path: StorePath) -> None:
        """See `Store.add_temp_root`."""
        self._call("AddTempRoot", path)

    def add_indirect_root(self, link: str) -> None:
        """See `Store.add_indirect_root`."""
        if not link.startswith("/"):
            raise UsageError(f"'{link}' is not an absolute file name")
        self._call("AddIndirectRoot", link)

    def _add(
        self,
        name: str,
        method: Method,
        algorithm: str,
        chunks: Iterable[bytes],
        references: Sequence[StorePath],
    ) -> StorePath:
        info: PathInfo = self._call(
            "AddToStore", name, render_method(method, algorithm), references, False, body=chunks
        )
        return info.path

    # Building

    def missing(self, requests: Iterable[DerivedPath]) -> Missing:
        """What building `requests` would do."""
        found: Missing = self._call("QueryMissing", tuple(requests))
        return found

    def build(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """Make `requests` valid.

        Args:
            requests: store paths, or derivations with the outputs wanted.
            options: how (default: as the daemon is set).
            on_event: called for everything that happens meanwhile.

        Returns:
            One result per request, in order; failures are results too.
        """
        chosen = _client_options(options)
        if FEATURE not in self._exchange.context.features and chosen.max_jobs == ANY_JOBS:
            # A daemon that isn't ours knows no bound but the client's.
            chosen = replace(chosen, max_jobs=os.cpu_count() or 1)
        self._set_options(chosen)
        mode = BuildMode.NORMAL if options is None else options.mode
        return list(self._call("BuildPathsWithResults", tuple(requests), mode, on_event=on_event))

    def verify(
        self, *, contents: bool, repair: bool = False, on_event: Callable[[Event], None] | None = None
    ) -> bool:
        """Have the daemon check its store; problems are told as events.

        Args:
            contents: read and hash every path too.
            repair: build again what is damaged (for trusted users).
            on_event: told of what happens.

        Returns:
            Whether something is wrong (with `repair`: still is).
        """
        return bool(self._call("VerifyStore", contents, repair, on_event=on_event))

    def failures(self) -> list[StorePath]:
        """Outputs of builds that are remembered to have failed for good."""
        return list(self._call("QueryFailedPaths"))

    def clear_failures(self, paths: Iterable[StorePath] | None) -> None:
        """Forget that they failed; None: all of them."""
        self._call("ClearFailedPaths", ["*"] if paths is None else [str(path) for path in paths])

    def host_view(self, name: str) -> HostView:
        """A host view of the daemon's machine as it is now, or, by its fingerprint, one that it had.

        Raises:
            HostViewChangedError: something of it is being changed just now.
            HostViewError: it offers none of that name, and never had that fingerprint; or that view lacks something.
            ProtocolError: it is no fruix daemon.
        """
        view: HostView = self._call_own("has no host views", "QueryHostView", name)
        return view

    def host_views(self) -> Mapping[str, Sequence[Sighting]]:
        """The views that the daemon's machine offers, with the fingerprints that each was seen to have, oldest first."""
        views: Mapping[str, Sequence[Sighting]] = self._call_own("has no host views", "QueryHostViews")
        return views

    def active_builds(self) -> list[ActiveBuild]:
        """The builds of all clients that run or wait, oldest first.

        Raises:
            ProtocolError: it is no fruix daemon.
        """
        return list(self._call_own("can't list builds", "QueryActiveBuilds"))

    def plan(self, requests: Iterable[DerivedPath], mode: BuildMode = BuildMode.NORMAL) -> BuildPlan:
        """What building `requests` would do, with reasons and usual durations if the daemon is one of ours."""
        wanted = tuple(requests)
        if FEATURE in self._exchange.context.features:
            found: BuildPlan = self._call("QueryPlan", wanted, mode)
            return found
        missing = self.missing(wanted)
        problems = tuple(f"path '{path}' can't be had" for path in sorted(missing.unknown))
        return BuildPlan(tuple(map(PlannedBuild, sorted(missing.will_build))), problems=problems)

    def enter(
        self,
        drv: StorePath,
        terminal: str,
        command: Sequence[str],
        on_open: Callable[[int, str], None],
        *,
        fresh: bool = False,
    ) -> int:
        """A shell in the sandbox of a derivation whose inputs are valid.

        Args:
            drv: the derivation.
            terminal: the kind of terminal (TERM) that it is shown on.
            command: what to run instead of an interactive shell; empty: nothing.
            fresh: new directories, also where a failed build's are kept.
            on_open: given the outer end of the sandbox's terminal, which it has to close, and a line about what runs; the shell is
                ended when this returns.

        Returns:
            The exit status, 128 and more for signals.

        Raises:
            NotPermittedError: the daemon doesn't trust this user.
        """
        descriptors: list[int] = []

        def on_event(event: Event) -> None:
            if isinstance(event, Message) and descriptors:
                on_open(descriptors.pop(), event.text)

        try:
            return int(
                self._call_own(
                    "can't be entered",
                    "EnterSandbox",
                    drv,
                    terminal,
                    tuple(command),
                    fresh,
                    on_event=on_event,
                    descriptors=descriptors,
                )
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _call_own(self, lack: str, name: str, *values: Any, **how: Any) -> Any:
        if FEATURE not in self._exchange.context.features:
            raise ProtocolError(f"'{self.daemon_version}' {lack}", hint="connect to a fruix daemon")
        return self._call(name, *values, **how)

    def _set_options(self, options: ClientOptions) -> None:
        if options != self._options:
            self._call("SetOptions", options)
            self._options = options

    def _call(self, name: str, *values: Any, **how: Any) -> Any:
        return self._exchange.call(name, *values, **how)


def _client_options(options: BuildOptions | None) -> ClientOptions:
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
    return ClientOptions(
        keep_failed=options.keep_failed,
        keep_going=options.keep_going,
        max_jobs=ANY_JOBS if options.max_jobs is None else options.max_jobs,
        verbosity=NIX_DEFAULT_VERBOSITY,
        overrides={name: str(number) for name, number in numbers.items() if number is not None},
    )


# What connect(2) says when nobody listens → what to tell the user.
_REASONS = {
    errno.ENOENT: "there is no socket of that name",
    errno.ECONNREFUSED: "a socket is there, but no daemon behind it",
    errno.EACCES: "this user may not reach the socket",
    errno.ENOTSOCK: "what is there is no socket",
}
_HINT = "start the daemon ('fruix daemon'), or name its socket in FRUIX_DAEMON_SOCKET"


def connect(path: str, directory: str | None = None) -> RemoteStore:
    """Connect to the daemon at a socket.

    Args:
        path: the socket's file name.
        directory: the store directory (default: as the environment says).

    Raises:
        UnreachableError: nobody answers there.
        FruixError: the daemon doesn't serve this user.
    """
    from fruix.store.layout import Layout  # noqa: PLC0415 - for the default only

    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.connect(path)
    except OSError as error:
        stream.close()
        reason = _REASONS.get(error.errno or 0, str(error))
        raise UnreachableError(f"no daemon answers: {reason}", where=path, hint=_HINT) from error
    return RemoteStore(stream, directory or Layout.from_environment(os.environ).store, where=path)
