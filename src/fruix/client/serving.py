"""Serves `ssh://` of Nix's clients with a daemon's store: `nix-store --serve` (`fruix.protocol.serve`).

Each request becomes requests to the daemon. What a builder says goes to standard error, which `ssh`
carries to the client; an error is raised, and with it the connection is over, as with Nix's own. A
client that leaves while its build runs takes the connection to the daemon with it, which ends the build.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fruix.client.remote import RemoteStore
from fruix.dataclass import dataclass, field, replace
from fruix.errors import NotPermittedError, ProtocolError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult
from fruix.model.events import BuildFailed, Event, LogLine, Message
from fruix.model.nar import export
from fruix.model.storepath import StorePath
from fruix.protocol import serve
from fruix.protocol.exports import read_exports
from fruix.protocol.reader import Source
from fruix.protocol.records import Body
from fruix.protocol.streams import NarBody
from fruix.protocol.wire import Context, write_string, write_u64
from fruix.store.tree.descriptors import write_all
from fruix.threads import Thread

_LEFT = getattr(select, "POLLRDHUP", 0)
_LOUDEST = 1  # messages up to warnings are passed on


@dataclass(slots=True)
class Told:
    """What is heard of builds: passed on, and failures kept.

    Attributes:
        asked: the derivations whose failures are in the reply.
        say: given lines.
        failures: with what to do about them apart, as replies don't have it.
    """

    asked: Collection[StorePath]
    say: Callable[[str], object]
    failures: dict[StorePath, BuildFailed] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        """Pass on what a builder says, warnings, and why something failed that nobody asked for."""
        if isinstance(event, LogLine):
            self.say(event.line)
        elif isinstance(event, Message) and event.level <= _LOUDEST:
            self.say(event.text)
        elif isinstance(event, BuildFailed):
            self.failures[event.drv] = event
            for line in () if event.drv in self.asked else f"error: {event.message}".split("\n"):
                self.say(line)

    def result(self, drv: StorePath, result: BuildResult, context: Context) -> serve.ServedResult:
        """A result in words of the client's."""
        if found := self.failures.get(drv):
            result = replace(result, message=found.message, hint=found.hint)
        return serve.ServedResult.of(result, context)


@dataclass(frozen=True, slots=True)
class Serving:
    """One client's connection.

    Attributes:
        store: the daemon's.
        reader: the descriptor that the client's requests come from.
        writer: that replies go to.
        may_write: the client may add, build and keep paths (`--write`).
        say: given lines for the person at the client.
    """

    store: RemoteStore
    reader: int
    writer: int
    may_write: bool
    say: Callable[[str], object]

    def run(self) -> None:
        """Answer requests until the client leaves.

        Raises:
            ProtocolError: it sent something else.
            FruixError: a request that failed; it has got no answer.
        """
        source = Source(lambda limit: os.read(self.reader, limit))
        context = serve.welcome(source, self.send, self.store.directory)
        while not source.at_end():
            source.expect()
            self._answer(source, context)

    def _answer(self, source: Source, context: Context) -> None:
        number = source.u64()
        operation = serve.SERVE.get(number)
        if operation is None:
            raise ProtocolError(f"unknown serve command {number}")
        raw = operation.request.read(source, context)
        request = operation.request.parse(raw, context)
        if refused := _WRITING.get(number) if not self.may_write else None:
            raise NotPermittedError(f"{refused} is not allowed", hint="nix-store --serve --write")
        found = _HANDLERS[type(request)](self, request, source, context)
        if operation.reply_body is Body.NAR:
            for chunk in found:
                self.send(chunk)
            return
        sink = bytearray()
        operation.reply.write(sink, found, context)
        self.send(sink)

    def send(self, data: bytes | bytearray) -> None:
        """Send a piece of a reply."""
        write_all(self.writer, memoryview(data))

    @contextmanager
    def while_client_stays(self) -> Iterator[None]:
        """Leave the daemon when the client leaves before the end of this."""
        over, ended = os.pipe()
        watcher = Thread(self._watch, "client", (over,))
        watcher.start()
        try:
            yield
        finally:
            os.close(ended)
            watcher.join()
            os.close(over)

    def _watch(self, over: int) -> None:
        poller = select.poll()
        poller.register(self.reader, _LEFT)  # that nobody writes any more is told unasked
        poller.register(over, 0)
        if over not in dict(poller.poll()):
            self.store.hang_up()


