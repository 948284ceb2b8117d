from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest

from fruix.store.local import LocalStore
from store.helpers import some_path


def test_locks_exclude_each_other_between_threads(store: LocalStore) -> None:
    path = some_path("x", store.directory)
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with store.lock_paths([path]):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with store.lock_paths([path]):
        inside.set()
        assert store.try_lock_paths([path]) is None
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_set_is_locked_as_a_whole_or_not_at_all(store: LocalStore) -> None:
    a, b, c = (some_path(name, store.directory) for name in "abc")
    with store.lock_paths([b]):
        assert store.try_lock_paths([a, b, c]) is None
        others = store.try_lock_paths([a, c])
        assert others is not None
        others.release()
    everything = store.try_lock_paths([c, b, a, a])
    assert everything is not None
    everything.release()


def test_lock_files_go_and_their_mode_is_private(store: LocalStore) -> None:
    path = some_path("x", store.directory)
    name = f"{store.layout.locks}/{path.base}"
    with store.lock_paths([path]):
        assert os.stat(name).st_mode & 0o7777 == 0o600
    assert not os.path.exists(name)


def test_a_file_left_by_a_crash_is_used_again(store: LocalStore) -> None:
    path = some_path("x", store.directory)
    name = f"{store.layout.locks}/{path.base}"
    with open(name, "wb"):
        pass
    before = os.stat(name).st_ino
    with store.lock_paths([path]):
        assert os.stat(name).st_ino == before


def test_whoever_gets_a_stale_file_starts_over(store: LocalStore) -> None:
    path = some_path("x", store.directory)
    counter = {"inside": 0, "most": 0, "done": 0}

    def work() -> None:
        for _ in range(200):
            with store.lock_paths([path]):
                counter["inside"] += 1
                counter["most"] = max(counter["most"], counter["inside"])
                counter["done"] += 1
                counter["inside"] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == {"inside": 0, "most": 1, "done": 800}


def test_processes_exclude_each_other_and_death_unlocks(store: LocalStore) -> None:
    path = some_path("x", store.directory)
    program = (
        "import os, sys\n"
        "from fruix.store.locks import PathLocks\n"
        "from fruix.model.storepath import StorePath\n"
        "directory = sys.argv[1]\n"
        "locks = PathLocks(os.open(directory, os.O_RDONLY))\n"
        "assert locks.acquire([StorePath.parse(sys.argv[2], os.path.dirname(sys.argv[2]))], wait=True)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, store.layout.locks, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        assert store.try_lock_paths([path]) is None
        other.kill()
        other.wait()
    again = store.try_lock_paths([path])
    assert again is not None
    again.release()


def test_a_planted_link_is_not_followed(store: LocalStore, tmp_path: os.PathLike[str]) -> None:
    import pytest

    path = some_path("x", store.directory)
    os.symlink(os.path.join(tmp_path, "canary"), f"{store.layout.locks}/{path.base}")
    with pytest.raises(OSError, match="symbolic links"):
        store.try_lock_paths([path])
    assert not os.path.exists(os.path.join(tmp_path, "canary"))


def test_locks_whose_files_cannot_be_removed_are_given_back(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that fails: nobody waits for them for ever."""
    paths = [some_path(name, store.directory) for name in ("a", "b")]

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, "unlink", broken)
        with store.lock_paths(paths):
            pass
    again = store.try_lock_paths(paths)
    assert again is not None
    again.release()
    assert os.listdir(store.layout.locks) == []
