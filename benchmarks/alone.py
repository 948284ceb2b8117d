"""What only Fruix has, or what can't be measured through a socket: figures without a ratio."""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import time
from collections.abc import Callable

from fruix.daemon.embedded import embedded_store
from fruix.model.base32 import ALPHABET
from fruix.model.hostview import HostView
from fruix.model.refscan import ReferenceScanner
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Origin, Package

CHUNK = 1 << 20
PACKAGES = 2_000
_LIBRARIES = "/usr/lib/x86_64-linux-gnu"
_SCANNED = 512 << 20


def _median(work: Callable[[], float], rounds: int = 5) -> float:
    return statistics.median(work() for _ in range(rounds))


def _candidates(count: int) -> list[bytes]:
    chosen = random.Random(1)
    return ["".join(chosen.choices(ALPHABET, k=32)).encode() for _ in range(count)]


def _chunks() -> list[bytes]:
    """Shared libraries of this machine, as much as there is up to 512 MiB."""
    found: list[bytes] = []
    size = 0
    for directory, _, names in sorted(os.walk(_LIBRARIES)):
        for name in sorted(names):
            path = f"{directory}/{name}"
            if ".so" in name and os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    while chunk := file.read(CHUNK):
                        found.append(chunk)
                        size += len(chunk)
        if size > _SCANNED:
            break
    return found


def scanning(count: int) -> Callable[[], float]:
    """GB/s of the reference scanner over shared libraries, with so many candidates."""
    chunks: list[bytes] = []

    def measure() -> float:
        if not chunks:
            chunks.extend(_chunks())
        scanner = ReferenceScanner(_candidates(count))
        begun = time.perf_counter()
        for chunk in chunks:
            scanner.feed(chunk)
        return sum(map(len, chunks)) / (time.perf_counter() - begun) / 1e9

    return lambda: _median(measure)


def hashing() -> float:
    """GB/s of SHA-256 on one core: what adding can't be faster than."""
    data = bytes(CHUNK)

    def measure() -> float:
        begun = time.perf_counter()
        state = hashlib.sha256()
        for _ in range(256):
            state.update(data)
        return 256 * CHUNK / (time.perf_counter() - begun) / 1e9

    return _median(measure)


def lowering(root: str) -> Callable[[], float]:
    """Seconds to lower 2,000 package definitions to derivations in a fresh store, as commands do.

    Without a daemon: a child process adds them. Each has three inputs.
    """
    runs = iter(range(1000))

    def measure() -> float:
        base = f"{root}/lowering-{next(runs)}"
        names = {
            "FRUIX_STORE_DIR": f"{base}/store",
            "FRUIX_STATE_DIR": f"{base}/var",
            "FRUIX_LOG_DIR": f"{base}/log",
            "FRUIX_CONF": os.devnull,
        }
        with embedded_store({**os.environ, **names}) as store:
            begun = time.perf_counter()
            lower = Lowering(store, LoweringContext("x86_64-linux", lambda view: HostView(view, "0" * 64)))
            packages: list[Package] = []
            source = Origin(("https://a.example/source-1.0.tar.gz",), "0" * 64)
            for index in range(PACKAGES):
                inputs = [packages[index // step] for step in (2, 3, 5)] if index else []
                packages.append(
                    Package(f"package-{index}", "1.0", source=source, inputs=tuple(dict.fromkeys(inputs)))
                )
            for package in packages:
                lower.lowered(package)
            store.add_waiting()
            return time.perf_counter() - begun

    return lambda: _median(measure, 3)
