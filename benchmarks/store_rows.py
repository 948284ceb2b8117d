"""Rows about a store as a whole: collecting garbage, verifying, deduplicating, exports, referrers.

Small texts are registered while the daemon is stopped; all else comes through connections, which are
closed before the clock starts: what they added are temporary roots as long as they last.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import time

from fruix.client import RemoteStore
from fruix.model.nar import write as nar
from fruix.model.nar.export import END, ITEM, Description, signature
from fruix.model.sexp import parse
from fruix.model.storepath import StorePath
from fruix.signing import export_signatures
from peers import Daemon
from registering import register, tree, two_earlier
from report import OURS
from row import Data, Row, timed, walk
from store_client import DELETE_DEAD, RETURN_DEAD, StoreClient
from wire import DaemonError, Feed, Write, bytes_archive, file_archive

LIVE = 20_000
DEAD = 10_000
MARKED = 200_000
DUPLICATES = 2_000
_DUPLICATE_SIZE = 16 << 10  # Guix deduplicates from 8 KiB on
_PATIENCE = 60.0


def _client(daemon: Daemon, dialect: str = "") -> StoreClient:
    return StoreClient(dialect or daemon.dialect, daemon.socket)


def keep(daemon: Daemon, client: StoreClient, path: str) -> None:
    """Make a path a root."""
    link = f"{daemon.base}/kept-{os.path.basename(path)}"
    os.symlink(path, link)
    client.add_root(link)


def _filled(daemon: Daemon, data: Data) -> list[str]:
    """The paths that are alive in this store, which are added when it is asked for them first."""
    if "live" not in daemon.paths:
        paths = register(daemon, "live", data.count(LIVE), two_earlier)
        client = _client(daemon)
        keep(daemon, client, paths[-1])
        client.close()
        daemon.paths["live"] = " ".join(paths)
    return daemon.paths["live"].split()


def collect(daemon: Daemon, data: Data, number: int) -> float:
    """10,000 dead paths out of 30,000, to the last file."""
    _filled(daemon, data)
    count = data.count(DEAD)
    register(daemon, f"dead-{number}", count, two_earlier)
    client = _client(daemon)
    os.sync()
    seconds = timed(lambda: _require(client.collect(DELETE_DEAD) >= count, "too few paths were deleted"))
    client.close()
    return seconds


def referrers(daemon: Daemon, data: Data, _round: int) -> float:
    """All that need the first of 20,000 texts, asked for one by one."""
    start, *_ = _filled(daemon, data)
    client = _client(daemon)
    begun = time.perf_counter()
    walk(start, client.referrers)
    seconds = time.perf_counter() - begun
    client.close()
    return seconds


def requisites(daemon: Daemon, data: Data, _round: int) -> float:
    """All that the last of 20,000 texts needs, as its own client finds it.

    Fruix's asks for the whole, those of the peers for the references of each.
    """
    *_, end = _filled(daemon, data)
    if daemon.name == OURS:
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(daemon.socket)
        with RemoteStore(stream, daemon.store) as store:
            return timed(lambda: _require(len(store.closure([StorePath(end)])) > 1, "it needs nothing"))
    client = _client(daemon)
    begun = time.perf_counter()
    walk(end, client.references)
    seconds = time.perf_counter() - begun
    client.close()
    return seconds


def verify(daemon: Daemon, data: Data, _round: int) -> float:
    """Contents of 20,000 texts, a tree of 20,000 files and a file of 1 GiB."""
    _filled(daemon, data)
    _big(daemon, data)
    if "tree" not in daemon.paths:
        client = _client(daemon)
        daemon.paths["tree"] = client.add_archive("tree", bytes_archive(data.tree))
        keep(daemon, client, daemon.paths["tree"])
        client.close()
    client = _client(daemon)
    seconds = timed(lambda: _require(not client.verify(), "a store is damaged"))
    client.close()
    return seconds


def _big(daemon: Daemon, data: Data) -> str:
    if "big" not in daemon.paths:
        client = _client(daemon)
        daemon.paths["big"] = client.add_archive("big", file_archive(data.big_file))
        keep(daemon, client, daemon.paths["big"])
        client.close()
    return daemon.paths["big"]


def export(daemon: Daemon, data: Data, _round: int) -> float:
    """An item of 1 GiB, unsigned, as `guix archive --export` asks for it."""
    path = _big(daemon, data)
    client = _client(daemon, "guix")
    size = client.archive_size(path)
    seconds = timed(lambda: client.dump(path, size))
    client.close()
    return seconds


def import_item(daemon: Daemon, data: Data, number: int) -> float:
    """The same, signed, as `guix archive --import` sends it."""
    with open(daemon.acl, "w", encoding="ascii") as file:
        file.write(data.acl)
    path = _fresh_path(daemon, number)
    archive: list[bytes] = [ITEM]
    file_archive(data.big_file)(archive.append)
    state = hashlib.sha256()
    for chunk in archive[1:]:
        state.update(chunk)
    description = Description(StorePath(path), (), None).encoded
    state.update(description)
    text = export_signatures.sign(state.digest(), parse(data.private_key))
    stream = [*archive, description, signature(text), END]
    client = _client(daemon, "guix")
    seconds = timed(lambda: client.import_items(stream))
    client.close()
    _delete(daemon, path)
    return seconds


def import_archive(daemon: Daemon, data: Data, number: int) -> float:
    """An object of 1 GiB with its path, as `nix-store --import` and `nix copy` send it."""
    state, size = hashlib.sha256(), 0

    def count(data: bytes) -> None:
        nonlocal size
        state.update(data)
        size += len(data)

    file_archive(data.big_file)(count)
    client = _client(daemon, "nix")
    path, feed = _fresh_path(daemon, number), file_archive(data.big_file)
    seconds = timed(lambda: client.import_archive(path, state.digest(), size, feed))
    client.close()
    _delete(daemon, path)
    return seconds


def _delete(daemon: Daemon, path: str) -> None:
    """Delete what has been measured, so that it takes no room."""
    client = _client(daemon)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            client.delete(path)
            break
        except DaemonError:  # the client that added it has not gone yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    client.close()


def _fresh_path(daemon: Daemon, number: int) -> str:
    return f"{daemon.store}/{str(number) * 32}-imported-{time.monotonic_ns()}"


def optimise(daemon: Daemon, data: Data, number: int) -> float:
    """Two trees of 2,000 files of 16 KiB with the same contents; what was deduplicated before stays."""
    client = _client(daemon)
    for name in ("one", "other"):
        feed = _tree_of_files(number, data.count(DUPLICATES))
        path = client.add_archive(f"{name}-{number}", feed)
        keep(daemon, client, path)
    client.close()
    os.sync()
    client = _client(daemon)
    seconds = timed(client.optimise)
    client.close()
    return seconds


def _tree_of_files(seed: int, count: int) -> Feed:
    """Writes the archive of a directory of files with random contents, the same for the same seed."""

    def feed(write: Write) -> None:
        chosen = random.Random(seed)
        write(nar.MAGIC + nar.DIRECTORY_HEAD)
        for index in range(count):
            data = chosen.randbytes(_DUPLICATE_SIZE)
            head = nar.entry_head(b"%06d" % index) + nar.file_head(len(data), executable=False)
            write(head + data + nar.file_tail(len(data)) + nar.ENTRY_TAIL)
        write(nar.DIRECTORY_TAIL)

    return feed


def mark(daemon: Daemon, data: Data, _round: int) -> float:
    """200,000 paths that one root keeps alive: what of them is dead?"""
    if "marked" not in daemon.paths:
        count = data.count(MARKED)
        daemon.paths["marked"] = register(daemon, "marked", count, tree(count))[-1]
        client = _client(daemon)
        keep(daemon, client, daemon.paths["marked"])
        client.close()
    client = _client(daemon)
    seconds = timed(lambda: _require(client.collect(RETURN_DEAD) == 0, "paths are dead that a root keeps"))
    client.close()
    return seconds


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise SystemExit(f"benchmarks/run: {otherwise}")


ROWS: tuple[Row, ...] = (
    Row("collect", "collect 10,000 dead paths of 30,000", "s", collect, rounds=3, group="store"),
    Row("referrers", "referrers of 20,000 paths", "s", referrers, rounds=3, group="store"),
    Row("requisites", "closure of 20,000 paths, own clients", "s", requisites, rounds=3, group="store"),
    Row("verify", "verify 40,000 small files and 1 GiB", "s", verify, rounds=3, group="store"),
    Row("export", "export an item of 1 GiB (Guix)", "s", export, 2, group="store", dialect="guix"),
    Row("import", "import an item of 1 GiB (Guix)", "s", import_item, 2, group="store", dialect="guix"),
    Row("import-nar", "import 1 GiB (Nix)", "s", import_archive, 2, group="store", dialect="nix"),
    Row("optimise", "deduplicate 4,000 files of 16 KiB", "s", optimise, rounds=3, group="duplicates"),
    Row("mark", "mark 200,000 paths", "s", mark, rounds=2, group="marking"),
)
