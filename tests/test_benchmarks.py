"""Rows of the benchmarks about a whole store, each against the daemon in a small size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
import store_rows
from fruix.model.guix_signature import acl
from fruix.model.sexp import advanced, find
from fruix.signing import libgcrypt
from fruix.store.tree.dump import dump
from machine import private_frx
from report import table
from row import Data, Row

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

PART = 1 / 500  # of the sizes that the rows' titles tell


@pytest.fixture
def daemon() -> Iterator[peers.Daemon]:
    with private_frx():
        found = peers.available("/nowhere")["fruix"]("/frx")
        found.deduplicate_on_request()
        found.start()
        try:
            yield found
        finally:
            found.stop()


@pytest.fixture
def data(tmp_path: Path) -> Data:
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    (tmp_path / "tree").mkdir()
    for index in range(40):
        (tmp_path / "tree" / str(index)).write_text(f"file {index}")
    parent = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    archive = b"".join(dump(parent, b"tree"))
    os.close(parent)
    pair = libgcrypt.generate()
    public, private = find(pair, b"public-key"), find(pair, b"private-key")
    assert public is not None
    assert private is not None
    return Data(b"", str(tmp_path / "big"), archive, acl(public), advanced(private).encode(), PART)


@pytest.mark.parametrize("row", store_rows.ROWS, ids=lambda row: str(row.key))
def test_a_row_is_measured(row: Row, daemon: peers.Daemon, data: Data) -> None:
    """Rounds don't disturb each other; what a row says of the store is looked at by the row itself."""
    seconds = [row.measure(daemon, data, number) for number in range(2)]
    assert min(seconds) > 0
    cells = table([row], {row.key: {"fruix": seconds}}, {}).splitlines()[-1].split("|")
    assert [cell.strip() for cell in cells[1:3]] == [row.title, row.unit]


def test_a_collection_that_is_measured_leaves_what_is_alive(daemon: peers.Daemon, data: Data) -> None:
    store_rows.collect(daemon, data, 0)
    kept = {os.path.basename(path) for path in daemon.paths["live"].split()}
    assert set(os.listdir(daemon.store)) == kept
    assert len(kept) == data.count(store_rows.LIVE)
