"""`GuixStore`: the store behind Guix's own daemon, with the interface of the others.

Most questions have the same form in both dialects; those that Guix's lacks are answered by others of
its operations, and by the files of the store, which its clients have to see at their place. What
there is no way to ask is a `ProtocolError` with words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fruix.client.exchange import OnData, OnEvent
from fruix.client.remote import RemoteStore, client_options
from fruix.dataclass import replace
from fruix.errors import DisconnectedError, FruixError, InvalidPathError, ProtocolError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.contentaddress import Method
from fruix.model.derivedpath import DerivedPath
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import Missing
from fruix.model.storepath import StorePath
from fruix.overriding import override
from fruix.protocol import common_operations as common
from fruix.protocol import guix
from fruix.protocol.options import ANY_JOBS, ClientOptions
from fruix.protocol.wire import Dialect
from fruix.store.tree.descriptors import OPEN_DIRECTORY
from fruix.store.tree.dump import dump


class GuixStore(RemoteStore):
    """A connection to guix-daemon. Its children serve one connection each."""

    _dialect = Dialect.GUIX

    @override
    def path_info(self, path: StorePath) -> PathInfo | None:
        """Two questions: guix-daemon has no answer that says "not valid"."""
        return self._call(guix.QueryPathInfo(path)).keyed(path) if self.is_valid(path) else None

    @override
    def derivation_outputs(self, drv: StorePath) -> Mapping[str, StorePath]:
        return self.read_derivation(drv).output_paths

    @override
    def nar(self, path: StorePath) -> Iterator[bytes]:
        """From the files; guix-daemon sends archives only within exports."""
        if not self.is_valid(path):
            raise InvalidPathError(str(path))
        try:
            descriptor = os.open(self.directory, OPEN_DIRECTORY)
        except OSError as error:
            raise ProtocolError(
                f"guix-daemon sends no archives, and its store isn't seen here: {error}", where=self.directory
            ) from error
        try:
            yield from dump(descriptor, os.fsencode(path.base), where=str(path))
        finally:
            os.close(descriptor)

    @override
    def missing(self, requests: Iterable[DerivedPath]) -> Missing:
        """Which derivations lack outputs, and those that they need; substitutes are not asked for."""
        waiting = [(request.path, request.outputs) for request in requests]
        build: set[StorePath] = set()
        unknown: set[StorePath] = set()
        while waiting:
            path, names = waiting.pop()
            if not self.is_valid(path):
                unknown.add(path)
            elif names is not None and path not in build:
                derivation = self.read_derivation(path)
                wanted = _chosen(derivation.output_paths, names).values()
                if self.valid_paths(wanted) != set(wanted):
                    build.add(path)
                    waiting += derivation.input_drvs.items()
        return Missing(will_build=build, unknown=unknown)

    @override
    def build(
        self,
        requests: Sequence[DerivedPath],
        options: BuildOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> list[tuple[DerivedPath, BuildResult]]:
        """All in one request. What guix-daemon prints meanwhile are messages; its error is one for all."""
        self._set_options(_guix_options(client_options(options)))
        mode = BuildMode.NORMAL if options is None else options.mode
        error = ""
        try:
            self._call(common.BuildPaths(tuple(requests), mode), on_event=on_event)
        except (ProtocolError, DisconnectedError):
            raise
        except FruixError as failure:
            error = str(failure)
        return [(request, self._result(request, mode, error)) for request in requests]

    def _result(self, request: DerivedPath, mode: BuildMode, error: str) -> BuildResult:
        """Of a request, after an error (if any) that may be another's: who is valid has been built."""
        outputs = {"": request.path}
        if request.outputs is not None:
            outputs = _chosen(self.derivation_outputs(request.path), request.outputs)
        is_valid = self.valid_paths(outputs.values()) == set(outputs.values())
        if not is_valid or (error and mode is not BuildMode.NORMAL):
            return BuildResult(BuildStatus.MISC_FAILURE, error)
        return BuildResult(BuildStatus.BUILT, outputs=outputs)

    @override
    def add_text(self, name: str, contents: bytes, references: Sequence[StorePath] = ()) -> StorePath:
        return self._call(common.AddTextToStore(name, contents, tuple(references)))

    @override
    def add_path(
        self, name: str, source: str, method: Method = Method.NAR, algorithm: str = "sha256"
    ) -> StorePath:
        directory, base = os.path.split(source.rstrip("/"))
        parent = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            archive = dump(parent, os.fsencode(base), where=source)
            return self._call(guix.AddToStore(name, method is Method.NAR, algorithm), body=archive)
        finally:
            os.close(parent)

    @override
    def export_signed(self, path: StorePath, on_data: OnData) -> None:
        self._call(common.ExportPath(path, sign=True), on_data=on_data)


def _chosen(outputs: Mapping[str, StorePath], names: Sequence[str]) -> dict[str, StorePath]:
    return {name: path for name, path in outputs.items() if "*" in names or name in names}


# Settings by their names in Nix's dialect → in Guix's.
_SETTINGS = {
    "cores": "build-cores",
    "timeout": "build-timeout",
    "max-silent-time": "build-max-silent-time",
    "max-build-log-size": "build-max-log-size",
    "build-repeat": "build-repeat",
}


def _guix_options(options: ClientOptions) -> ClientOptions:
    """As guix-daemon has them: it knows no bound on jobs but the client's; its traces are for programs."""
    return replace(
        options,
        verbosity=0,
        print_build_trace=False,
        max_jobs=os.cpu_count() or 1 if options.max_jobs == ANY_JOBS else options.max_jobs,
        overrides={_SETTINGS[name]: value for name, value in options.overrides.items()},
    )
