"""What Linux passes on by fork and exec besides signals and limits.

Each has its fixed value in every builder (see `sandbox.process_defaults`): the spawner brings itself to
those that a fork passes on, once (`settle`), a builder the others (`forget`).

Numbers and values: prctl(2), ioprio_set(2), set_mempolicy(2), keyctl(2), core(5), proc(5), and the
kernel's defaults.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable

from fruix.sandbox.linux import libc
from fruix.sandbox.linux.kernel_files import write_to
from fruix.sandbox.process_defaults import default_priority, lift_limits

_OOM_SCORE = "500"  # builders go before daemons
_CORE_FILTER = "0x33"
_TIMER_SLACK = 50_000  # nanoseconds
_PR_SET_TIMERSLACK, _PR_SET_THP_DISABLE = 29, 41
_WHO_PROCESS, _CLASS_NONE = 1, 0
_POLICY_DEFAULT = 0
_JOIN_SESSION_KEYRING = 1
# Numbers of processors to ask for: the kernel takes those that exist.
_PROCESSORS = max(1024, os.sysconf("SC_NPROCESSORS_CONF"))
# Signals that the C library keeps for itself: it neither tells of them nor sets them. struct
# sigaction of zeros: the default action.
_KEPT_BY_LIBRARY = (32, 33)
_SIGACTION_SIZE, _SIGSET_SIZE = 32, 8
_goes_first = False  # when memory runs out: whether this process does, and what it forks


def settle() -> None:
    """Bring this process to what builders are to have, where a fork passes that on unchanged.

    Raises:
        OSError: the kernel refuses one that any process may have.
    """
    lift_limits()
    _scheduling()
    _memory()
    for number in _KEPT_BY_LIBRARY:
        zeros = b"\0" * _SIGACTION_SIZE
        libc.syscall("rt_sigaction", number, zeros, None, _SIGSET_SIZE)


def forget() -> None:
    """Bring the others to their fixed values, in a builder; as root still, with the host's /proc.

    Its place when memory runs out isn't the spawner's, and its keyring is nobody else's.
    """
    if not _goes_first:
        go_first()
    _keyring()


def go_first() -> None:
    """Have this process, and what it forks, go before daemons when memory runs out."""
    global _goes_first  # noqa: PLW0603
    # Less than what was inherited takes a right that root may lack; then it goes before them anyway.
    with contextlib.suppress(PermissionError):
        write_to("/proc/self/oom_score_adj", _OOM_SCORE)
    _goes_first = True


def _scheduling() -> None:
    """The usual policy and priorities, on all processors of the control group."""
    os.sched_setaffinity(0, range(_PROCESSORS))
    # An ordinary user's process may be bound to what it was started with.
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    default_priority()
    _unless_absent(lambda: libc.syscall("ioprio_set", _WHO_PROCESS, 0, _CLASS_NONE))
    libc.prctl(_PR_SET_TIMERSLACK, _TIMER_SLACK)


def _memory() -> None:
    _unless_absent(lambda: libc.prctl(_PR_SET_THP_DISABLE, 0))
    _unless_absent(lambda: libc.syscall("set_mempolicy", _POLICY_DEFAULT, None, 0))
    with contextlib.suppress(FileNotFoundError):  # a kernel without core files
        write_to("/proc/self/coredump_filter", _CORE_FILTER)


def _keyring() -> None:
    """A session keyring of its own: the daemon's would be shown in /proc/keys.

    Builders can't call it, see `rules`.
    """
    _unless_absent(lambda: libc.syscall("keyctl", _JOIN_SESSION_KEYRING, None))


def _unless_absent(call: Callable[[], int]) -> None:
    """Make a call that a kernel may be built without, or that a container's filter forbids.

    Where it is refused for such a reason there is nothing to inherit.
    """
    try:
        call()
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EPERM, errno.EINVAL}:
            raise
