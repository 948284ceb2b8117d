"""Mount options byte for byte, and how mounts and devices are made and undone.

The order of unmounting, patience and force, devfs rules and what they let through.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fake_kernel import Fake
from fruix.sandbox.freebsd import devices, mounts, undo, visibility
from fruix.sandbox.freebsd.abi import FileSystem
from fruix.sandbox.freebsd.kept_roots import kept_root
from fruix.sandbox.freebsd.kernel import KernelError
from fruix.sandbox.spec import Bind, Exec, Identity, SandboxSpec


def test_options() -> None:
    assert mounts.nullfs("/usr/bin", "/b/root/usr/bin") == [
        (b"fstype\0", b"nullfs\0"),
        (b"fspath\0", b"/b/root/usr/bin\0"),
        (b"from\0", b"/usr/bin\0"),
        (b"nounixbypass\0", None),
    ]
    assert mounts.devfs("/b/root/dev", 35001) == [
        (b"fstype\0", b"devfs\0"),
        (b"fspath\0", b"/b/root/dev\0"),
        (b"from\0", b"devfs\0"),
        (b"ruleset\0", b"35001\0"),
    ]
    assert mounts.tmpfs("/b/root/tmp", 1 << 30, 0o1777)[3:] == [
        (b"size\0", b"1073741824\0"),
        (b"mode\0", b"1777\0"),
    ]
    assert mounts.tmpfs("/b/root/tmp", 0, 0o755)[3:] == [(b"mode\0", b"755\0")]


def test_what_is_mounted_below_a_source_is_shown_too() -> None:
    table = [
        FileSystem(b"zfs", b"tank/usr", b"/usr"),
        FileSystem(b"zfs", b"tank/local", b"/usr/local"),
        FileSystem(b"zfs", b"tank/python", b"/usr/local/lib/python"),
        FileSystem(b"zfs", b"tank/locale", b"/usr/localized"),
    ]
    kernel = Fake()
    mounts.show_directory(kernel, "/usr/local", "/b/root/usr/local", writable=False, table=table)
    assert [call[1:] for call in kernel.calls] == [
        (b"nullfs", b"/usr/local", b"/b/root/usr/local", 9),
        (b"nullfs", b"/usr/local/lib/python", b"/b/root/usr/local/lib/python", 9),
    ]


def test_a_writable_area_is_nosuid_all_the_same() -> None:
    kernel = Fake()
    mounts.show_directory(kernel, "/b/build", "/b/root/build", writable=True, table=[])
    assert kernel.calls == [("nmount", b"nullfs", b"/b/build", b"/b/root/build", 8)]


def test_the_newest_is_unmounted_first_and_others_are_left_alone() -> None:
    rows = [b"/", b"/b/root", b"/b/root/usr", b"/b2/root", b"/b/root/dev"]
    kernel = Fake(table=[FileSystem(b"nullfs", b"x", row) for row in rows])
    assert mounts.unmount_below(kernel, "/b") == ["/b/root/dev", "/b/root/usr", "/b/root"]
    assert [row.target for row in kernel.table] == [b"/", b"/b2/root"]
    assert mounts.unmount_below(kernel, "/b") == []


def test_what_stays_busy_is_forced_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "PATIENCE", (0, 0))

    def busy(call: str, what: object) -> None:
        if call == "unmount" and what == b"/b/root":
            raise KernelError("unmount", errno.EBUSY)

    kernel = Fake(table=[FileSystem(b"nullfs", b"x", b"/b/root", 0, (-3, 41))], before=busy)
    assert mounts.unmount_below(kernel, "/b") == ["/b/root"]
    assert kernel.calls == [("unmount", b"/b/root", 0)] * 2 + [("unmount", b"FSID:-3:41", 0x8080000)]


def test_what_is_mounted_meanwhile_is_not_touched(tmp_path: Path) -> None:
    """The next jail gets its own /dev as soon as the last one's has gone."""
    spec = SandboxSpec(
        "frx-a",
        f"{tmp_path}/frx-a/root",
        Identity(35001, 35001, 35001, 35001),
        Exec("/bin/sh", ("sh",), {}, "/"),
        binds=(Bind("/", "/usr"), Bind("/", "/frx/store", writable=True)),
    )
    kept = os.fsencode(kept_root(spec))

    def rows(*names: str) -> list[FileSystem]:
        return [FileSystem(b"nullfs", b"x", kept + os.fsencode(name)) for name in names]

    def mounted_anew(call: str, what: object) -> None:
        if call == "unmount" and what == kept + b"/frx/store":
            kernel.table += rows("/dev")

    kernel = Fake(table=rows("/usr", "/usr/local", "/dev", "/frx/store"), before=mounted_anew)
    kernel.table.sort(key=lambda row: row.target.endswith(b"/dev"))  # so that it goes first
    undo.tidy(kernel, spec, parked=True)
    assert kernel.table == rows("/usr", "/usr/local", "/dev")
    undo.tidy(kernel, spec)
    assert kernel.table == []


