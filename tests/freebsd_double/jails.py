"""jail_set, jail_get and jail_remove of the double.

A jail is a host name, IPC and network namespace of its own, and a root directory.

Membership is told by the UTS namespace, which no process of a builder can leave: from inside a
changed root no further namespaces can be made. A jail that isn't persistent is gone with its last
process; a persistent one keeps its namespaces by mounts of their names.
"""

from __future__ import annotations

import errno
import os
import stat
import struct

from freebsd_double import parameters, processes
from freebsd_double.arguments import Pairs
from freebsd_double.kernel_state import Jail, State, Tables
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.kernel import KernelError
from fruix.sandbox.linux import libc

_KNOWN_FLAGS = abi.JAIL_CREATE | abi.JAIL_UPDATE | abi.JAIL_ATTACH | abi.JAIL_DYING
_SPACES = {"uts": libc.CLONE_NEWUTS, "ipc": libc.CLONE_NEWIPC, "net": libc.CLONE_NEWNET}


def living(tables: Tables, *, dying: bool = False) -> list[Jail]:
    """The jails that there are, in order of their numbers.

    Those without a process or persistence are forgotten.
    """
    tables.jails = [
        jail for jail in tables.jails if (jail.persist and not jail.removed) or processes.in_space(jail.space)
    ]
    return [jail for jail in tables.jails if dying or not jail.removed]


def jail_set(state: State, tables: Tables, pairs: Pairs, flags: int) -> Jail:
    """Make or change a jail. Entering it is the caller's affair, when the tables are unlocked again."""
    if flags & ~_KNOWN_FLAGS or not flags & (abi.JAIL_CREATE | abi.JAIL_UPDATE):
        pairs.fail(errno.EINVAL)
    wanted = parameters.read(pairs, vimage=state.machine.vimage)
    if flags & abi.JAIL_UPDATE:
        return _update(state, tables, pairs, wanted)
    return _create(state, tables, pairs, wanted, attach=bool(flags & abi.JAIL_ATTACH))


def _update(state: State, tables: Tables, pairs: Pairs, wanted: parameters.Wanted) -> Jail:
    jail = _named(tables, pairs, dying=False)
    for name in ("path", "vnet", "ip4", "ip6", "osrelease", "osreldate"):
        if name in pairs.values:
            pairs.fail(errno.EINVAL, f"{name} cannot be changed after creation")
    if wanted.name and wanted.name != jail.name:  # it was found by its number
        if any(other.name == wanted.name for other in living(tables, dying=True)):
            pairs.fail(errno.EEXIST, f'jail "{wanted.name}" already exists')
        jail.name = wanted.name
    if wanted.persist is not None:
        jail.persist = wanted.persist
        if not wanted.persist:
            _forget_spaces(state, jail)
    jail.parameters.update(wanted.numbers)
    living(tables)
    return jail


def _create(state: State, tables: Tables, pairs: Pairs, wanted: parameters.Wanted, *, attach: bool) -> Jail:
    if not attach and not wanted.persist:
        pairs.fail(errno.EINVAL, "new jail must persist or attach")
    name, path = wanted.name, wanted.path
    if name and "." in name:  # a jail in a jail, of which there is none
        pairs.fail(errno.ENOENT, f'jail "{name.rpartition(".")[0]}" not found')
    if name and any(jail.name == name for jail in living(tables, dying=True)):
        pairs.fail(errno.EEXIST, f'jail "{name}" already exists')
    if path is None or not os.path.exists(path):
        pairs.fail(errno.ENOENT)
    if not os.path.isdir(path):
        pairs.fail(errno.ENOTDIR)
    if attach and has_open_directory():
        pairs.fail(errno.EPERM, "attach failed")
    tables.last_jid += 1
    jid = tables.last_jid
    jail = Jail(
        jid,
        name or str(jid),
        os.path.realpath(path),
        "",
        wanted.hostname,
        wanted.numbers,
        bool(wanted.persist),
    )
    if attach:
        _enter_new_spaces(wanted)
        jail.space = processes.space_of(os.getpid())
    if jail.persist:
        _keep_spaces(state, jail, wanted, own=attach)
    tables.jails.append(jail)
    return jail


