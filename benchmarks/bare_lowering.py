#!/usr/bin/env python3
"""bare_lowering.py DIRECTORY [MANY]: the least that adding many derivations costs a daemon in Python.

Each text of 1,600 bytes is a file, which is made, written, dated, closed and renamed, and rows in a
database: its own, three references and an output, in transactions of 256. It is hashed for its path,
for its archive and twice for its outputs, and a path is made of a hash for itself and for its output.
Nothing is received, read, checked, protected or answered: all of that comes on top, and so does what
the client does. Prints µs for each: wall clock, processor time, and that of its parts alone.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator

from bare_common import database

_TOGETHER = 256
_OUTPUTS = """
create table DerivationOutputs (drv integer not null references ValidPaths(id), id text not null,
    path text not null, primary key (drv, id));
create index IndexDerivationOutputs on DerivationOutputs(path);
"""


def _path(digest: bytes) -> str:
    return "/frx/store/" + base64.b32encode(digest[:20]).decode().lower() + "-a-package-1.0.drv"


def _paths(text: bytes) -> tuple[str, str]:
    """Its path and its output's, with the four hashes of a text and the two of paths."""
    found = [hashlib.sha256(text).digest() for _ in range(4)]
    return _path(hashlib.sha256(found[0]).digest()), _path(hashlib.sha256(found[2]).digest())


class Bare:
    """A store of so many derivations."""

    def __init__(self, directory: str, many: int) -> None:
        self.place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self.texts = [(b"%d " % number).ljust(1600, b"x") for number in range(many)]
        self.named = [_paths(text) for text in self.texts]
        self.database = database(directory, _OUTPUTS)

    def hashes(self) -> None:
        """Hash all."""
        for text in self.texts:
            _paths(text)

    def files(self) -> None:
        """Write all."""
        for number, text in enumerate(self.texts):
            name = b".%d" % number
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444, dir_fd=self.place)
            os.write(file, text)
            os.utime(file, (1, 1))
            os.close(file)
            base = self.named[number][0].rpartition("/")[2]
            os.rename(name, base, src_dir_fd=self.place, dst_dir_fd=self.place)

    def rows(self) -> None:
        """Note all."""
        insert = "insert into ValidPaths (path, hash, registrationTime, narSize) values (?, ?, 1, 1600)"
        for begin in range(0, len(self.named), _TOGETHER):
            numbers = range(begin, min(begin + _TOGETHER, len(self.named)))
            self.database.execute("begin immediate")
            self.database.executemany(insert, ((self.named[one][0], "0" * 71) for one in numbers))
            self.database.executemany(
                "insert into Refs select ?, id from ValidPaths where path = ?", self._references(numbers)
            )
            self.database.executemany(
                "insert into DerivationOutputs values (?, 'out', ?)",
                ((one + 1, self.named[one][1]) for one in numbers),
            )
            self.database.execute("commit")

    def _references(self, numbers: range) -> Iterator[tuple[int, str]]:
        for one in numbers:
            for other in {one // 2, one // 3, one // 5}:
                yield one + 1, self.named[other][0]


def _measured(work: Callable[[], None]) -> tuple[float, float]:
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


def main() -> None:
    """Measure each part once, and print."""
    directory, many = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    os.makedirs(directory)
    bare = Bare(directory, many)
    parts = {work.__name__: _measured(work) for work in (bare.hashes, bare.files, bare.rows)}
    for name, (wall, used) in parts.items():
        print(f"{name}: {wall / many * 1e6:.0f} µs, {used / many * 1e6:.0f} of processor time")
    wall, used = map(sum, zip(*parts.values(), strict=True))
    print(f"whole: {wall / many * 1e6:.0f} µs, {used / many * 1e6:.0f} of processor time")


if __name__ == "__main__":
    main()
