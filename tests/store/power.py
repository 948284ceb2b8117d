"""A disk that loses its power.

What a process asked to have on disk is there, of all else any part may be.

The process under test runs with `power.c` preloaded, which stops at every fsync, fdatasync and
syncfs until the recorder has taken a picture of the files; the process itself says when work is
done (`did`) and what it was promised (`promised`). Afterwards `Recording.states` makes up disks
that a power cut at any of those moments could have left: each file and each 4 KiB page of it new or
old, each name there or not, in any combination. That is more than any journalling file system would
mix up, so what survives this survives those.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

PAGE = 4096
TORN_SIZE = 0.5  # how often a torn file's size is neither
LEFT_OUT = ("-shm", "reserved")  # made anew, and without contents that matter
CLIENT = """
import os, socket, sys
sys.path[:0] = {path!r}
_recorder = socket.socket(fileno=os.dup(int(os.environ["POWER_FD"])))
def tell(line):
    _recorder.send(line.encode())
    assert _recorder.recv(1)
def did(): tell("did")
def promised(path): tell("promised " + str(path))
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A file (`data`), a symlink (`target`), or a directory (neither)."""

    mode: int
    data: bytes | None = None
    target: str | None = None
    inode: int = field(default=0, compare=False)


Disk = dict[str, Node]


def picture(root: str) -> Disk:
    """All that lies below `root`, by its name there."""
    disk: Disk = {}
    for directory, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = os.path.join(directory, name)
            short = os.path.relpath(path, root)
            mode = os.lstat(path).st_mode & 0o7777
            if os.path.islink(path):
                disk[short] = Node(mode, target=os.readlink(path))
            elif os.path.isdir(path):
                disk[short] = Node(mode)
            elif not name.endswith(LEFT_OUT):
                disk[short] = Node(mode, Path(path).read_bytes(), inode=os.lstat(path).st_ino)
    return disk


@dataclass(slots=True)
class Moment:
    """A moment at which the power may go.

    What is safe, what is there, and what has been promised to be safe.
    """

    safe: Disk
    there: Disk
    promised: frozenset[str]

    def whole(self, node: Node) -> bool:
        """Whether a file's contents are safe, under whatever name: a rename doesn't undo a sync."""
        return any(known.inode == node.inode and known.data == node.data for known in self.safe.values())


@dataclass(slots=True)
class Recording:
    """A process's life, moment by moment."""

    root: str
    moments: list[Moment] = field(default_factory=list)

    @classmethod
    def of(cls, script: str, root: str, shim: Path) -> Recording:
        """Run a Python script in which `did()` and `promised(path)` are known.

        All its files lie below `root`.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        recording, safe, promised = cls(root), Disk(), set[str]()
        process = subprocess.Popen(
            [sys.executable, "-c", CLIENT.format(path=sys.path) + script],
            env={**os.environ, "LD_PRELOAD": str(shim), "POWER_FD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        with ours:
            while line := ours.recv(8192).decode():
                there = picture(root)
                recording.moments.append(Moment(safe, there, frozenset(promised)))
                safe = _after(line, root, safe, there)
                if line.startswith("promised "):
                    promised.add(line.partition(" ")[2])
                recording.moments.append(Moment(safe, there, frozenset(promised)))
                ours.send(b"x")
        assert process.wait() == 0
        return recording

    def states(self, each: int, seed: int) -> Iterator[tuple[Moment, Disk]]:
        """Disks that a power cut could have left.

        For each moment the two extremes and `each` mixtures.
        """
        chance = random.Random(seed)
        for moment in self.moments:
            yield moment, moment.safe
            yield moment, moment.there
            for _ in range(each):
                yield moment, mixture(moment, chance)


def _after(line: str, root: str, safe: Disk, there: Disk) -> Disk:
    """What is safe once a wish has been granted.

    A whole file system, or one file or directory with the directories on the way to it.
    """
    what, _, path = line.partition(" ")
    if what == "all":  # of the file system that holds `path`: each directory of `root` is one
        top = os.path.relpath(path, root).split("/")[0]
        kept = {name: node for name, node in safe.items() if name.split("/")[0] != top}
        return {**kept, **{name: node for name, node in there.items() if name.split("/")[0] == top}}
    if what != "file" or not path.startswith(root + "/"):
        return safe
    short = os.path.relpath(path, root)
    names = [short, *(str(parent) for parent in Path(short).parents if str(parent) != ".")]
    now = {**safe, **{name: there[name] for name in names if name in there}}
    if short in there and there[short].data is not None:
        return now
    # A directory: which names are in it is safe, what the files hold is not.
    kept = {name: node for name, node in now.items() if name in there or os.path.dirname(name) != short}
    safe_data = {node.inode: node for node in safe.values() if node.data is not None}
    for name, node in there.items():
        if os.path.dirname(name) == short and name not in kept:
            kept[name] = node if node.data is None else safe_data.get(node.inode, replace(node, data=b""))
    return kept


def mixture(moment: Moment, chance: random.Random) -> Disk:
    """Each thing old, new or, if it is a file, a bit of both.

    Directories as the things in them need them.
    """
    disk: Disk = {}
    for name in sorted({*moment.safe, *moment.there}):
        old, new = moment.safe.get(name), moment.there.get(name)
        node = old if old == new else _one_of(old, new, chance, moment)
        if node is not None:
            disk[name] = node
    for name in list(disk):
        for parent in Path(name).parents:
            if (above := str(parent)) != ".":
                known = moment.there.get(above) or moment.safe.get(above)
                if above not in disk and known is not None:
                    disk[above] = known
    return {name: node for name, node in disk.items() if not _below_a_file(name, disk)}


def _below_a_file(name: str, disk: Disk) -> bool:
    return any(
        (above := disk.get(str(parent))) is not None and (above.data is not None or above.target is not None)
        for parent in Path(name).parents
    )


def _one_of(old: Node | None, new: Node | None, chance: random.Random, moment: Moment) -> Node | None:
    choice = chance.randrange(4)
    if choice == 0 or new is None:
        return old if choice != 1 else new
    if choice == 1 or new.data is None or moment.whole(new):
        return new
    before = old.data if old is not None and old.data is not None else b""
    return Node(new.mode, data=_torn(before, new.data, chance))


def _torn(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """Pages of either, zeros where neither has been written; of any size in between."""
    size = chance.randint(*sorted((len(old), len(new)))) if chance.random() < TORN_SIZE else len(new)
    pages = []
    for start in range(0, size, PAGE):
        source = chance.choice([old, new])
        pages.append(source[start : start + PAGE].ljust(PAGE, b"\0"))
    return b"".join(pages)[:size]


def restore(disk: Disk, root: str) -> None:
    """Make `root` hold exactly that."""
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    for name in sorted(disk):
        node, path = disk[name], os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if node.target is not None:
            os.symlink(node.target, path)
        elif node.data is None:
            os.makedirs(path, exist_ok=True)
        else:
            Path(path).write_bytes(node.data)
            os.chmod(path, node.mode)
    for name in sorted(disk, reverse=True):
        if disk[name].data is None and disk[name].target is None:
            os.chmod(os.path.join(root, name), disk[name].mode)
