"""A build that was answered before is answered from memory as long as nothing has changed."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from fruix.cli import command_line, remembered
from fruix.cli.quick import log
from fruix.cli.request.remember import remember
from fruix.cli.request.targets import lowering
from fruix.client import RemoteStore, connect, socket_path
from fruix.daemon.embedded import embedded_store
from fruix.daemon.listening import StateLock
from fruix.model.storepath import StorePath
from fruix.packages import load
from fruix.packages.lower import Lowering
from fruix.packages.package import Package
from own_daemon import own_daemon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

LATE = 1 << 62  # as if the command began long after the sources of this checkout were written
NO_DAEMON = "no daemon at the socket: working with an embedded one\n"
# What such a command loads of Fruix.
LOADED = {"fruix", "fruix.__main__", "fruix.cli", "fruix.cli.remembered"}


@pytest.fixture(scope="module")
def daemon() -> Iterator[peers.Daemon]:
    with own_daemon() as found:
        yield found


@pytest.fixture(autouse=True)
def _environment(daemon: peers.Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if daemon.process is None:
        daemon.start()
    for name, value in {**daemon.environment, "XDG_CACHE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name in ("FRUIX_PACKAGE_PATH", "FRUIX_SOURCES", "METADATA_OUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(remembered, "BEGUN", LATE)


def remembering(store: RemoteStore, *words: str) -> StorePath:
    """A path that counts as the result of `fruix build hello` from now on."""
    path = store.add_text("result", b"hello")
    remember(store, words or ["hello"], [], [path])
    return path


def told() -> StorePath:
    with connect(socket_path(os.environ)) as store:
        return remembering(store)


def test_answered_with_hardly_a_module(daemon: peers.Daemon) -> None:
    path = told()
    words = [sys.executable, "-X", "importtime", "-m", "fruix", "build", "hello"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    own = {name for name in loaded if name.partition(".")[0] == "fruix"}
    assert done.stdout == f"{path}\n"
    assert remembered.SAID in done.stderr.splitlines()
    assert own <= LOADED
    assert not loaded & {"argparse", "hashlib", "json", "socket", "threading", "tomllib"}


def test_said_as_by_the_whole_command(capfd: pytest.CaptureFixture[str]) -> None:
    path = told()
    assert remembered.answer(["hello"], os.environ) == 0
    assert capfd.readouterr() == (f"{path}\n", f"{remembered.SAID}\n")


def test_a_derivation_by_its_path(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = {"script": "echo > $out"}
    package = Package(name="x", version="1", build_system="trivial", arguments=arguments)
    with connect(socket_path(os.environ)) as store:
        drv = lowering(store).lowered(package).drv.text
    assert command_line.main(["build", drv]) == 0
    assert remembered.answer([f"{drv[:-4]}y.drv"], os.environ) is None
    capfd.readouterr()
    assert command_line.main(["build", drv]) == 0
    whole = capfd.readouterr()
    assert remembered.answer([drv], os.environ) == 0
    assert capfd.readouterr() == whole
    assert os.listdir(tmp_path / "fruix/built") == [drv.replace("/", ":")]


def test_the_log_of_a_package_that_was_built(capfd: pytest.CaptureFixture[str]) -> None:
    with connect(socket_path(os.environ)) as store:
        package = Package(name="x", version="1", build_system="trivial", arguments={"script": "echo > $out"})
        drv = lowering(store).lowered(package).drv
        output = store.add_text("result", b"hello")
        remember(store, ["hello"], [drv], [output])
        remember(store, ["hello", "grep"], [drv, drv], [output])
    place = Path(os.environ["FRUIX_LOG_DIR"]) / "drvs" / drv.base[:2] / drv.base[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("built\n")
    assert log.answer(["hello"], os.environ) == 0
    assert capfd.readouterr().out == "built\n"
    words = [sys.executable, "-X", "importtime", "-m", "fruix", "log", "hello"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "built\n"
    assert "argparse" not in done.stderr
    for word in ("grep", "hello@1", "hello-1", "x.py"):
        assert log.answer([word], os.environ) is None
    assert log.answer(["hello"], {**os.environ, "FRUIX_PACKAGE_PATH": "/x"}) is None
    assert remembered.derivations(["hello", "grep"], os.environ) == [drv.text, drv.text]


def test_not_of_other_words_or_circumstances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told()
    file = tmp_path / "fruix/built/hello"
    for words in ([], ["hallo"], ["hello", "hello"], ["./hello"], ["/hello"], ["-n", "hello"], ["@hello"]):
        assert remembered.answer(words, os.environ) is None
    for name in ("FRUIX_PACKAGE_PATH", "METADATA_OUT", "FRUIX_SOMETHING", "NIX_REMOTE"):
        assert remembered.answer(["hello"], {**os.environ, name: "x"}) is None
    file.chmod(0o620)
    assert remembered.answer(["hello"], os.environ) is None
    file.chmod(0o600)
    os.chown(file, 1, 1)
    assert remembered.answer(["hello"], os.environ) is None
    os.chown(file, 0, 0)
    assert remembered.answer(["hello"], os.environ) == 0
    monkeypatch.setattr(os, "write", lambda _number, _data: 1)
    assert remembered.answer(["hello"], os.environ) is None


def test_not_once_a_file_of_fruix_s_has_changed(tmp_path: Path) -> None:
    told()
    file = tmp_path / "fruix/built/hello"
    lines = file.read_text().split("\n")
    place = next(at for at, line in enumerate(lines) if line.endswith("/packages/lower.py"))
    assert any(line.endswith("/roots/debian-12.toml") for line in lines)
    assert any(line.endswith("/packages/catalogue") for line in lines)
    number, rest = lines[place].split(" ", 1)
    file.write_text("\n".join([*lines[:place], f"{int(number) + 1} {rest}", *lines[place + 1 :]]))
    assert remembered.answer(["hello"], os.environ) is None


def test_not_what_may_have_been_read_before_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "BEGUN", os.stat(remembered.__file__).st_ctime_ns)
    told()
    assert not (tmp_path / "fruix").exists()


def test_not_once_the_result_is_deleted() -> None:
    path = told()
    assert remembered.answer(["hello"], os.environ) == 0
    with connect(socket_path(os.environ)) as store:
        store.delete([path])
    assert remembered.answer(["hello"], os.environ) is None


def test_not_where_others_could_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    told()
    assert not (tmp_path / "fruix/built/hello").exists()


def test_the_directory_stays_small(tmp_path: Path) -> None:
    with connect(socket_path(os.environ)) as store:
        for number in range(70):
            remembering(store, f"p{number}")
    assert len(list((tmp_path / "fruix/built").iterdir())) == 64


def test_embedded(daemon: peers.Daemon, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.stop()
    with embedded_store(os.environ) as store:
        path = remembering(store)
    assert remembered.answer(["hello"], os.environ) == 0
    assert capfd.readouterr() == (f"{path}\n", f"{NO_DAEMON}{remembered.SAID}\n")
    state = f"{daemon.base}/var"
    with StateLock(state) as lock:  # a daemon works on it
        lock.take("test")
        assert remembered.answer(["hello"], os.environ) is None
    Path(f"{daemon.database}-wal").write_text("")  # one was killed
    assert remembered.answer(["hello"], os.environ) is None
    os.unlink(f"{daemon.database}-wal")
    daemon.start()
    assert remembered.answer(["hello"], os.environ) is None
    daemon.stop()
    assert remembered.answer(["hello"], os.environ) == 0
    with sqlite3.connect(daemon.database) as connection:  # as after a loss of power
        connection.execute("update FruixSync set mark = 0")
    connection.close()
    assert remembered.answer(["hello"], os.environ) is None


@pytest.mark.parametrize("alone", [True, False])
def test_a_build_is_remembered_if_it_followed_from_definitions_alone(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The package needs tools of this host."""
    package = Package(name="hello", version="1", build_system="trivial", arguments={"script": "echo > $out"})
    monkeypatch.setattr(load, "shipped", lambda _name: package)
    if alone:
        monkeypatch.setattr(Lowering, "of_definitions_alone", True)
    assert command_line.main(["build", "hello"]) == 0
    assert (tmp_path / "fruix/built/hello").exists() == alone
    assert command_line.main(["build", "hello"]) == 0
    said = capfd.readouterr()
    assert (remembered.answer(["hello"], os.environ) == 0) == alone
    if alone:
        again = capfd.readouterr()
        assert said.out == 2 * again.out
        assert said.err.endswith(again.err)
