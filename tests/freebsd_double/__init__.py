"""A double of FreeBSD's system calls for Linux, with real effects: the FreeBSD back end, whole, runs on it.

What lives here: `Double` (`double`), an implementation of `sandbox.freebsd.kernel.Kernel`; what its
calls are made of: the tables that a kernel keeps in its memory (`kernel_state`), mounts (`mounts`), device
nodes by rules (`devices`), jails (`jails`), processes (`processes`), what files do otherwise
(`files`), and how arguments are read as the kernel reads them (`arguments`). `python -m
freebsd_double COMMAND…` is `fruix COMMAND…` on the double.

It answers as FreeBSD 13.2 does: same errors, same messages, same order of checks as far as the back
end could notice. What it can't do:

- `/dev/fd`, `stdin`, `stdout` and `stderr` are there by name only, since on Linux they lead to
  /proc, which jails don't have.
- A process outside of a jail can be addressed by its number from inside (another user's: `EPERM`
  instead of `ESRCH`).
- The death signal is forgotten when a process changes its user; kernel and C library are Linux's,
  also by name (`uname`).
- Without a network stack of its own a jail still gets an empty one; resource limits are kept, not enforced.

Needs root and Linux. All processes that use one double must share a mount namespace.
"""
