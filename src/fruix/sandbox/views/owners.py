"""Which package a file of the host belongs to, and what else is in it: by the records of dpkg, pacman and apk, or as rpm says.

Records are read, not asked for, where their format is text: `/var/lib/dpkg/info/*.list` (dpkg-query(1)), `local/*/files` of pacman (BUILDINFO's sibling,
alpm-files(5)), apk's `installed` (apk-v2(5): `F:` a directory, `R:` a file in it). rpm's database is binary: `rpm -qf` and `rpm -ql` are run.
Cost: reading all records once for each resolution that needs them (7 MB for 750 packages of Debian), or two calls of rpm for each file.
"""

from __future__ import annotations

import glob
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OwningPackage:
    """What a package put on the host.

    Attributes:
        name: as the package manager says.
        record: the file that tells of it; changed when the package is.
        files: absolute paths of files, links and directories.
    """

    name: str
    record: str
    files: frozenset[str]


class PackageRecords(Protocol):
    """The packages of a host, as known at one moment."""

    def owner(self, path: str) -> OwningPackage | None:
        """The package that has this file, link or directory; None if none has."""


class DpkgRecords:
    """Debian and what comes of it: a list of paths for each package."""

    def __init__(self, directory: str) -> None:
        self._lists = {
            os.path.basename(name).removesuffix(".list"): name for name in glob.glob(f"{directory}/*.list")
        }
        self._texts = {name: b"\n" + _read(path) for name, path in sorted(self._lists.items())}

    def owner(self, path: str) -> OwningPackage | None:
        """The first by name: files of two packages are the same in both (multi-arch)."""
        line = b"\n" + os.fsencode(path) + b"\n"
        for name, text in self._texts.items():
            if line in text:
                return OwningPackage(name, self._lists[name], frozenset(os.fsdecode(text).split("\n")) - {""})
        return None


class PacmanRecords:
    """Arch Linux: a directory for each package; `files` lists paths without a leading slash after a line `%FILES%`."""

    def __init__(self, directory: str) -> None:
        self._texts = {path: _read(path) for path in sorted(glob.glob(f"{directory}/*/files"))}

    def owner(self, path: str) -> OwningPackage | None:
        """The first by name."""
        line = b"\n" + os.fsencode(path.lstrip("/")) + b"\n"
        for record, text in self._texts.items():
            if line in text:
                body = os.fsdecode(text.partition(b"%FILES%\n")[2].partition(b"\n\n")[0])
                files = frozenset("/" + name.rstrip("/") for name in body.split("\n") if name)
                return OwningPackage(os.path.basename(os.path.dirname(record)), record, files)
        return None


class ApkRecords:
    """Alpine Linux: one file, a paragraph for each package."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._packages = [
            (name, frozenset(files))
            for name, files in map(_apk_package, _read(file).decode(errors="surrogateescape").split("\n\n"))
        ]

    def owner(self, path: str) -> OwningPackage | None:
        """The first in the file that has it as a file; directories belong to many."""
        for name, files in self._packages:
            if path in files:
                return OwningPackage(name, self._file, files)
        return None


def _apk_package(paragraph: str) -> tuple[str, set[str]]:
    name, directory, files = "", "", set()
    for line in paragraph.split("\n"):
        kind, _, value = line.partition(":")
        if kind == "P":
            name = value
        elif kind == "F":
            directory = f"/{value}" if value else ""
            files.add(directory or "/")
        elif kind == "R":
            files.add(f"{directory}/{value}")
    return name, files


class RpmRecords:
    """Fedora, openSUSE and others."""

    def __init__(self, file: str) -> None:
        self._file = file

    def owner(self, path: str) -> OwningPackage | None:
        """As `rpm -qf` says, the first of several."""
        names = list(_rpm("-qf", "--queryformat", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n", "--", path))
        if not names:
            return None
        return OwningPackage(names[0], self._file, frozenset(_rpm("-ql", "--", names[0])))


RPM = "rpm"


def _rpm(*words: str) -> Iterator[str]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [RPM, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0:
        yield from (os.fsdecode(line) for line in done.stdout.splitlines() if line)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


# Where each keeps its records, and what reads them; the first that is there counts.
RECORDS: tuple[tuple[str, Callable[[str], PackageRecords]], ...] = (
    ("/var/lib/dpkg/info", DpkgRecords),
    ("/var/lib/pacman/local", PacmanRecords),
    ("/usr/lib/apk/db/installed", ApkRecords),
    ("/lib/apk/db/installed", ApkRecords),
    ("/usr/lib/sysimage/rpm/rpmdb.sqlite", RpmRecords),
    ("/usr/lib/sysimage/rpm/Packages.db", RpmRecords),
    ("/var/lib/rpm/rpmdb.sqlite", RpmRecords),
    ("/var/lib/rpm/Packages", RpmRecords),
)


class _NoRecords:
    """A host without a package manager that is known."""

    def owner(self, path: str) -> OwningPackage | None:  # noqa: ARG002
        """Nobody."""
        return None


def package_records() -> PackageRecords:
    """Those of this host."""
    for place, read in RECORDS:
        if os.path.exists(place):
            return read(place)
    return _NoRecords()
