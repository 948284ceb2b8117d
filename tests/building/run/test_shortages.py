"""A full disk, no descriptors, no processes: a clear error, nothing lost, other requests go on.

Real daemons, one private /frx each.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashing import SOCKET, ask, clear_away, connected, exit_of, start_daemon, traces
from fruix.client import RemoteStore, connect
from fruix.errors import FruixError
from fruix.model.storepath import StorePath
from fruix.sandbox.linux import libc
from fruix.store import Layout, LocalStore
from machine import Machine, private_frx
from seen_processes import children_of, descriptors_of
from waiting import until

MIB = 1 << 20
FEW = 8  # descriptors


@pytest.fixture(autouse=True)
def nothing_runs_on() -> Iterator[None]:
    yield
    clear_away()


@contextmanager
def small_disk(directory: str, size: int) -> Iterator[None]:
    """A tmpfs of `size` bytes there."""
    os.makedirs(directory, exist_ok=True)
    libc.mount(b"tmpfs", directory.encode(), b"tmpfs", 0, f"size={size},mode=755".encode())
    try:
        yield
    finally:
        libc.umount(directory.encode(), libc.MNT_DETACH)


@contextmanager
def daemon(fault: str = "", **limits: int) -> Iterator[RemoteStore]:
    """A daemon, and a connection to it.

    Afterwards it ends well, nothing of a build is left, and the store is whole.
    """
    # What has to stay free would keep it from beginning on disks that small.
    os.makedirs("/frx/etc", exist_ok=True)
    Path("/frx/etc/fruix.toml").write_text("min-free = 0\nmin-free-files = 0\n")
    pid = start_daemon(fault, limits={getattr(resource, name): value for name, value in limits.items()})
    with connected(pid) as store:
        yield store
        assert traces(store) == []
        os.kill(pid, signal.SIGTERM)
        assert exit_of(pid) == 0
    with LocalStore(Layout()) as here:
        assert here.verify(contents=True) == []


def build(store: RemoteStore, shell: StorePath, name: str, script: str = "echo x > $out") -> dict[str, str]:
    drv = Machine(store, None).derivation(name, script, shell)  # type: ignore[arg-type]
    status, heard = ask(drv)
    assert status == 0
    return heard


def daemon_pid() -> int:
    return int(Path("/frx/var/fruix/daemon.lock").read_text().split()[-1])


def shell_in(store: RemoteStore, scratch: Path) -> StorePath:
    return Machine(store, None).shell(scratch)  # type: ignore[arg-type]


def fill(directory: str) -> str:
    """Take all that is free; gives back the name of the file that does it."""
    name = f"{directory}/.filler"
    with open(name, "wb") as file:
        for size in (MIB, 4096):
            while True:
                try:
                    os.write(file.fileno(), bytes(size))
                except OSError:
                    break
    return name


def test_a_full_store(tmp_path: Path) -> None:
    with private_frx(), small_disk("/frx/store", 16 * MIB), daemon() as store:
        shell = shell_in(store, tmp_path)
        heard = build(store, shell, "big", "head -c 40000000 /dev/zero > $out")
        assert "/frx/store: No space left on device" in heard["message"]
        assert "free some space" in heard["message"]
        (tmp_path / "big").write_bytes(bytes(40 * MIB))
        with pytest.raises(FruixError, match="/frx/store: No space left on device") as caught:
            store.add_path("big", str(tmp_path / "big"))
        assert "free some space" in caught.value.hint
        assert build(store, shell, "small")["status"] == "BUILT"
        waiting = Machine(store, None).derivation("waiting", "echo x > $out", shell)  # type: ignore[arg-type]
        filler = fill("/frx/store")
        status, heard = ask(waiting)
        assert status == 0
        assert "Reason: /frx/store: no space for additions: 0.0 MiB are free on its disk" in heard["message"]
        assert "'fruix gc' deletes what nothing needs" in heard["message"]
        with pytest.raises(FruixError, match="No space left on device"):
            store.add_text("text", bytes(100_000))
        assert store.is_valid(shell)  # to ask needs no space
        os.unlink(filler)
        assert build(store, shell, "again")["status"] == "BUILT"


def test_a_full_state_directory(tmp_path: Path) -> None:
    with private_frx(), small_disk("/frx/var/fruix", 16 * MIB), daemon() as store:
        shell = shell_in(store, tmp_path)
        heard = build(store, shell, "big", "head -c 40000000 /dev/zero > $out")
        assert heard["status"] == "TRANSIENT_FAILURE"  # with space it may go well
        filler = fill("/frx/var/fruix")
        messages = []
        for number in range(200):  # until the pages that the log of the database has already are used up too
            try:
                store.add_text(f"text-{number}", b"x" * 1000)
            except FruixError as error:
                messages.append(str(error))
                break
        assert messages == ["/frx/var/fruix/db: the database can't grow: 0.0 MiB are free on its disk"]
        assert store.is_valid(shell)
        os.unlink(filler)
        assert build(store, shell, "again")["status"] == "BUILT"


def test_no_space_for_a_builds_directories(tmp_path: Path) -> None:
    with private_frx(), small_disk("/frx/var/fruix/builds", 64 * 1024), daemon() as store:
        shell = shell_in(store, tmp_path)
        filler = fill("/frx/var/fruix/builds")
        heard = build(store, shell, "nowhere")
        assert "/frx/var/fruix/builds/" in heard["message"]
        assert "No space left on device" in heard["message"]
        os.unlink(filler)
        assert build(store, shell, "again")["status"] == "BUILT"


def test_a_full_log_directory(tmp_path: Path) -> None:
    with private_frx(), small_disk("/frx/var/log/fruix", 128 * 1024), daemon() as store:
        shell = shell_in(store, tmp_path)
        heard = build(store, shell, "loud", "head -c 1000000 /dev/urandom; echo x > $out")
        assert heard["status"] != "BUILT"
        assert "the build log can't be written: No space left on device" in heard["message"]
        assert "/frx/var/log/fruix/drvs/" in heard["message"]
        (log,) = Path("/frx/var/log/fruix/drvs").rglob("*-loud.drv")  # there was no room for packing it
        os.unlink(log)
        # Too late to fail: what was built stays, only its record is missing.
        fill("/frx/var/log/fruix")
        heard = build(store, shell, "silent")
        assert heard["status"] == "BUILT" or "No space left on device" in heard["message"]


def test_no_more_processes(tmp_path: Path) -> None:
    """The kernel lets root pass its limit on processes, so its refusal is put in the spawner's mouth."""
    with private_frx(), daemon("clone:EAGAIN") as store:
        shell = shell_in(store, tmp_path)
        heard = build(store, shell, "unborn")
        assert "sandbox step 'spawn': Resource temporarily unavailable" in heard["message"]
        assert store.is_valid(shell)


