"""The self-test passes here, and fails, by name, when something is wrong."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fruix.testing.selftest as selftest_module
from crashing import clear_away
from fruix.building.recovery import user_locks
from fruix.building.steps import all_steps
from fruix.sandbox import UserLocks
from fruix.store.layout import Layout
from fruix.testing import crashes, expected_view, scratch_daemon
from fruix.testing.selftest import Outcome, selftest
from fruix.testing.traces import traces
from machine import builder_of, private_frx, shown_at
from sites import Site

STEPS = ("journal", "watch", "register")
# What a machine may be unable to answer: it has another file system, release, processor, or no
# network for builds.
ONLY_ELSEWHERE = {
    "file flags",
    "zfs",
    "FreeBSD 14 or later",
    "arm64",
    "jail descriptors",
    "sockets and nullfs",
    "racct",
    "networked build",
    "download",
}


def run() -> tuple[list[str], dict[str, tuple[Outcome, str]]]:
    seen: dict[str, tuple[Outcome, str]] = {}

    def report(outcome: Outcome, name: str, detail: str, _seconds: float) -> None:
        seen[name] = (outcome, detail)

    return selftest(report), seen


@pytest.fixture(autouse=True)
def few_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some steps only: all of them take minutes.

    The command itself goes through them (`.ci/run`), and so does tests/building.
    """
    some = [step for step in all_steps() if step.name in STEPS]
    assert len(some) == len(STEPS)
    monkeypatch.setattr(crashes, "all_steps", lambda: some)


def test_everything_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a daemon that builds, too, and that build goes on as if nothing had happened."""
    monkeypatch.setattr(scratch_daemon, "PARENTS", ("/frx",))
    with private_frx():
        beside = Site("beside")
        beside.start()
        try:
            build = beside.build("beside", tmp_path)
            failed, seen = run()
            assert failed == [], seen
            assert Outcome.FAILED not in {outcome for outcome, _ in seen.values()}
            untried = {
                name: detail for name, (outcome, detail) in seen.items() if outcome is Outcome.NOT_TRIED
            }
            assert untried.keys() <= ONLY_ELSEWHERE
            assert all(untried.values())
            assert list(Path("/frx").glob("fruix-selftest-*")) == []
            result = build.finish()
            assert result is not None
            assert result.success, result.message
            beside.end()
        finally:
            clear_away()


def test_a_weaker_sandbox_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_daemon, "program", "weakened")
    monkeypatch.setattr(scratch_daemon, "MODULES", [*scratch_daemon.MODULES, str(Path(__file__).parent)])
    monkeypatch.setattr(selftest_module, "crash_checks", tuple)
    failed, seen = run()
    assert failed == ["what is seen"], seen
    detail = seen["what is seen"][1]
    assert "seen, should not be: host buildhost" in detail
    assert "should be, not seen: host localhost" in detail
    assert "seen, should not be: entry /etc/motd" in detail


def test_a_daemon_that_does_not_start_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_daemon, "program", "no_such_module")
    failed, seen = run()
    assert failed == ["daemon starts"]
    assert "No module named no_such_module" in seen["daemon starts"][1]


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("mount ok\n", "mount: ok, should be EPERM"),
        ("mount 2 No such file or directory\n", "mount: ENOENT (No such file or directory), should be EPERM"),
        ("", "mount: not tried, should be EPERM"),
        ("left-open-descriptor 7\n", "left-open-descriptor: 7"),
        ("keys ok\n", "keys: ok"),
    ],
)
def test_open_doors(printed: str, found: str) -> None:
    assert found in expected_view.open_doors(printed, "freebsd-jail")


def test_doors_that_only_one_system_has() -> None:
    found = expected_view.open_doors("machine-socket ok\n", "linux-namespaces")
    assert "machine-socket: ok, should be EAFNOSUPPORT" in found
    assert "old-socket: not tried, should be ENOSYS" in found


def test_traces(tmp_path: Path) -> None:
    layout = Layout(f"{tmp_path}/store", f"{tmp_path}/state", f"{tmp_path}/log")
    assert traces(layout) == []
    Path(layout.builds, "journal").mkdir(parents=True)
    Path(layout.builds, "frx-x").mkdir()
    Path(layout.builds, "journal", "frx-x.json").touch()
    Path(layout.store).mkdir()
    Path(layout.store, ".tmp-0123456789abcdef").touch()
    Path(layout.locks).mkdir()
    Path(layout.locks, "abc").touch()
    assert traces(layout) == [
        "build directory frx-x",
        "journal entry frx-x.json",
        "lock of abc",
        "store directory holds .tmp-0123456789abcdef",
    ]


def test_traces_of_users(tmp_path: Path) -> None:
    """A user that another daemon has is nobody's left-over.

    One that nobody has is, if processes of it live as builders do.
    """
    with shown_at("/run/fruix"):
        layout = Layout(f"{tmp_path}/store", f"{tmp_path}/state", f"{tmp_path}/log")
        locks = user_locks(layout)
        other = UserLocks(locks.directory, "the daemon on /elsewhere").take(35030)
        mine = locks.take(35031)
        assert other is not None
        assert mine is not None
        own = f"{tmp_path}/.store.owner"
        Path(own).write_text("store 0123456789abcdef\n")
        with builder_of(35030, "frx-a-01234567-b") as pid, builder_of(35030, "frx-a-76543210-b"):
            assert traces(layout) == [
                f"build user 35031 is locked by the daemon on {layout.state}, process {os.getpid()}"
            ]
            os.close(mine)
            assert traces(layout) == []
            os.close(other)
            assert traces(layout) == [f"processes of build user 35030: [{pid}]"]
        assert traces(layout) == []


def test_the_command_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fruix.cli.command_line import main

    monkeypatch.setattr(scratch_daemon, "program", "no_such_module")
    assert main(["doctor", "--selftest"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("FAILED  daemon starts")
    assert err == "self-test failed: daemon starts\n"


def test_only_the_standard_library_is_needed() -> None:
    """Run without site-packages, as on a machine that has nothing but Python."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(selftest_module.__file__).parents[2])}
    short = "from fruix.testing import crashes; crashes.all_steps = tuple"
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"{short}; from fruix.cli.command_line import main; main(['doctor', '--selftest'])",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "self-test passed"


