"""FreeBSD's start script under stand-ins of rc.subr and daemon(8).

It starts the real daemon, waits for its end, and never lets two meet.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fruix.client import connect
from fruix.errors import UnreachableError
from machine import private_frx
from waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the daemon runs as root")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHELLS = {"dash": ("/bin/dash",), "busybox": ("/bin/busybox", "sh")}
# A daemon that takes its time: it says when it began and when it ended, also into a pipe that
# nobody reads. It prints before its first mark: whoever saw that may end what reads the pipe.
SLOW = """#!{python} -u
import os, signal, sys, time
mark = open({marks!r}, "a", buffering=1)
def end(*_):
    mark.write("ending\\n")
    while not os.path.exists({gate!r}):
        time.sleep(0.02)
    mark.write("ended\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("began with", sys.argv[1:], os.environ.get("WORD"))
mark.write("began\\n")
while True:
    signal.pause()
"""


@dataclass
class Host:
    """A small FreeBSD: its files, and the script run by a shell."""

    scratch: Path
    shell: tuple[str, ...]

    def service(self, word: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.shell, str(self.scratch / "fruix"), word],
            env={
                **os.environ,
                "RC_CONF": f"{self.scratch}/rc.conf",
                "RC_DONE": f"{self.scratch}/done",
                **more,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def configure(self, text: str) -> None:
        (self.scratch / "rc.conf").write_text(f"fruix_enable=YES\nfruix_log={self.scratch}/log\n{text}\n")

    def pid(self, name: str) -> int:
        path = self.scratch / name
        until(lambda: path.exists() and path.read_text() != "", str(path))
        return int(path.read_text())

    def until_marks(self, *marks: str) -> None:
        until(lambda: self.marks() == [*marks], f"the marks {marks}")

    def marks(self) -> list[str]:
        path = self.scratch / "marks"
        return path.read_text().split() if path.exists() else []


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    shell = SHELLS[request.param]
    if not Path(shell[0]).exists():
        pytest.fail(f"{shell[0]} is not installed")
    text = (ROOT / "etc/rc.d/fruix").read_text()
    for theirs, ours in (
        ("/etc/rc.subr", f"{HERE}/rc.subr"),
        ('command="/usr/sbin/daemon"', f'command="{tmp_path}/daemon"'),
        ("/var/run/", f"{tmp_path}/"),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    (tmp_path / "fruix").write_text(text)
    daemon = tmp_path / "daemon"
    daemon.write_text(f"#!{sys.executable}\n" + (HERE / "daemon").read_text())
    daemon.chmod(0o755)
    here = Host(tmp_path, shell)
    yield here
    (tmp_path / "gate").touch()
    here.service("stop")
    for name in ("fruix.pid", "fruix-daemon.pid"):  # of a daemon(8) that a test has killed
        if (tmp_path / name).exists():
            end(int((tmp_path / name).read_text()))


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def slow(host: Host) -> str:
    program = host.scratch / "slow"
    program.write_text(
        SLOW.format(python=sys.executable, marks=f"{host.scratch}/marks", gate=f"{host.scratch}/gate")
    )
    program.chmod(0o755)
    return str(program)


def test_the_real_daemon(host: Host) -> None:
    program = host.scratch / "fruix-command"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}/src" exec {sys.executable} -m fruix "$@"\n')
    program.chmod(0o755)
    host.configure(f"fruix_executable={program}\nfruix_env=FRUIX_CONF=/frx/x.toml")
    with private_frx():
        Path("/frx/x.toml").touch()
        done = host.service("start")
        assert (done.returncode, done.stdout) == (0, "Starting fruix.\n"), done.stderr
        assert (host.scratch / "done").read_text() == "kldload nullfs\nkldload tmpfs\n"
        until(lambda: host.service("ping").returncode == 0, "an answer to ping")
        pid = host.pid("fruix-daemon.pid")
        assert host.service("status").stdout.startswith("fruix is running as pid")
        done = host.service("stop")
        assert done.returncode == 0, done.stderr
        assert f"Waiting for PIDS: {pid}." in done.stdout
        assert not Path(f"/proc/{pid}").exists()
        assert "ready: store /frx/store" in (host.scratch / "log").read_text()
        with pytest.raises(UnreachableError):
            connect("/frx/var/fruix/daemon-socket/socket", "/frx/store")
        assert host.service("ping").returncode != 0


def test_stop_waits_for_what_daemon_runs(host: Host) -> None:
    host.configure(f"fruix_executable={slow(host)}")
    assert host.service("start").returncode == 0
    host.until_marks("began")
    stopping = subprocess.Popen(
        [*host.shell, str(host.scratch / "fruix"), "stop"],
        env={**os.environ, "RC_CONF": f"{host.scratch}/rc.conf", "RC_DONE": f"{host.scratch}/done"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stopping.stdout is not None
    lines = [
        stopping.stdout.readline() for _ in range(3)
    ]  # the third names the daemon, when daemon(8) is gone
    assert lines[0] == "Stopping fruix.\n"
    assert not (host.scratch / "fruix.pid").exists()
    host.until_marks("began", "ending")
    assert stopping.poll() is None
    (host.scratch / "gate").touch()
    stopping.communicate(timeout=PATIENCE)
    assert host.marks() == ["began", "ending", "ended"]


def test_a_restart_never_meets_the_old_one(host: Host) -> None:
    host.configure(f"fruix_executable={slow(host)}\nfruix_args='--config x'\nfruix_env='WORD=one'")
    assert host.service("start").returncode == 0
    host.until_marks("began")
    line = "began with ['daemon', '--config', 'x'] one\n"
    until(lambda: (host.scratch / "log").read_text() == line, "what the first said")
    (host.scratch / "gate").touch()
    done = host.service("restart")
    assert done.returncode == 0, done.stderr
    host.until_marks("began", "ending", "ended", "began")
    until(lambda: (host.scratch / "log").read_text() == 2 * line, "what both said")


def test_a_second_start_and_a_stop_of_nothing(host: Host) -> None:
    host.configure(f"fruix_executable={slow(host)}")
    done = host.service("stop")
    assert (done.returncode, done.stderr.startswith("fruix not running?")) == (1, True)
    assert host.service("start").returncode == 0
    host.until_marks("began")
    done = host.service("start")
    assert (done.returncode, done.stderr.startswith("fruix already running?")) == (1, True)
    (host.scratch / "gate").touch()
    assert host.service("faststop").returncode == 0  # at shutdown
    assert host.marks() == ["began", "ending", "ended"]


def test_a_daemon_that_has_lost_its_supervisor_is_named(host: Host) -> None:
    host.configure(f"fruix_executable={slow(host)}")
    assert host.service("start").returncode == 0
    host.until_marks("began")
    pid = host.pid("fruix-daemon.pid")
    os.kill(host.pid("fruix.pid"), signal.SIGKILL)
    until(lambda: host.service("status").returncode == 1, "the end of daemon(8)")
    done = host.service("start")
    assert done.returncode == 1
    assert f"'kill {pid}'" in done.stderr
    (host.scratch / "gate").touch()
    os.kill(pid, signal.SIGTERM)
    host.until_marks("began", "ending", "ended")
    assert host.service("start").returncode == 0
    host.until_marks("began", "ending", "ended", "began")


def test_a_variable_of_rc_subr_is_refused_by_name(host: Host) -> None:
    host.configure(f"fruix_program={slow(host)}")
    done = host.service("start")
    assert done.returncode == 1
    assert "name the command in fruix_executable" in done.stderr
    assert host.marks() == []


def test_not_enabled(host: Host) -> None:
    (host.scratch / "rc.conf").write_text(f"fruix_executable={slow(host)}\n")
    done = host.service("start")
    assert (done.returncode, done.stdout.startswith("Cannot 'start' fruix.")) == (0, True)
    assert host.marks() == []


def test_no_variable_of_ours_is_one_of_rc_subr() -> None:
    """Those that rc.subr(8) and its successors up to FreeBSD 15 read as `${name}_X`."""
    theirs = """
        chdir chroot cpuset desc env env_file fib flags group groups limits login_class nice offcmd oomprotect
        prepend program setup svcj svcj_ipaddrs svcj_options umask user
    """
    text = (ROOT / "etc/rc.d/fruix").read_text()
    ours = {
        line.split("fruix_")[1].split(":=")[0] for line in text.splitlines() if line.startswith(": ${fruix_")
    }
    assert ours == {"enable", "executable", "args", "log"}
    assert not ours & set(theirs.split())
    assert "fruix_environment" not in text


def test_posix_shells_take_it() -> None:
    for shell in SHELLS.values():
        subprocess.run([*shell, "-n", str(ROOT / "etc/rc.d/fruix")], check=True)
    if checker := shutil.which("shellcheck"):
        subprocess.run([checker, "-s", "sh", "-S", "error", str(ROOT / "etc/rc.d/fruix")], check=True)