def _valid_paths(serving: Serving, request: serve.QueryValidPaths, _source: Source, _context: Context) -> Any:
    if request.lock and serving.may_write:
        for path in request.paths:
            serving.store.add_temp_root(path)
    return serving.store.valid_paths(request.paths, substitute=request.substitute and serving.may_write)


def _infos(serving: Serving, request: serve.QueryPathInfos, _source: Source, context: Context) -> None:
    sink = bytearray()
    for path in request.paths:
        if info := serving.store.path_info(path):
            serve.INFO.write(sink, serve.ServedInfo.of(info), context)
    write_string(sink, b"")
    serving.send(sink)


def _archive(
    serving: Serving, request: serve.DumpStorePath, _source: Source, _context: Context
) -> Iterable[bytes]:
    return serving.store.nar(request.path)


def _import(serving: Serving, _request: serve.ImportPaths, source: Source, context: Context) -> None:
    serving.store.import_stream(_items(source, context.directory), unchecked=True)


def _add(serving: Serving, request: serve.AddToStoreNar, source: Source, _context: Context) -> None:
    body = NarBody(source)
    serving.store.add_nar(request.info, body.chunks())
    body.drain()


def _build(serving: Serving, request: serve.BuildPaths, _source: Source, context: Context) -> None:
    told = Told({wanted.path for wanted in request.requests}, serving.say)
    with serving.while_client_stays():
        results = serving.store.build(request.requests, _options(request.options), told.hear)
    failed = [told.result(wanted.path, result, context) for wanted, result in results if not result.success]
    sink = bytearray()
    write_u64(sink, failed[0].status if failed else 0)
    if failed:
        write_string(sink, "\n".join(result.message for result in failed).encode())
    serving.send(sink)


def _build_derivation(
    serving: Serving, request: serve.BuildDerivation, _source: Source, context: Context
) -> Any:
    options, told = _options(request.options), Told({request.drv}, serving.say)
    with serving.while_client_stays():
        result = serving.store.build_derivation(request.drv, request.derivation, options, told.hear)
    return told.result(request.drv, result, context)


def _closure(
    serving: Serving, request: serve.QueryClosure, _source: Source, _context: Context
) -> set[StorePath]:
    found = serving.store.closure(request.paths)
    looked_at: set[StorePath] = set()
    while request.outputs and (left := {path for path in found - looked_at if path.is_derivation}):
        outputs = [path for drv in left for path in serving.store.derivation_outputs(drv).values()]
        found |= serving.store.closure(serving.store.valid_paths(outputs))
        looked_at |= left
    return found


def _items(source: Source, directory: str) -> Iterator[bytes]:
    """An export stream as it comes."""
    for item in read_exports(source, directory):
        yield export.ITEM
        yield from item.archive()
        description, signature = item.description()
        yield description.encoded
        yield export.signature(None if signature is None else signature.decode("latin-1"))
    yield export.END


def _options(wanted: serve.ServeOptions) -> BuildOptions:
    return BuildOptions(
        keep_failed=wanted.keep_failed,
        timeout=wanted.timeout or None,
        max_silent_time=wanted.max_silent_time or None,
        max_log_size=wanted.max_log_size or None,
        rounds=wanted.repeats + 1,
    )


# What the client has to be allowed, and how it is called.
_WRITING: Mapping[int, str] = {
    4: "importing paths",
    6: "building paths",
    8: "building paths",
    9: "importing paths",
}
_HANDLERS: Mapping[type, Callable[..., Any]] = {
    serve.QueryValidPaths: _valid_paths,
    serve.QueryPathInfos: _infos,
    serve.DumpStorePath: _archive,
    serve.ImportPaths: _import,
    serve.BuildPaths: _build,
    serve.QueryClosure: _closure,
    serve.BuildDerivation: _build_derivation,
    serve.AddToStoreNar: _add,
}
