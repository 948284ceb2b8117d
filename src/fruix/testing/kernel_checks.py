"""Checks of a FreeBSD kernel's own calls that no build shows.

They look at what came with 15, and at limits of a whole jail. Each undoes what it did.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator

from fruix.sandbox import back_end
from fruix.sandbox.freebsd import abi, jail, mounts, rctl
from fruix.sandbox.freebsd.back_end import FreeBSDBackEnd
from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.testing.selftest_checks import FailedError, NotTriedError

PATIENCE = 10.0  # seconds for a jail to go with its last descriptor
_PAUSE = 0.01


def kernel() -> Kernel | None:
    """The kernel that makes jails; None where builds are isolated otherwise."""
    found = back_end()
    return found.kernel if isinstance(found, FreeBSDBackEnd) else None


def release(kernel: Kernel) -> str:
    """The kernel's release, such as `13.2-RELEASE`, as `uname -r` says it."""
    return abi.string_in(kernel.sysctl(b"kern.osrelease")).decode()


def descriptor_ends_jail(kernel: Kernel, scratch: str) -> str:
    """The last copy of an owning descriptor is closed: the jail has to go.

    Raises:
        NotTriedError: before FreeBSD 15.
        FailedError: there is no descriptor, or the jail stays.
    """
    _needs(kernel, "jail descriptors")
    name = f"frx-selftest-{os.getpid()}"
    pairs = [abi.text("path", os.fsencode(scratch)), abi.text("name", name.encode()), abi.flag("persist")]
    kernel.jail_set([*pairs, abi.buffer("errmsg", abi.JAIL_ERRMSG_SIZE)], abi.JAIL_CREATE)
    try:
        descriptor = jail.own(kernel, name)
        if descriptor is None:
            raise FailedError(f"{release(kernel)} gives no descriptor of a jail")
        os.close(descriptor)
        until = time.monotonic() + PATIENCE
        while jail.find(kernel, name) is not None:
            if time.monotonic() > until:
                raise FailedError(
                    f"jail {name} is still there {PATIENCE:.0f} s after its descriptor was closed"
                )
            time.sleep(_PAUSE)
    finally:
        jail.remove(kernel, name)
    return "a jail went with the last copy of its descriptor"


def socket_through_nullfs(kernel: Kernel, scratch: str) -> str:
    """A Unix socket in a directory that is shown read-only leads nowhere.

    Raises:
        NotTriedError: before FreeBSD 15, where it can be connected to.
        FailedError: also on 15.
    """
    with _shown(kernel, scratch) as (source, target), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{source}/socket")
        listener.listen()
        number = _connect(f"{target}/socket")
    if number:
        return f"connecting to a socket below nullfs: {errno.errorcode.get(number, str(number))}"
    if abi.has("unix sockets stop at nullfs", abi.integer_in(kernel.sysctl(b"kern.osreldate"))):
        raise FailedError("a socket below a nullfs mount could be connected to in spite of nounixbypass")
    raise NotTriedError(
        f"it takes FreeBSD {abi.SINCE['unix sockets stop at nullfs']}: "
        f"on {release(kernel)} a socket below a nullfs mount can be connected to"
    )


def _connect(path: str) -> int:
    """Connect to a Unix socket; 0, or the number of the error."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path)


def limits_kept(kernel: Kernel, _scratch: str) -> str:
    """Rules can be set, agree with what is asked for, and go again.

    Raises:
        NotTriedError: the kernel doesn't account resources.
    """
    if not rctl.enabled(kernel):
        raise NotTriedError("kern.racct.enable is 0: set it to 1 in /boot/loader.conf and reboot")
    name = f"jail:frx-selftest-{os.getpid()}"
    for rule in ("memoryuse:deny=1073741824", "maxproc:deny=100"):
        kernel.rctl_add_rule(f"{name}:{rule}".encode())
    kernel.rctl_remove_rule(name.encode())
    try:
        kernel.rctl_remove_rule(name.encode())
    except KernelError as error:
        if error.errno == errno.ESRCH:
            return "limits of memory and processes of a whole jail are set and removed"
        raise
    raise FailedError("rules of rctl were still there after they had been removed")


def _needs(kernel: Kernel, feature: str) -> None:
    if not abi.has(feature, abi.integer_in(kernel.sysctl(b"kern.osreldate"))):
        raise NotTriedError(f"it takes FreeBSD {abi.SINCE[feature]}; this is {release(kernel)}")


@contextlib.contextmanager
def _shown(kernel: Kernel, scratch: str) -> Iterator[tuple[str, str]]:
    """A directory, and where nullfs shows it as inputs are shown."""
    base = os.path.realpath(scratch)
    for name in ("source", "target"):
        os.mkdir(f"{base}/{name}")
    mounts.mount(kernel, mounts.nullfs(f"{base}/source", f"{base}/target"), abi.MNT_RDONLY | abi.MNT_NOSUID)
    try:
        yield f"{base}/source", f"{base}/target"
    finally:
        mounts.unmount_below(kernel, base)