def test_a_foreign_kind_is_never_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "PATIENCE", (0,))

    def busy(call: str, what: object) -> None:
        raise KernelError(call, errno.EBUSY, what=str(what))

    kernel = Fake(table=[FileSystem(b"ufs", b"/dev/da0", b"/b/root/mnt")], before=busy)
    with pytest.raises(OSError, match=r"still mounted: /b/root/mnt"):
        mounts.unmount_below(kernel, "/b")
    assert {call[2] for call in kernel.calls} == {0}


def test_an_error_names_source_and_target() -> None:
    def full(call: str, what: object) -> None:
        raise KernelError(call, errno.ENODEV, "no nullfs")

    with pytest.raises(OSError, match=r"no nullfs \(/usr/bin at /b/root/usr/bin\)") as caught:
        mounts.mount(Fake(before=full), mounts.nullfs("/usr/bin", "/b/root/usr/bin"), 9)
    assert caught.value.errno == errno.ENODEV


NAMES = [b"", *(name.encode() for name in devices.SHOWN)]


def test_the_ruleset_is_made_once() -> None:
    kernel = Fake()
    devices.ensure_ruleset(kernel)
    assert [pattern for _, _, pattern in kernel.rules] == NAMES
    assert [action for _, action, _ in kernel.rules] == [1] + [2] * 13
    before = len(kernel.calls)
    devices.ensure_ruleset(kernel)
    assert {call[1] for call in kernel.calls[before:]} == {0xC0EC4404}


def test_a_ruleset_that_was_changed_is_made_anew() -> None:
    kernel = Fake(rules=[(100, 2, b"da0"), (200, 1, b"")])
    devices.ensure_ruleset(kernel)
    assert [pattern for _, _, pattern in kernel.rules] == NAMES


def test_each_store_has_a_ruleset_of_its_own() -> None:
    one = devices.ruleset_of("frx-gpgd29rbkv6w-00c0ffee-172674")
    assert one == devices.ruleset_of("frx-1qk8c0yb2l3d-00c0ffee-0a1b2c")
    assert one != devices.ruleset_of("frx-gpgd29rbkv6w-00c0ffef-172674")
    assert devices.ruleset_of("frx-doctor-1234") == devices.RULESET
    assert all(35001 <= devices.ruleset_of(f"frx-a-{number:08x}-b") < 1 << 16 for number in range(1000))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("null zero random urandom fd full stdin", ""),
        ("null zero random urandom da0 mem", "shows da0, mem"),
        ("null zero", "lacks random, urandom"),
    ],
)
def test_devices_are_looked_at(tmp_path: Path, names: str, said: str) -> None:
    for name in names.split():
        (tmp_path / name).touch()
    if not said:
        devices.mount_devices(Fake(), str(tmp_path))
        return
    with pytest.raises(OSError, match=said) as caught:
        devices.mount_devices(Fake(), str(tmp_path))
    assert caught.value.errno == errno.EPERM


def test_files_are_copied_never_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source.tar"
    source.write_bytes(b"x" * 3_000_000)
    source.chmod(0o6755)
    os.utime(source, (1, 1))
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.chdir(root)
    kernel = Fake()
    visibility.show(kernel, Bind(str(source), "/frx/store/source.tar"), str(root), [], 35001)
    copy = root / "frx/store/source.tar"
    status = copy.stat()
    assert copy.read_bytes() == source.read_bytes()
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_ino == source.stat().st_ino) == (
        0o555,
        1,
        False,
    )
    assert kernel.calls == []


def test_writable_areas_have_the_builders_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tmp", "root", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "root")
    visibility.show(Fake(), Bind(f"{tmp_path}/tmp", "/tmp", writable=True), str(tmp_path / "root"), [], 35001)
    visibility.show(Fake(), Bind(f"{tmp_path}/other", "/other"), str(tmp_path / "root"), [], 35001)
    assert [(tmp_path / name).stat().st_gid for name in ("tmp", "other")] == [35001, 0]


def test_links_stay_links_and_others_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(tmp_path / "root")
    visibility.show(Fake(), Bind(f"{tmp_path}/link", "/a/link"), "", [], 35001)
    assert os.readlink("a/link") == "nowhere"
    for bind in (Bind(f"{tmp_path}/pipe", "/pipe"), Bind(f"{tmp_path}/file", "/file", writable=True)):
        with pytest.raises(OSError, match="can be shown"):
            visibility.show(Fake(), bind, "", [], 35001)
