"""However the daemon was started, its builders start alike.

They are compared with those of a daemon that was started cleanly.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fruix.children import hear_of_children
from fruix.sandbox.linux import userns
from fruix.sandbox.process_defaults import default_signals, set_limits
from fruix.testing import derivations, scratch_daemon
from oddly_started import ODDITIES

ONLY_ROOT = pytest.mark.skipif(
    userns.confined(), reason="machine: an ordinary user can't take back a nice value or a lowered limit"
)
# What a process can say of itself; the last line is the shell's own.
LOOK = """
{
grep -E -e '^(Sig(Ign|Blk|Cgt|Pnd)|ShdPnd|Cap.*|Cpus_allowed|Mems_allowed):' \\
    -e '^(THP_enabled|NoNewPrivs|Seccomp|Umask):' /proc/self/status
sed 's/^/limit /' /proc/self/limits
sed 's/.*) //' /proc/self/stat | { read -r a b c d e f g h i j k l m n o priority nice s t u v w x y z \
    A B C D E F G H I J K L realtime policy rest; echo "stat $priority $nice $realtime $policy"; }
for name in coredump_filter oom_score_adj timerslack_ns personality; do
    echo "$name $(cat /proc/self/$name 2>&1)"
done
echo "umask $(umask)"
echo "keys $(wc -l < /proc/keys)"
} > $out
"""


@pytest.fixture(scope="module")
def here() -> Iterator[scratch_daemon.Scratch]:
    with scratch_daemon.scratch() as one:
        one.environment["PYTHONPATH"] += os.pathsep + str(Path(__file__).parents[1])
        yield one


def seen(here: scratch_daemon.Scratch, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a builder says whose daemon was started with an oddity; without one if it is none of them."""
    monkeypatch.setattr(scratch_daemon, "program", "oddly_started")
    monkeypatch.setitem(here.environment, "ODDITY", name)
    here.start()
    try:
        with closing(here.connect()) as store:
            built = derivations.build(store, f"look-{name}", LOOK)
        assert built.result.success, built.result.message
        return Path(built.output.text).read_text()
    finally:
        assert here.stop() == 0


@pytest.fixture(scope="module")
def clean(here: scratch_daemon.Scratch) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield seen(here, "clean", monkeypatch)


@ONLY_ROOT
@pytest.mark.parametrize("oddity", ODDITIES)
def test_builders_start_alike(
    oddity: str, here: scratch_daemon.Scratch, clean: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(here, oddity, monkeypatch) == clean


@ONLY_ROOT
def test_a_clean_start(clean: str) -> None:
    facts = dict(line.split(None, 1) for line in clean.splitlines() if not line.startswith("limit"))
    # The shell's handlers are its own.
    assert facts["SigIgn:"] == facts["SigBlk:"] == "0" * 16
    assert facts["stat"] == "20 0 0 0"
    assert facts["umask"] == "0022"
    assert facts["coredump_filter"] == "00000033"
    assert facts["timerslack_ns"] == "50000"
    limits = [line.removeprefix("limit ") for line in clean.splitlines() if line.startswith("limit Max")]
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max open files"][0] == "1024"
    assert rows["Max stack size"][0] == str(8 << 20)
    assert rows["Max cpu time"] == rows["Max address space"] == ["unlimited", "unlimited"]


@ONLY_ROOT
def test_a_command_whose_starter_ignores_children(here: scratch_daemon.Scratch, tmp_path: Path) -> None:
    """Without a daemon the command forks one, which forks the spawner, which forks builders.

    All of them wait for their children.
    """
    environment = {**here.environment, "FRUIX_DAEMON_SOCKET": f"{tmp_path}/none"}
    code = (
        "import os, runpy, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals());"
        "os.execv(sys.executable, "
        f"[sys.executable, '-m', 'fruix', 'store', 'add', {str(tmp_path / 'file')!r}])"
    )
    (tmp_path / "file").write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(here.layout.store)


def in_child(check: str) -> None:
    """Run a check in a process of its own, whose signals and limits may be changed."""
    done = subprocess.run(
        [sys.executable, "-c", f"import signal, resource\n{check}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_signals_of_a_builder() -> None:
    in_child(
        f"""
from {default_signals.__module__} import default_signals
numbers = signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}}
for number in numbers:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
default_signals()
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
assert {{signal.getsignal(number) for number in numbers}} == {{signal.SIG_DFL}}
"""
    )


def test_signals_of_a_process_that_waits_for_children() -> None:
    in_child(
        f"""
from {hear_of_children.__module__} import hear_of_children
for number in (signal.SIGCHLD, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
hear_of_children()
assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, "nohup's"
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
"""
    )


def test_every_limit_is_set() -> None:
    """Those that nobody names are unlimited, as far as that may be; none stays as it was."""
    in_child(
        f"""
from {set_limits.__module__} import set_limits
kinds = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
before = {{kind: resource.getrlimit(kind) for kind in kinds}}
for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
    resource.setrlimit(kind, (10_000_000_000 if kind == resource.RLIMIT_AS else 500, before[kind][1]))
set_limits({{"fsize": (7000, 7000)}})
assert resource.getrlimit(resource.RLIMIT_CPU) == (before[resource.RLIMIT_CPU][1],) * 2
assert resource.getrlimit(resource.RLIMIT_AS) == (before[resource.RLIMIT_AS][1],) * 2
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1024
assert resource.getrlimit(resource.RLIMIT_FSIZE) == (7000, 7000)
"""
    )


def test_limits_that_were_lifted_before_the_fork() -> None:
    """A child changes what differs, and gets what it would have got by setting all of them."""
    in_child(
        f"""
from {set_limits.__module__} import lift_limits, set_limits
import os
kinds = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
resource.setrlimit(resource.RLIMIT_CPU, (500, resource.getrlimit(resource.RLIMIT_CPU)[1]))
files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
lift_limits()
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files, "the spawner needs them itself"
def after(code):
    reading, writing = os.pipe()
    if os.fork() == 0:
        exec(code)
        set_limits({{"fsize": (7000, 7000), "nproc": (50, 60)}})
        os.write(writing, repr([resource.getrlimit(kind) for kind in kinds]).encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 10000)
every = f"import {set_limits.__module__} as module; module._lifted.clear()"
assert after("") == after(every)
called = []
real = resource.setrlimit
resource.setrlimit = lambda *arguments: called.append(arguments) or real(*arguments)
set_limits({{"fsize": (7000, 7000)}})
assert {{kind for kind, _ in called}} <= {{resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE}}, called
"""
    )


def test_signals_that_were_looked_at_before_the_fork() -> None:
    in_child(
        f"""
from {default_signals.__module__} import default_signals, remember_signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
remember_signals()
default_signals()
numbers = signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}}
assert {{signal.getsignal(number) for number in numbers}} == {{signal.SIG_DFL}}
"""
    )
