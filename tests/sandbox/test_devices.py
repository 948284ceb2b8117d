"""`/dev` on hosts that lack some of it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fruix.sandbox.capabilities import probe
from fruix.sandbox.linux import devices, libc, userns
from fruix.sandbox.linux.probes import PROBES
from machine import machine, own_mounts

MAY_MAKE = pytest.mark.skipif(userns.confined(), reason="machine: an ordinary user can't make devices")
# Every device by its kind and numbers, and what the three do that aren't on the host.
LOOK = """
for name in full null random tty urandom zero; do stat -c '%n %F %t,%T %A' /dev/$name; done > $out
(echo x > /dev/full) 2>&1 | grep -q 'No space left' && echo full >> $out
echo x > /dev/null && [ ! -s /dev/null ] && echo null >> $out
[ "$(head -c 4 /dev/zero | wc -c)" = 4 ] && echo zero >> $out
"""
SEEN = """/dev/full character special file 1,7 crw-rw-rw-
/dev/null character special file 1,3 crw-rw-rw-
/dev/random character special file 1,8 crw-rw-rw-
/dev/tty character special file 5,0 crw-rw-rw-
/dev/urandom character special file 1,9 crw-rw-rw-
/dev/zero character special file 1,5 crw-rw-rw-
full
null
zero
"""


@contextmanager
def dev_with(*names: str, file: str = "") -> Iterator[None]:
    """A host whose /dev has these devices, and a plain file under another name."""
    own_mounts()
    held = {name: os.open(f"/dev/{name}", os.O_PATH) for name in names}
    libc.mount(b"tmpfs", b"/dev", b"tmpfs", 0, b"mode=755")
    try:
        for name, descriptor in held.items():
            Path("/dev", name).touch()
            libc.mount(b"/proc/self/fd/%d" % descriptor, f"/dev/{name}".encode(), None, libc.MS_BIND)
        if file:
            Path("/dev", file).touch(0o666)
        yield
    finally:
        for descriptor in held.values():
            os.close(descriptor)
        libc.umount(b"/dev", libc.MNT_DETACH)


@MAY_MAKE
@pytest.mark.parametrize("contract", ["fruix", "nix"])
def test_nodes_that_the_host_lacks_are_made(tmp_path: Path, contract: str) -> None:
    from fruix.model.build_options import BuildOptions

    with dev_with("null", "random", "urandom", file="zero"):
        assert devices.lacking() == ["/dev/full", "/dev/tty", "/dev/zero"]
        with machine() as here:
            drv = here.derivation("look", LOOK, here.shell(tmp_path))
            (result,) = here.build(drv, options=BuildOptions(contract))
            assert result.success, result.message
            assert here.output(drv).read_text() == SEEN


def test_one_that_can_not_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.mknod

    def refuse(path: str, mode: int, *more: Any, **named: Any) -> None:
        if stat.S_ISCHR(mode):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        real(path, mode, *more, **named)

    monkeypatch.setattr(os, "mknod", refuse)
    with dev_with("full", "null", "random", "tty", "urandom", file="zero"), machine() as here:
        drv = here.derivation("look", "echo > $out", here.shell(tmp_path))
        (result,) = here.build(drv)
        assert not result.success
        assert "/dev/zero is not the device of that name on this host and can't be made" in result.message
    with dev_with("null", "random", "urandom"):
        (found,) = probe([probe for probe in PROBES if probe.name == "devices"])
        assert not found.available
        assert found.needed
        assert "/dev/full is not there on this host and can't be made" in found.detail


def test_the_doctor_names_what_is_made() -> None:
    wanted = [probe for probe in PROBES if probe.name == "devices"]
    assert probe(wanted)[0].detail == "full null random tty urandom zero are there"
    if userns.confined():
        return
    with dev_with("null", "random", "urandom", "zero"):
        (found,) = probe(wanted)
        assert found.available, found.detail
        assert found.detail.endswith("/dev/full /dev/tty")


def test_numbers_are_those_of_the_kernel() -> None:
    for name, (major, minor) in devices.DEVICES.items():
        status = os.stat(f"/dev/{name}")
        assert stat.S_ISCHR(status.st_mode)
        assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (major, minor)