def _enter_new_spaces(wanted: parameters.Wanted) -> None:
    kinds = [kind for kind in _SPACES if kind != "net" or not wanted.shares_network]
    libc.unshare(sum(_SPACES[kind] for kind in kinds))
    libc.sethostname(wanted.hostname.encode())
    libc.setdomainname(wanted.domainname.encode())


def _keep_spaces(state: State, jail: Jail, wanted: parameters.Wanted, *, own: bool) -> None:
    """Mount the names of the namespaces, of this process or of one that makes them and ends."""
    pid, done = (os.getpid(), -1) if own else _process_with_spaces(wanted)
    try:
        jail.space = processes.space_of(pid)
        for kind in _SPACES:
            path = state.space(jail.jid, kind)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            libc.mount(f"/proc/{pid}/ns/{kind}".encode(), path.encode(), None, libc.MS_BIND)
    finally:
        if not own:
            os.close(done)
            os.waitpid(pid, 0)


def _process_with_spaces(wanted: parameters.Wanted) -> tuple[int, int]:
    ready, ready_child = os.pipe()
    done_child, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(done)
            _enter_new_spaces(wanted)
            os.write(ready_child, b"x")
            os.read(done_child, 1)
            status = 0
        finally:
            os._exit(status)
    for descriptor in (ready_child, done_child):
        os.close(descriptor)
    with open(ready, "rb") as file:
        if file.read(1) != b"x":
            raise KernelError("jail_set", errno.EAGAIN)
    return pid, done


def _forget_spaces(state: State, jail: Jail) -> None:
    for kind in _SPACES:
        path = state.space(jail.jid, kind)
        if os.path.exists(path):
            libc.umount(path.encode(), libc.MNT_DETACH)
            os.unlink(path)


def move_in(path: str) -> None:
    """The last part of entering a jail, after its namespaces."""
    os.chroot(path)
    os.chdir("/")


def jail_get(tables: Tables, pairs: Pairs, flags: int) -> int:
    """Find one; fill in what is asked for."""
    if flags & ~abi.JAIL_DYING:
        pairs.fail(errno.EINVAL)
    parameters.check_names(pairs, {"lastjid", "jid", "dying"})
    jail = _named(tables, pairs, dying=bool(flags & abi.JAIL_DYING))
    texts = {"name": jail.name, "path": jail.path, "host.hostname": jail.hostname}
    for name, text in texts.items():
        if isinstance(pairs.values.get(name), bytearray):
            pairs.answer(name, os.fsencode(text) + b"\0")
    for name, number in {"jid": jail.jid, "dying": int(jail.removed), **jail.parameters}.items():
        pairs.answer(name, struct.pack("=i", number))
    return jail.jid


def _named(tables: Tables, pairs: Pairs, *, dying: bool) -> Jail:
    there = living(tables, dying=dying)
    last = pairs.integer("lastjid")
    if last is not None:
        found, message = next((jail for jail in there if jail.jid > last), None), ""
    elif jid := pairs.integer("jid"):
        found, message = next((jail for jail in there if jail.jid == jid), None), f"jail {jid} not found"
    else:
        name = pairs.text("name", size=abi.JAIL_NAME_SIZE)
        if not name:
            pairs.fail(errno.ENOENT, "no jail specified")
        found, message = next((jail for jail in there if jail.name == name), None), f'jail "{name}" not found'
    if found is None:
        pairs.fail(errno.ENOENT, message)
    return found


def jail_remove(state: State, tables: Tables, jid: int) -> str:
    """Mark it as dying; returns the namespace whose processes are to be killed."""
    jail = next((jail for jail in living(tables) if jail.jid == jid), None)
    if jail is None:
        raise KernelError("jail_remove", errno.EINVAL)
    jail.removed = True
    _forget_spaces(state, jail)
    return jail.space


def has_open_directory() -> bool:
    """What entering a jail refuses."""
    for entry in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISDIR(os.fstat(int(entry)).st_mode):
                return True
        except OSError:
            continue  # the one that the listing used
    return False
