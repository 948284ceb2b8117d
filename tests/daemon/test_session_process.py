"""Sessions of Guix's clients have a process of their own, as `guix processes` looks for them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.asking import client
from daemon.serving import running
from fruix.daemon.session_process import session_process
from fruix.protocol.wire import Dialect
from waiting import until

SYNC = 13
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="machine: sessions are looked for in Linux's /proc"
)


def shown(pid: int) -> int:
    """How many sessions of a client's process are found."""
    lines = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):  # it has ended
            lines.append(Path("/proc", name, "cmdline").read_bytes())
    return lines.count(b"guix-daemon\0%d\0" % pid)


def test_one_for_each_session_that_asks_until_it_ends(tmp_path: Path) -> None:
    me = os.getpid()
    with running(tmp_path) as daemon:
        first, second = (client(daemon, Dialect.GUIX, 0x64) for _ in range(2))
        for each in (first, second):
            each.greet()
        assert shown(me) == 0  # a connection that asks nothing has none
        # A process that has just been started shows its arguments a moment later.
        first.call(SYNC)
        until(lambda: shown(me) == 1, "the first session is shown")
        second.call(SYNC)
        first.call(SYNC)
        until(lambda: shown(me) == 2, "both sessions are shown")
        other = client(daemon)
        other.greet()
        other.call(SYNC)
        assert shown(me) == 2
        first.stream.close()
        until(lambda: shown(me) == 1, "the process ends with its session")
    until(lambda: shown(me) == 0, "the daemon ends its sessions")


def test_it_ends_with_a_daemon_that_is_killed() -> None:
    program = (
        "import os\nfrom fruix.daemon.session_process import session_process\n"
        "with session_process(os.getpid()):\n    print(os.getpid(), flush=True)\n    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout
        pid = int(daemon.stdout.readline())
        until(lambda: shown(pid) == 1, "the session is shown")
        daemon.kill()
    until(lambda: shown(pid) == 0, "the process ends with its daemon")


def test_nothing_is_shown_without_a_client_or_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    with session_process(0):
        assert shown(0) == 0
    monkeypatch.setenv("PATH", "/nowhere")
    with session_process(os.getpid()):
        assert shown(os.getpid()) == 0
