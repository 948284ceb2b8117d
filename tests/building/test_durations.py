from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fruix.building import durations
from fruix.building.durations import KEPT, History
from fruix.model.storepath import package_of


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("hello-2.12.3", "hello"),
        ("hello-2.12.3.tar.gz", "hello"),
        ("python-3.11-doc", "python"),
        ("gtk4-4.2", "gtk4"),
        ("sed_4.9.orig.tar.xz", "sed"),
        ("x86_64-tool-2.1", "x86_64-tool"),
        ("plain", "plain"),
        ("-1", "-1"),
    ],
)
def test_versions_share_a_package(name: str, package: str) -> None:
    assert package_of(name) == package


def test_the_median_of_the_latest(tmp_path: Path) -> None:
    past = History(f"{tmp_path}/history")
    assert past.usual_ms("build", "hello-2") is None
    for seconds in (1000.0, *range(1, KEPT + 1)):
        past.add("build", f"hello-{seconds}", seconds, {"check": 0.5})
    past.add("download", "hello-2.tar.gz", 70.0, {})
    for reader in (past, History(f"{tmp_path}/history")):
        assert reader.usual_ms("build", "hello-9") == 5500  # the first one is too old to count
        assert reader.usual_ms("download", "hello-9.tar.gz") == 70_000
    lines = [json.loads(line) for line in Path(f"{tmp_path}/history").read_text().splitlines()]
    assert lines[1]["phases"] == {"check": 0.5}
    assert os.stat(f"{tmp_path}/history").st_mode & 0o777 == 0o600


def test_what_was_built_last(tmp_path: Path) -> None:
    """The last derivation of a name in any version, also after a start.

    A line without a derivation (of an earlier release) takes none away.
    """
    past = History(f"{tmp_path}/history")
    assert past.last("build", "hello-2") == ""
    past.add("build", "hello-2.1", 1.0, {}, "/frx/store/a-hello-2.1.drv")
    past.add("build", "hello-2.2", 1.0, {}, "/frx/store/b-hello-2.2.drv")
    past.add("download", "hello-2.3", 1.0, {}, "/frx/store/c-hello-2.3.drv")
    past.add("build", "hello-2.4", 1.0, {})
    for reader in (past, History(f"{tmp_path}/history")):
        assert reader.last("build", "hello-9") == "/frx/store/b-hello-2.2.drv"


@pytest.mark.parametrize(
    "junk", [b"", b"\xff\xfe\n", b"[]\n", b"{}\n", b'{"kind": "build", "name": "a", "seco']
)
def test_broken_lines_are_passed_over_and_put_right(tmp_path: Path, junk: bytes) -> None:
    file = tmp_path / "history"
    History(str(file)).add("build", "a-1", 3, {})
    file.write_bytes(file.read_bytes() + junk)
    past = History(str(file))
    past.add("build", "a-1", 5, {})
    assert past.usual_ms("build", "a") == 4000
    assert History(str(file)).usual_ms("build", "a") == 4000


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "SLACK", 20)
    file = tmp_path / "history"
    past = History(str(file))
    for count in range(200):
        past.add("build", "a-1", count, {})
        assert len(file.read_bytes().splitlines()) <= KEPT + KEPT + 20
    assert History(str(file)).usual_ms("build", "a") == past.usual_ms("build", "a") == 194_500
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True) * 9))
    assert History(str(file)).usual_ms("build", "a") == 194_500
    assert len(file.read_bytes().splitlines()) == KEPT
    assert os.listdir(tmp_path) == ["history"]


def test_a_full_disk_is_no_reason_to_fail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    past = History(f"{tmp_path}/no/such/history")
    past.add("build", "a-1", 3, {})
    assert past.usual_ms("build", "a") == 3000
    assert "can't remember" in caplog.text