def inherited() -> int:
    """How many descriptors a daemon has from this process.

    They can't be closed in it: objects that use them live there, too.
    """
    return len(os.listdir("/proc/self/fd"))


def test_no_more_descriptors_for_clients(tmp_path: Path) -> None:
    with private_frx(), daemon(RLIMIT_NOFILE=64 + inherited()) as store:
        shell = shell_in(store, tmp_path)
        crowd: list[RemoteStore] = []
        refusal = ""
        for _ in range(100):
            try:
                crowd.append(connect(SOCKET, "/frx/store"))
            except FruixError as error:
                refusal = f"{error} ({error.hint})"
                break
        assert "the daemon has too many open files" in refusal
        assert "ask again a little later" in refusal
        assert len(crowd) > 2 * FEW
        assert store.is_valid(shell)  # those who are in go on
        with pytest.raises(FruixError, match="Too many open files") as caught:
            crowd[0].add_text("needs", b"a file")
        assert "raise the limit on open files" in caught.value.hint
        most = len(descriptors_of(daemon_pid()))
        for client in crowd:
            client.close()
        until(
            # What they all want at once on their way out is kept for the next ones.
            lambda: len(descriptors_of(daemon_pid())) <= most - len(crowd) + FEW,
            "the daemon to notice that the clients have gone",
        )
        assert build(store, shell, "again")["status"] == "BUILT"


def test_no_more_descriptors_in_the_spawner(tmp_path: Path) -> None:
    with private_frx(), daemon() as store:
        shell = shell_in(store, tmp_path)
        pid = daemon_pid()
        (spawner,) = children_of(pid)
        most = resource.prlimit(spawner, resource.RLIMIT_NOFILE)[1]
        held = len(descriptors_of(spawner))
        for more in range(40):
            resource.prlimit(spawner, resource.RLIMIT_NOFILE, (held + more, most))
            heard = build(store, shell, f"with-{more}")
            if heard["status"] == "BUILT":
                break
            assert "Too many open files" in heard["message"], heard["message"]
        assert more > 2
        assert heard["status"] == "BUILT", heard["message"]
