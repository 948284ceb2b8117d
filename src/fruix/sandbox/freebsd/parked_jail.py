"""A parked jail: made for the next build before that is known, so that little is left to do when it comes.

It is for a build of the same user that needs the same kept root, the likes of which has just ended:
what that was shown of the host stays mounted (`standing`), `/dev` is mounted anew, and a process
waits in a new jail, as root, its network up, for the program, the limits and the ids. Mounts that
are a build's own, and the build's directories, come when it does.

    builds/roots/UID-KEY/parked    the note: the jail's name; there as long as the jail is parked

Its process is a supervisor that was forked early. Handed a build, it looks whether everything is as
it would be made now, whatever has happened on the host meanwhile; if so the jail gets the build's
name. If not, or if the jail could not be made, it undoes what there is and goes on as any other
supervisor. It holds the lock of the kept root all the time: nobody else works in it, and a start
waits for that. It undoes everything when the spawner has gone, and when no build has come for long.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from fruix.dataclass import dataclass, field, replace
from fruix.sandbox.freebsd import handover, jail, kept_roots, mounts, reaper
from fruix.sandbox.freebsd.abi import FileSystem, Pair
from fruix.sandbox.freebsd.kernel import Kernel, KernelError
from fruix.sandbox.freebsd.release import release_in
from fruix.sandbox.freebsd.standing import Standing, can_stand
from fruix.sandbox.spawner.ipc import SpawnRequest
from fruix.sandbox.spec import PREFIX, SandboxSpec


def name_for(spec: SandboxSpec) -> str:
    """A name for a jail that is for the like of a specification (`frx-parked-STORE-RANDOM`)."""
    store = spec.id.split("-")[2:-1]
    return "-".join((PREFIX.rstrip("-"), "parked", *store, os.urandom(3).hex()))


@dataclass(slots=True)
class ParkedJail:
    """What its supervisor knows of it.

    Attributes:
        spec: that of the build before, under the parked jail's own name.
        root: the kept root.
        lock: open as long as the root is this process's.
        parameters: with which the jail was made.
        mounted: what was mounted in the root then.
        child: the process in the jail; 0: there is none.
        channel: leads to that.
    """

    kernel: Kernel
    spec: SandboxSpec
    root: str
    standing: Standing
    lock: int
    parameters: list[Pair] = field(default_factory=list)
    child: int = 0
    jid: int = 0
    mounted: Sequence[FileSystem] = ()
    channel: socket.socket | None = None
    descriptor: int | None = None

    @property
    def stands(self) -> bool:
        """Whether it has not been undone."""
        return self.lock >= 0

    def take(self, spec: SandboxSpec, table: Sequence[FileSystem]) -> bool:
        """Whether it is the jail that would be made for a specification now; it then has its name.

        If it is not, the daemon's log says why. `table`: the mounts of the system.
        """
        if not self.stands or self.has_ended():
            return False
        if why := self._why_not(spec, table) or self._rename(spec.id):
            os.write(2, f"fruix: the jail that stands ready isn't for {spec.id}: {why}\n".encode())
            return False
        kept_roots.remove_note(self.root)
        return True

    def _why_not(self, spec: SandboxSpec, table: Sequence[FileSystem]) -> str:
        try:
            shown = Standing.of(spec, table)
        except FileNotFoundError as error:
            return str(error)
        differs = {
            "what is mounted in it": mounts.below(table, self.root) != self.mounted,
            "the program": not can_stand(spec),
            "the root": kept_roots.kept_root(spec) != self.root,
            "file systems in memory": spec.tmpfs != self.spec.tmpfs,
            "what is shown of the host": shown != self.standing,
            "parameters of the jail": self.parameters_for(spec) != self.parameters,
        }
        return ", ".join(what for what, is_other in differs.items() if is_other)

    def _rename(self, name: str) -> str:
        """Give the jail a build's name; why that went wrong."""
        try:
            jail.rename(self.kernel, self.jid, name)
            found = jail.find(self.kernel, name)
        except KernelError as error:
            return str(error)
        return "" if found == self.jid else f"jail {self.jid} has not got its name"

    def parameters_for(self, spec: SandboxSpec) -> list[Pair]:
        """With which it would be made for a specification, now."""
        named = replace(spec, id=self.spec.id)
        return jail.parameters(self.kernel, named, self.root, release_in(self.root))

    def release(self, request: SpawnRequest, descriptors: Sequence[int]) -> int:
        """Let the process in the jail go on to the build's program; its number."""
        assert self.channel is not None
        with self.channel:
            # Of the binds nothing is left to do, and there can be thousands.
            bare = replace(request.spec, binds=(), links=(), files=())
            handover.send(self.channel, SpawnRequest(bare, request.fault), descriptors)
        return self.child

    def undo(self) -> None:
        """End the jail and unmount all that is mounted in the root.

        Raises:
            OSError: something can't be ended or unmounted.
        """
        if not self.stands:
            return
        if self.channel is not None:
            self.channel.close()
        reaper.end_descendants(self.kernel, self.spec.id, lambda *_: None)
        mounts.unmount_below(self.kernel, self.root)
        kept_roots.remove_note(self.root)
        os.close(self.lock)
        self.lock = -1

    def has_ended(self) -> bool:
        """Whether the process in the jail has, or there was none."""
        return reaper.reap(lambda *_: None)
