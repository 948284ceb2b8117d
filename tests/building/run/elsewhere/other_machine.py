"""Another machine, that pretends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fruix.building.connect import WhyStop
from fruix.errors import DisconnectedError
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.derivation import Derivation
from fruix.model.events import (
    Event,
)
from fruix.model.hashes import Hash
from fruix.model.machines import Machine as Listed
from fruix.model.machines import parse_machines
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.this_machine import local_system

OTHER = "x86_64-freebsd"
LIST = parse_machines(f"ssh-ng://other {OTHER},{local_system()} - 2", "")
BUILT = BuildResult(BuildStatus.BUILT)


def archive(text: bytes) -> bytes:
    return b"".join((write.MAGIC, write.file_head(len(text), False), text, write.file_tail(len(text))))


@dataclass
class Other:
    """A machine that pretends: `work` is what a build there does."""

    work: Callable[[Callable[[Event], None]], BuildResult] = lambda _on_event: BUILT
    is_own: bool = True
    reached: bool = True
    asked: int = 0
    opened: int = 0
    texts: dict[StorePath, bytes] = field(default_factory=dict)
    references: dict[StorePath, tuple[StorePath, ...]] = field(default_factory=dict)
    addresses: dict[StorePath, ContentAddress] = field(default_factory=dict)
    sent: list[StorePath] = field(default_factory=list)
    substitutes: list[bool] = field(default_factory=list)
    built: list[Derivation] = field(default_factory=list)
    why_stop: WhyStop = lambda: None

    @contextmanager
    def connect(self, _machine: Listed, _directory: str, _waker: int, why_stop: WhyStop) -> Iterator[Other]:
        self.asked += 1
        if not self.reached:
            raise DisconnectedError("No route to host")
        self.why_stop = why_stop
        self.opened += 1
        try:
            yield self
        finally:
            self.opened -= 1

    def send(self, _store: LocalStore, paths: Sequence[StorePath], *, substitute: bool) -> None:
        self.sent += paths
        self.substitutes.append(substitute)

    def build_derivation(
        self, _drv: StorePath, derivation: Derivation, *, on_event: Callable[[Event], None]
    ) -> BuildResult:
        self.built.append(derivation)
        return self.work(on_event)

    def path_info(self, path: StorePath) -> PathInfo | None:
        data = archive(self.texts[path])
        references, address = self.references.get(path, ()), self.addresses.get(path)
        return PathInfo(path, Hash.of("sha256", data), len(data), references, content_address=address)

    def make(self, name: str, text: bytes, *references: StorePath, method: Method = Method.NAR) -> StorePath:
        """An output that its contents name."""
        found = Hash.of("sha256", archive(text) if method is Method.NAR else text)
        address = ContentAddress(method, found)
        path = path_for(address, name, references=references)
        self.texts[path], self.references[path], self.addresses[path] = text, references, address
        return path

    def nar(self, path: StorePath) -> Iterable[bytes]:
        yield archive(self.texts[path])