# Told twice to end, where it can hurt: when a daemon has just been started, or killed while it was building.
TOLD_TO_END = """
import os, signal, sys
from fruix.cli.command_line import main
from fruix.store.owner import identity_of
from fruix.testing import crashes, scratch_daemon
from fruix.testing.traces import traces

method, number = sys.argv[1], int(sys.argv[2])
crashes.all_steps = tuple
scratch_daemon.PARENTS = ("/frx",)
plain = getattr(scratch_daemon.Scratch, method)

def first(self):
    plain(self)
    setattr(scratch_daemon.Scratch, method, plain)
    left = "; ".join(traces(self.layout)) or "nothing"
    print("told", self.base, identity_of(self.layout.store), left, flush=True)
    os.kill(os.getpid(), number)
    raise AssertionError("not ended")

setattr(scratch_daemon.Scratch, method, first)
settle = scratch_daemon.Scratch.settle

def again(self):
    os.kill(os.getpid(), number)
    settle(self)

scratch_daemon.Scratch.settle = again
sys.exit(main(["doctor", "--selftest"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("method", ["start", "crash"])
def test_nothing_stays_when_it_is_told_to_end(method: str, number: signal.Signals) -> None:
    """Twice, the second time while it cleans up."""
    with private_frx():
        done = subprocess.run(
            [sys.executable, "-c", TOLD_TO_END, method, str(int(number))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (130 if number == signal.SIGINT else 128 + number), (
            done.stdout + done.stderr
        )
        (said,) = (line for line in done.stdout.splitlines() if line.startswith("told "))
        _, base, identity, left = said.split(" ", 3)
        assert (left == "nothing") is (method == "start")
        assert list(Path("/frx").glob("fruix-selftest-*")) == []
        assert [path for path, *_ in os.walk("/sys/fs/cgroup") if f"-{identity[:8]}-" in path] == []
        assert processes_with(base) == []


def processes_with(text: str) -> list[int]:
    """Those that have it in their words or their environment."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if text.encode() in (directory / "cmdline").read_bytes() + (directory / "environ").read_bytes():
                found.append(int(directory.name))
    return found
