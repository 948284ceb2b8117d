"""What a process has from whoever started the daemon, and every builder gets anew.

These are signals, resource limits and the priority.

A daemon may have been started by nohup, with nice, by a shell with limits of its own, or with
blocked signals, and all of that would pass to its builders by fork and exec. So each attribute has
a fixed value here, by contract, the same for every build. What only Linux has is in
`linux.inherited`.

What a fork passes on unchanged can be set once, in the process that forks all builders: that one then
remembers it, and its children pass over what they have already.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Collection, Mapping

_KIB, _MIB = 1 << 10, 1 << 20
_UNLIMITED = (-1, -1)
# (soft, hard); a limit that is not named here is unlimited. They are those of a service under
# systemd on Linux, but for core files, which nobody could fetch, and signals, whose number there
# depends on the machine's memory.
_DEFAULT_LIMITS: Mapping[str, tuple[int, int]] = {
    "core": (0, 0),
    "memlock": (8 * _MIB, 8 * _MIB),
    "msgqueue": (800 * _KIB, 800 * _KIB),
    "nice": (0, 0),
    # The daemon's own may be high, and there are programs that close all descriptors up to theirs.
    "nofile": (1024, 524288),
    "rtprio": (0, 0),
    "sigpending": (16384, 16384),
    "stack": (8 * _MIB, -1),
}
_PREFIX = "RLIMIT_"
_KINDS: Mapping[str, int] = {
    name.removeprefix(_PREFIX).lower(): getattr(resource, name)
    for name in dir(resource)
    if name.startswith(_PREFIX) and name != "RLIMIT_OFILE"  # an old name of another one
}
_SIGNALS = tuple(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
# What the process that forks builders has remembered: None in any other.
_changed_signals: Collection[int] | None = None
_blocks_signals = True
_lifted: dict[int, tuple[int, int]] = {}  # kind → what it was brought to


def default_signals() -> None:
    """Every signal has its default action and none is blocked, as a program expects it.

    An exec would keep what is ignored (CPython alone ignores SIGPIPE and SIGXFSZ); handlers are
    reset by the exec itself.
    """
    for number in _not_default() if _changed_signals is None else _changed_signals:
        signal.signal(number, signal.SIG_DFL)
    if _blocks_signals:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def remember_signals() -> None:
    """Look once which signals this process treats otherwise or blocks; it changes none from here on."""
    global _changed_signals, _blocks_signals  # noqa: PLW0603
    _changed_signals = _not_default()
    _blocks_signals = bool(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _not_default() -> Collection[int]:
    # Which Python asked the system at its start.
    return [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_DFL]


def lift_limits() -> None:
    """Bring every limit to that of builders, or to none, while this process has the right to raise one.

    Of open files only the hard one: this process has its own use for them. What came of it is remembered.
    """
    for name, kind in _KINDS.items():
        soft, hard = _DEFAULT_LIMITS.get(name, _UNLIMITED)
        if name == "nofile":
            soft = _soft(kind)
        _set(kind, (soft, hard))
        _lifted[kind] = resource.getrlimit(kind)


def set_limits(limits: Mapping[str, tuple[int, int]]) -> None:
    """Resource limits by name (`RLIMIT_…` in lower case) → (soft, hard); -1 is unlimited.

    All others get their defaults.
    """
    for name, kind in _KINDS.items():
        wanted = limits.get(name, _DEFAULT_LIMITS.get(name, _UNLIMITED))
        if kind not in _lifted:
            _set(kind, wanted)
        # Higher than it was lifted it can't be.
        elif (reached := _within(wanted, _lifted[kind][1])) != _lifted[kind]:
            _set(kind, reached)


def unreachable_limits() -> list[str]:
    """Names of limits that this process may not raise to what builders are to have.

    Those that are set for each build don't count.
    """
    names = _KINDS.keys() - {"fsize", "nproc"}
    return sorted(
        name for name in names if not _reachable(_KINDS[name], _DEFAULT_LIMITS.get(name, _UNLIMITED))
    )


def _reachable(kind: int, wanted: tuple[int, int]) -> bool:
    if _within(wanted, _hard(kind)) == _exact(wanted):
        return True
    before = resource.getrlimit(kind)
    try:
        resource.setrlimit(kind, _exact(wanted))
    except (ValueError, PermissionError):
        return False
    resource.setrlimit(kind, before)
    return True


def _set(kind: int, wanted: tuple[int, int]) -> None:
    """Exactly so if that may be, else as near as the present hard limit allows.

    Raising that one takes a right that root has not in most containers, nor in a user namespace.
    """
    try:
        resource.setrlimit(kind, _exact(wanted))
    except (ValueError, PermissionError):
        resource.setrlimit(kind, _within(wanted, _hard(kind)))


def _hard(kind: int) -> int:
    return resource.getrlimit(kind)[1]


def _soft(kind: int) -> int:
    return resource.getrlimit(kind)[0]


def _exact(wanted: tuple[int, int]) -> tuple[int, int]:
    """As the system writes it: -1 is the same on Linux, and on FreeBSD the largest number."""
    soft, hard = (resource.RLIM_INFINITY if value == -1 else value for value in wanted)
    return soft, hard


def _within(wanted: tuple[int, int], present: int) -> tuple[int, int]:
    def lower(value: int, bound: int) -> int:
        unlimited = resource.RLIM_INFINITY
        return bound if bound != unlimited and (value == unlimited or value > bound) else value

    soft, hard = _exact(wanted)
    hard = lower(hard, present)
    return lower(soft, hard), hard


def default_priority() -> None:
    """Take the usual nice value, if this process may.

    An ordinary user's daemon that was started with another one may not.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return
