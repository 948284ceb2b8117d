"""Quick answers are those of the whole command, or there are none."""

from __future__ import annotations

import bz2
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import peers
from cli.terminals import on_terminal
from fruix.cli.quick import log, ps
from fruix.client import connect, socket_path
from fruix.client.question import Question
from fruix.errors import BadStorePathError
from fruix.model.activity import ActiveBuild
from fruix.model.base_name import is_base_name
from fruix.model.storepath import StorePath
from fruix.protocol import numbers
from own_daemon import own_daemon
from waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

DRV = "/frx/fruix/store/00000000000000000000000000000000-x-1.drv"
ENDLESS = """Package(name="endless", version="1", build_system="trivial", arguments={
    "script": "echo '@ fruix phase spin'; while :; do sleep 0.1; done"})"""
WHOLE = """
import sys
from fruix.cli.command_line import main
from fruix.cli.output.standard_streams import flushed, prepare
prepare()
sys.exit(flushed(main(sys.argv[1:])))
"""
LOGS = {
    "plain": b"one\ntwo\tthree\nno end of line",
    "empty": b"",
    "long": b"a line of a log\n" * 20_000,
    "odd": b"plain\n" * 12_000 + b"\x1b[31mred \xc3\xa4\n\rover\x1b[2Jwrite \xff\x9b2J\n" + b"x" * 10,
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[peers.Daemon]:
    with own_daemon() as found:
        yield found


@pytest.fixture(autouse=True)
def _environment(daemon: peers.Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in daemon.environment.items():
        monkeypatch.setenv(name, value)


def loaded(*words: str) -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "fruix", *words]
    done = subprocess.run(command, capture_output=True, check=True)
    return set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr.decode(), re.MULTILINE))


def test_a_daemon_that_builds_nothing(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert ps.answer([], os.environ) == 0
    assert capfdbinary.readouterr().out == b"nothing is being built\n"
    assert "argparse" not in loaded("ps")
    assert "argparse" in loaded("ps", "--json")


def test_builds_are_read_as_by_the_whole_client(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    words = [sys.executable, "-m", "fruix", "build", "-e", ENDLESS]
    building = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        with connect(socket_path(os.environ)) as store:
            until(lambda: any(build.phase == "spin" for build in store.active_builds()), "its phase")
            (build,) = store.active_builds()
        with Question(socket_path(os.environ)) as question:
            question.ask(numbers.QUERY_ACTIVE_BUILDS)
            (row,) = question.records(numbers.ACTIVE_BUILD)
        steady = {
            "drv",
            "kind",
            "state",
            "submitted_ms",
            "started_ms",
            "phase",
            "phase_started_ms",
            "pid",
            "log_file",
        }
        assert {name: str(getattr(row, name)) for name in steady} == {
            name: str(getattr(build, name)) for name in steady
        }
        assert [vars(client) for client in row.clients] == [
            {"uid": client.uid, "user": client.user, "pid": client.pid} for client in build.clients
        ]
        assert {name for name, _ in numbers.ACTIVE_BUILD} == set(ActiveBuild.__match_args__)
        assert ps.answer([], os.environ) == 0
        assert re.search(rb"^endless-1 +running +spin ", capfdbinary.readouterr().out, re.MULTILINE)
    finally:
        building.terminate()
        building.wait()


@pytest.mark.parametrize(
    "said", [(), (numbers.SERVER_MAGIC, 0x126, 0), (numbers.SERVER_MAGIC, 0x125), (1, 2, 3, 4, 5, 6, 7, 8, 9)]
)
def test_what_is_no_daemon_of_ours_is_left_to_the_whole_command(
    said: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "s")

    def serve() -> None:
        stream, _ = listening.accept()
        with stream:
            stream.sendall(b"".join(number.to_bytes(8, "little") for number in said))

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        monkeypatch.setenv("FRUIX_DAEMON_SOCKET", place)
        assert ps.answer([], os.environ) is None
        thread.join()
    assert ps.answer([], os.environ) is None  # nobody listens
    monkeypatch.setenv("FRUIX_DAEMON_SOCKET", "nowhere")
    assert ps.answer([], os.environ) is None
    assert capfd.readouterr() == ("", "")


def place_of_log(base: str = os.path.basename(DRV)) -> Path:
    place = Path(os.environ["FRUIX_LOG_DIR"]) / "drvs" / base[:2] / base[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


@pytest.mark.parametrize("raw", [[], ["--raw"]])
@pytest.mark.parametrize("kind", LOGS)
def test_a_log_is_what_the_whole_command_prints(
    kind: str, raw: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    place_of_log().with_name(place_of_log().name + ".bz2").write_bytes(bz2.compress(LOGS[kind]))
    assert log.answer([*raw, DRV], os.environ) == 0
    assert capfdbinary.readouterr().out == LOGS[kind]
    forms = [[sys.executable, "-m", "fruix"], [sys.executable, "-c", WHOLE]]
    quick, whole = (on_terminal([*form, "log", DRV, *raw], os.environ, columns=80) for form in forms)
    assert quick == whole
    assert ("argparse" in loaded("log", DRV, *raw)) is False


def test_other_logs_are_left_to_the_whole_command(capfd: pytest.CaptureFixture[str]) -> None:
    place = place_of_log().with_name(place_of_log().name + ".check")
    place.write_bytes(b"checked\n")
    assert log.answer(["--check", DRV], os.environ) == 0
    assert capfd.readouterr().out == "checked\n"
    place.with_name("broken.drv.bz2").write_bytes(b"no bzip2")
    broken = f"{os.path.dirname(DRV)}/00broken.drv"
    for words in (
        [],
        ["hello"],
        [DRV, DRV],
        ["-f", DRV],
        ["--record", DRV],
        ["--raw", "--raw", DRV],
        [DRV.removesuffix(".drv")],
        [DRV.replace("/frx/", "/gnu/")],
        [DRV.replace("-x-1", "-never-built")],
        [f"{os.path.dirname(DRV)}/../store/{os.path.basename(DRV)}"],
        [broken],
    ):
        assert log.answer(words, os.environ) is None, words
    assert capfd.readouterr() == ("", "")


def test_a_log_that_nobody_reads_or_that_has_no_place(capfd: pytest.CaptureFixture[str]) -> None:
    place_of_log().write_bytes(LOGS["long"])
    command = f"{sys.executable} -m fruix log {DRV}"
    piped = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert piped.stdout == "a line of a log\n141\n"
    full = subprocess.run(
        ["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True, check=False
    )
    assert (full.returncode, "No space left" in full.stderr) == (1, True)
    place_of_log().unlink()


@given(
    st.from_regex(r"\A[0-9a-z]{31,33}-[0-9A-Za-z+\-._?=/]{0,212}\Z")
    | st.from_regex(r"\A[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9A-Za-z+\-._?=]{1,212}\Z")
    | st.text()
)
def test_base_names(text: str) -> None:
    try:
        StorePath.of("/frx/store", text)
    except BadStorePathError:
        assert not is_base_name(text)
    else:
        assert is_base_name(text)
