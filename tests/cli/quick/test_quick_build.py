"""`fruix build DRV` says its first line before the whole command is loaded, which asks nothing twice."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from fruix.cli.quick import build
from fruix.client.resumed import ResumedStream
from fruix.errors import ProtocolError
from own_daemon import own_daemon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

DRV = "/frx/fruix/store/00000000000000000000000000000000-x-1.drv"
WHOLE = """
import sys
from fruix.cli.command_line import main
from fruix.cli.output.standard_streams import flushed, prepare
prepare()
sys.exit(flushed(main(sys.argv[1:])))
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[peers.Daemon]:
    with own_daemon() as found:
        yield found


@pytest.fixture(autouse=True)
def _environment(daemon: peers.Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # nothing is remembered
    for name, value in daemon.environment.items():
        monkeypatch.setenv(name, value)


TRIVIAL = """Package(name="NAME", version="1", build_system="trivial", arguments={"script": "SCRIPT"})"""


def derivation(name: str, script: str = "echo > $out") -> str:
    """One that is in the store and was not built."""
    expression = TRIVIAL.replace("NAME", name).replace("SCRIPT", script)
    words = [sys.executable, "-m", "fruix", "build", "-n", "-e", expression]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (found,) = re.findall(rf"^ +(/\S+-{name}-1\.drv)$", done.stderr, re.MULTILINE)
    return str(found)


def whole(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WHOLE, *words], capture_output=True, text=True, check=False)


def installed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fruix", *words], capture_output=True, text=True, check=False
    )


def begun(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """What the line said; the connection is closed."""
    found = build.begin(words, os.environ)
    assert found is not None
    os.close(found.descriptor)
    assert capfd.readouterr() == ("", f"{found.said}\n" if found.said else "")
    return found.said


def test_a_plan_is_said_as_the_whole_command_says_it(capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = derivation("said"), derivation("said-bad", "exit 3")
    for words in ([good], [good, bad]):
        said = begun(capfd, *words)
        assert re.match(rf"{len(words)} to build", said)
        assert begun(capfd, "-k", *words, "-v") == said
        planned = whole("build", "-n", *words)
        assert planned.stderr.splitlines()[0] == said


def test_a_build_goes_on_with_what_was_asked(daemon: peers.Daemon) -> None:
    drv = derivation("goes-on")
    words = ["strace", "-f", "-e", "trace=connect,write,sendto", "-s", "300", sys.executable, "-m", "fruix"]
    done = subprocess.run([*words, "build", drv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("-goes-on-1")
    calls = done.stderr.split("\n")
    assert sum(daemon.socket in line for line in calls if "connect(" in line) == 2, "one of them to remember"
    assert sum(f"{drv}!*" in line for line in calls if "sendto(" in line) == 2, "a plan, and the build"
    assert sum("1 to build" in line for line in calls if "write(2" in line) == 1
    (failed, expected) = (one("build", derivation("fails", "exit 3")) for one in (installed, whole))
    assert failed.returncode == expected.returncode != 0
    assert failed.stderr.splitlines()[0] == "1 to build"
    assert [line for line in failed.stderr.splitlines() if "error" in line]


def test_what_a_build_is_answered_is_heard_again() -> None:
    """Errors of the daemon, and that nothing is to be done, are told by the whole command alone."""
    absent = DRV.replace("/frx/fruix/store", os.environ.get("FRUIX_STORE_DIR", "/frx/store"))
    drv = derivation("heard-again")
    for words in ([absent], [absent, drv]):
        one, other = installed("build", *words), whole("build", *words)
        assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)
        assert one.returncode != 0
    assert installed("build", drv).returncode == 0
    one, other = installed("build", drv, drv), whole("build", drv, drv)
    assert (one.stdout, one.stderr) == (other.stdout, other.stderr)
    assert "nothing to be done" in one.stderr


@pytest.mark.parametrize(
    "words",
    [[], ["hello"], ["-n", DRV], ["-j", DRV], ["--check", DRV], [f"{DRV}!out"], ["/tmp/x.drv"], [f"{DRV}/"]],
)
def test_unusual_words_are_left_to_the_whole_command(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert build.begin(words, os.environ) is None
    assert capfd.readouterr() == ("", "")


def test_a_line_that_is_not_plain_is_left_to_the_whole_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drv = derivation("plain")
    monkeypatch.setattr(build, "counted", lambda *_: "odd \x1b[2J")
    assert begun(capfd, drv) == ""
    monkeypatch.setattr(build, "_MOST", 0)
    assert begun(capfd, drv) == ""


def test_a_stream_that_is_resumed_sends_nothing_twice() -> None:
    ours, theirs = socket.socketpair()
    stream = ResumedStream(ours.detach(), b"abcdef", b"123")
    with stream, theirs:
        stream.sendall(b"abc")
        assert stream.recv(2) == b"12"
        with pytest.raises(ProtocolError):
            stream.sendall(b"dxf")
        stream.sendall(bytearray(b"defgh"))
        assert theirs.recv(10) == b"gh"
        theirs.sendall(b"456")
        assert stream.recv(10) == b"3"
        assert stream.recv(10) == b"456"
