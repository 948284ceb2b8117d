"""User namespaces: ids, and the view of a user's store.

Whatever a host forbids is called by its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fruix.errors import IsolationUnavailableError
from fruix.sandbox.capabilities import in_child
from fruix.sandbox.linux import libc, mounts, seccomp, store_mount, userns

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="machine: Linux only")


def refused(prepare: Callable[[], object]) -> str:
    """What entering a user namespace says after `prepare`, in a child."""

    def attempt() -> str:
        prepare()
        try:
            userns.become_root(subordinates=None)
        except IsolationUnavailableError as error:
            return f"{error} / {error.hint}"
        return "entered"

    return in_child(attempt)


def allow_none() -> None:
    userns.become_root(subordinates=None)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")  # of this namespace


def nest_deeply() -> None:
    with contextlib.suppress(IsolationUnavailableError):
        while True:
            userns.become_root(subordinates=None)


def test_switched_off() -> None:
    said = refused(allow_none)
    assert "this host allows none (user.max_user_namespaces is 0)" in said
    assert "sysctl -w user.max_user_namespaces" in said


def test_nested_too_deeply() -> None:
    assert "nested too deeply" in refused(nest_deeply)


def test_a_filter() -> None:
    def filtered() -> None:
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(seccomp.build_filter())

    assert "a system call filter, such as a container's, forbids them" in refused(filtered)


def test_a_chroot(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()

    def enter() -> None:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount(None, b"/", None, libc.MS_REC | libc.MS_PRIVATE)
        libc.mount(b"/proc", f"{tmp_path}/proc".encode(), None, libc.MS_BIND | libc.MS_REC)
        os.chroot(tmp_path)
        os.chdir("/")

    assert "can't be made in a chroot" in refused(enter)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("kernel/unprivileged_userns_clone", "0"), ("kernel/apparmor_restrict_unprivileged_userns", "1")],
)
def test_distributions_own_settings(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    """This kernel doesn't have them: the files are made up."""
    monkeypatch.setattr(
        userns, "text_of", lambda path: f"{value}\n" if path == f"/proc/sys/{setting}" else ""
    )
    error = userns.refusal(PermissionError(errno.EPERM, "Operation not permitted"))
    assert setting.replace("/", ".") in str(error)
    assert f"sysctl -w {setting.replace('/', '.')}" in error.hint


def test_anything_else_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userns, "text_of", lambda _path: "")
    assert "Cannot allocate memory" in str(userns.refusal(OSError(errno.ENOMEM, "Cannot allocate memory")))


def test_a_masked_proc_is_named() -> None:
    def attempt() -> str:
        userns.become_root(subordinates=None)
        libc.mount(b"tmpfs", b"/proc/sys", b"tmpfs", 0)
        libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWNS | libc.CLONE_NEWPID)
        return in_child(mount_proc)

    def mount_proc() -> str:
        try:
            mounts.mount_proc()
        except OSError as error:
            return str(error)
        return "mounted"

    os.makedirs("/tmp/proc", exist_ok=True)
    before = os.getcwd()
    os.chdir("/tmp")
    try:
        assert "the host's /proc is masked, as in containers" in in_child(attempt)
    finally:
        os.chdir(before)
        os.rmdir("/tmp/proc")


def test_root_of_a_namespace_has_one_id() -> None:
    def attempt() -> str:
        userns.become_root(subordinates=None)
        users = f"{userns.has_users((0,))} {userns.has_users((35001,))} {userns.on_host(0, 0)}"
        return f"{os.getuid()} {os.getgid()} {userns.confined()} {users}"

    assert in_child(attempt) == f"0 0 True True False {(os.getuid(), os.getgid())}"


@pytest.mark.parametrize("place", ["/frx", "/frx-that-no-host-has"])
def test_the_view(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without that directory on the host.

    Files of the user keep their owner, the rest of the host stays.
    """
    os.makedirs("/frx", exist_ok=True)
    monkeypatch.setattr(store_mount, "PLACE", place)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x").write_text("mine")
    os.chmod(tmp_path, 0o755)

    def attempt() -> str:
        os.chdir(tmp_path)
        userns.stay_oneself()
        store_mount.show(str(tmp_path))
        libc.drop_all_capabilities()
        assert Path(f"{place}/store/x").read_text() == "mine"
        assert Path("store/x").read_text() == "mine"  # the current directory is still the same
        assert (os.getuid(), os.getcwd()) == (uid, str(tmp_path))
        assert sorted({*os.listdir("/"), place[1:]}) == sorted({*before, place[1:]})
        assert os.path.exists("/proc/self/exe")
        with contextlib.suppress(OSError):
            libc.umount(place.encode(), libc.MNT_DETACH)
            return "powers are left"
        return "seen"

    uid, before = os.getuid(), os.listdir("/")
    assert in_child(attempt) == "seen"
    assert not os.path.exists("/frx-that-no-host-has")


def test_ranges_of_subordinate_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "subuid"
    uid = os.getuid()
    for text, expected in (
        ("", (0, 0)),
        ("somebody:1:2\n", (0, 0)),
        (f"somebody:1:2\n{uid}:100000:65536\n", (100000, 65536)),
        (f"{uid}:x:y\n{uid}:5:6:7\n", (0, 0)),
    ):
        file.write_text(text)
        assert userns._range(str(file)) == expected
    monkeypatch.setattr("shutil.which", lambda _program: None)
    assert userns.find_subordinates() is None
