"""Rows of the benchmarks, each against the daemon in a small size, for its result only."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import pytest

import peers
import people_rows
import rows
import scale_rows
import store_rows
from fruix.model.guix_signature import acl
from fruix.model.sexp import advanced, find
from fruix.signing import libgcrypt
from fruix.store.tree.dump import dump
from machine import BUSYBOX
from own_daemon import own_daemon
from report import table, tables
from row import Data, Row
from unavailable import Unavailable

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

PART = 1 / 500  # of the sizes that the rows' titles tell


@pytest.fixture
def daemon() -> Iterator[peers.Daemon]:
    with own_daemon(peers.Daemon.deduplicate_on_request) as found:
        yield found


@pytest.fixture
def data(tmp_path: Path) -> Data:
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    (tmp_path / "tree").mkdir()
    for index in range(40):
        (tmp_path / "tree" / str(index)).write_text(f"file {index}")
    (tmp_path / "shell/bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, tmp_path / "shell/bin/busybox")
    for name in ("sh", "head"):
        (tmp_path / "shell/bin" / name).symlink_to("busybox")
    parent = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    shell, archive = (b"".join(dump(parent, name)) for name in (b"shell", b"tree"))
    os.close(parent)
    pair = libgcrypt.generate()
    public, private = find(pair, b"public-key"), find(pair, b"private-key")
    assert public is not None
    assert private is not None
    return Data(shell, str(tmp_path / "big"), archive, acl(public), advanced(private).encode(), PART)


def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that need no network."""
    package = (
        'Package(name="hello", version="2.12.3", build_system="trivial", arguments={"script": "echo > $out"})'
    )
    monkeypatch.setattr(people_rows, "_PACKAGE", ("-e", package))
    monkeypatch.setattr(people_rows, "_HOSTED", ("-e", package))
    monkeypatch.setattr(scale_rows, "QUESTIONS", 20)
    monkeypatch.setattr(scale_rows, "TEXTS", 5)
    monkeypatch.setattr(rows, "ROUND_TRIPS", 20)


@pytest.mark.parametrize("group", ["builds", "people", "scale", "million"])
def test_rows_are_measured(
    group: str, daemon: peers.Daemon, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, since some leave what later ones need.

    What memory some requests take is a difference, and the daemon may have given more back meanwhile.
    """
    _small(monkeypatch)
    of_group = [row for row in rows.ROWS if row.group == group and not row.on_request]
    found = {row.key: (row.unit, row.measure(daemon, data, 0)) for row in of_group}
    assert {key: figure for key, (unit, figure) in found.items() if not figure > 0 and unit != "MiB"} == {}


def test_the_bare_daemon_does_what_its_rows_ask(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    _small(monkeypatch)
    with own_daemon(name=peers.BARE) as bare:
        of_bare = [row for row in rows.ROWS if row.key in peers.BARE_ROWS]
        figures = {row.key: row.measure(bare, data, 0) for row in of_bare}
        tree, big = Path(bare.paths["tree"]), Path(bare.paths["big"])
        assert {file.name: file.read_text() for file in tree.iterdir()} == {
            str(index): f"file {index}" for index in range(40)
        }
        assert big.read_bytes() == Path(data.big_file).read_bytes()
        for drv in (bare.paths["built"], *bare.paths["many"].split()):
            (output,) = set(re.findall(r'\("out","([^"]+)"', Path(drv).read_text()))
            assert Path(output).read_text() == "hi\n"
            assert Path(output).stat().st_mode == stat.S_IFREG | 0o444
        assert os.listdir(f"{bare.base}/notes") == []
    assert set(figures) == peers.BARE_ROWS
    assert min(figures.values()) > 0


def test_the_bare_daemon_is_nobody_s_peer() -> None:
    row = rows.ROWS[0]
    text = table(
        [row], {row.key: {"fruix": [0.2], "nix-2.8": [0.1], "bare": [0.05]}}, {}, ["fruix", "nix-2.8", "bare"]
    )
    assert text.splitlines()[-1].endswith("| 200 | 100 | 50 | 0.50 |  |")


def test_a_row_that_fails_is_told_by_the_exit_status_when_all_have_been_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_path(str(Path(peers.__file__).with_name("run")))

    def broken(*_: object) -> float:
        raise ConnectionResetError("gone")

    def lacking(*_: object) -> float:
        raise Unavailable("no network")

    def measured(*_: object) -> tuple[dict[str, dict[str, list[float]]], object, object]:
        made = (replace(rows.ROWS[0], measure=one) for one in (broken, lacking, lambda *_: 0.5))
        bare = peers.Daemon(peers.BARE, "nix", "", "", "", [], {}, "", "")
        found = [run["measure"](row, [bare], None, 1) for row in made]
        assert found == [{}, {}, {peers.BARE: [0.5]}]
        return {rows.ROWS[0].key: found[-1]}, {}, {}

    main = run["main"]
    for name, value in {"private_root": nullcontext, "compiled": int, "_measure_all": measured}.items():
        monkeypatch.setitem(main.__globals__, name, value)
    monkeypatch.setattr(sys, "argv", ["run"])
    with pytest.raises(SystemExit, match=rf"rows that failed.*: {rows.ROWS[0].key} \(bare\)$"):
        main()
    told = capsys.readouterr()
    assert "| 500 |" in told.out
    assert [line.partition(": ")[2] for line in told.err.splitlines()] == [
        "bare: failed: gone", "bare: not measured: no network",
    ]  # fmt: skip


def test_growth_is_told_by_a_tenth() -> None:
    one, other = (row for row in rows.ROWS if row.key in {"texts", "valid"})
    full = {one.key: {"fruix": [4.0], "nix-2.8": [2.0]}, other.key: {"fruix": [50.0]}}
    less = {one.key: {"fruix": [0.5]}, other.key: {"fruix": [100.0]}}
    text = tables(rows.ROWS, full, less, {"lowering": 1.0})
    assert f"| {one.title} | s | 4 | 2 | 0.50 | 8.0 |" in text
    assert f"| {other.title} | 1/s | 50 |  |  | 2.0 |" in text
    assert text.startswith("## Figures\n\n| what |")
    assert text.endswith("| lowering | 1 |")


@pytest.mark.parametrize("row", store_rows.ROWS, ids=lambda row: str(row.key))
def test_a_row_is_measured(row: Row, daemon: peers.Daemon, data: Data) -> None:
    """Rounds don't disturb each other; what a row says of the store is looked at by the row itself."""
    seconds = [row.measure(daemon, data, number) for number in range(2)]
    assert min(seconds) > 0
    cells = table([row], {row.key: {"fruix": seconds}}, {}, ["fruix"]).splitlines()[-1].split("|")
    assert [cell.strip() for cell in cells[1:3]] == [row.title, row.unit]


def test_a_collection_that_is_measured_leaves_what_is_alive(daemon: peers.Daemon, data: Data) -> None:
    store_rows.collect(daemon, data, 0)
    kept = {os.path.basename(path) for path in daemon.paths["live"].split()}
    assert set(os.listdir(daemon.store)) == kept
    assert len(kept) == data.count(store_rows.LIVE)
