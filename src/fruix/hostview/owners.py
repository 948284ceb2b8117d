"""Which package a file of the host belongs to, its version, and what else is in it.

The records are those of dpkg, pacman and apk, or what rpm says.

Records are read, not asked for, where their format is text: `/var/lib/dpkg/info/*.list` and
`/var/lib/dpkg/status` (dpkg-query(1), deb-control(5)), `local/*/files` of pacman (BUILDINFO's
sibling, alpm-files(5)), apk's `installed` (apk-v2(5): `P:` name, `V:` version, `F:` a directory,
`R:` a file in it). rpm's database is binary: rpm is run. Cost: reading all records once for each
resolution (7 MB for 750 packages of Debian); of rpm two calls for each file that is asked for by
itself, and one that lists everything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Protocol

from fruix.dataclass import dataclass
from fruix.overriding import override


@dataclass(frozen=True, slots=True)
class OwningPackage:
    """What a package put on the host.

    Attributes:
        name: as the package manager says; with the architecture if that is not the host's own.
        version: as it says too; empty if it doesn't.
        records: the files that tell of it; one of them is changed when the package is.
        files: absolute paths of files, links and directories.
    """

    name: str
    version: str
    records: tuple[str, ...]
    files: frozenset[str]


class PackageRecords(Protocol):
    """The packages of a host, as known at one moment."""

    def owner(self, path: str) -> OwningPackage | None:
        """The package that has this file, link or directory; None if none has."""

    def packages(self) -> Iterator[OwningPackage]:
        """Every installed package, with its files."""


class DpkgRecords(PackageRecords):
    """Debian and what comes of it.

    There is a list of paths for each package, and a paragraph in one file for all of them.
    """

    def __init__(self, directory: str) -> None:
        import glob  # noqa: PLC0415 - seldom needed

        self._status = f"{os.path.dirname(directory)}/status"
        self._versions = _dpkg_versions(_read(self._status).decode(errors="surrogateescape"))
        self._lists = {
            os.path.basename(name).removesuffix(".list"): name for name in glob.glob(f"{directory}/*.list")
        }
        self._texts = {name: b"\n" + _read(path) for name, path in sorted(self._lists.items())}

    @override
    def owner(self, path: str) -> OwningPackage | None:
        """The first by name: files of two packages are the same in both (multi-arch)."""
        line = b"\n" + os.fsencode(path) + b"\n"
        return next((self._package(name) for name, text in self._texts.items() if line in text), None)

    @override
    def packages(self) -> Iterator[OwningPackage]:
        return map(self._package, self._texts)

    def _package(self, key: str) -> OwningPackage:
        """One by the name of its list: `zlib1g:amd64`, or `make`."""
        name, version = self._versions.get(key, (key, ""))
        files = frozenset(os.fsdecode(self._texts[key]).split("\n")) - {""}
        return OwningPackage(name, version, (self._lists[key], self._status), files)


def _dpkg_versions(text: str) -> dict[str, tuple[str, str]]:
    """Name of a list → package and version."""
    paragraphs = [_fields(paragraph, _DPKG_FIELDS) for paragraph in text.split("\n\n")]
    host = next((found.get("Architecture") for found in paragraphs if found.get("Package") == "dpkg"), None)
    versions: dict[str, tuple[str, str]] = {}
    for found in paragraphs:
        name, architecture, version = (found.get(field, "") for field in _DPKG_FIELDS)
        shown = name if architecture in {host, "all", ""} else f"{name}:{architecture}"
        versions[f"{name}:{architecture}"] = shown, version
        if shown == name or name not in versions:
            versions[name] = shown, version
    return versions


_DPKG_FIELDS = ("Package", "Architecture", "Version")


def _fields(paragraph: str, names: tuple[str, ...]) -> dict[str, str]:
    pairs = (line.split(": ", 1) for line in paragraph.split("\n") if line.partition(": ")[0] in names)
    return {pair[0]: pair[1] for pair in pairs if len(pair) > 1}


class PacmanRecords(PackageRecords):
    """Arch Linux: a directory for each package.

    `files` lists paths without a leading slash after a line `%FILES%`.
    """

    def __init__(self, directory: str) -> None:
        import glob  # noqa: PLC0415 - seldom needed

        self._texts = {path: _read(path) for path in sorted(glob.glob(f"{directory}/*/files"))}

    @override
    def owner(self, path: str) -> OwningPackage | None:
        line = b"\n" + os.fsencode(path.lstrip("/")) + b"\n"
        return next((self._package(record) for record, text in self._texts.items() if line in text), None)

    @override
    def packages(self) -> Iterator[OwningPackage]:
        return map(self._package, self._texts)

    def _package(self, record: str) -> OwningPackage:
        """One by its file; the directory is called name, version and release."""
        body = os.fsdecode(self._texts[record].partition(b"%FILES%\n")[2].partition(b"\n\n")[0])
        files = frozenset("/" + name.rstrip("/") for name in body.split("\n") if name)
        name, *version = os.path.basename(os.path.dirname(record)).rsplit("-", 2)
        return OwningPackage(name, "-".join(version), (record,), files)


class ApkRecords(PackageRecords):
    """Alpine Linux: one file, a paragraph for each package."""

    def __init__(self, file: str) -> None:
        paragraphs = _read(file).decode(errors="surrogateescape").split("\n\n")
        self._packages = [_apk_package(paragraph, file) for paragraph in paragraphs]

    @override
    def owner(self, path: str) -> OwningPackage | None:
        """The first in the file that has it as a file; directories belong to many."""
        return next((package for package in self._packages if path in package.files), None)

    @override
    def packages(self) -> Iterator[OwningPackage]:
        return iter(self._packages)


def _apk_package(paragraph: str, record: str) -> OwningPackage:
    named, directory, files = {"P": "", "V": ""}, "", set()
    for line in paragraph.split("\n"):
        kind, _, value = line.partition(":")
        if kind in named:
            named[kind] = value
        elif kind == "F":
            directory = f"/{value}" if value else ""
            files.add(directory or "/")
        elif kind == "R":
            files.add(f"{directory}/{value}")
    return OwningPackage(named["P"], named["V"], (record,), frozenset(files))


class RpmRecords(PackageRecords):
    """Fedora, openSUSE and others: `rpm` is run for each question."""

    def __init__(self, file: str) -> None:
        self._file = file

    @override
    def owner(self, path: str) -> OwningPackage | None:
        """As `rpm -qf` says, the first of several."""
        rows = list(_rpm("-qf", "--queryformat", f"{_RPM_NAME}\\t%{{ARCH}}\\n", "--", path))
        if not rows:
            return None
        name, version, architecture = rows[0].split("\t")
        plain = version.partition(":")[2] or version  # rpm -q takes no epoch
        files = frozenset(_rpm("-ql", "--", f"{name}-{plain}.{architecture}"))
        return OwningPackage(name, version, (self._file,), files)

    @override
    def packages(self) -> Iterator[OwningPackage]:
        """As rpm lists them. Of several architectures all are one."""
        found: dict[tuple[str, str], set[str]] = {}
        each = _RPM_NAME.replace("%{", "%{=")  # the package's, in every line
        for row in _rpm("-qa", "--queryformat", f"[{each}\\t%{{FILENAMES}}\\n]"):
            name, version, path = row.split("\t", 2)
            found.setdefault((name, version), set()).add(path)
        for (name, version), files in found.items():
            yield OwningPackage(name, version, (self._file,), frozenset(files))


RPM = "rpm"
_RPM_NAME = "%{NAME}\\t%{EVR}"


def _rpm(*words: str) -> Iterator[str]:
    import subprocess  # noqa: PLC0415 - seldom needed

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


class _NoRecords(PackageRecords):
    """A host without a package manager that is known."""

    @override
    def owner(self, path: str) -> OwningPackage | None:
        return None

    @override
    def packages(self) -> Iterator[OwningPackage]:
        return iter(())


def package_records() -> PackageRecords:
    """The records of the first package manager of `RECORDS` that this host has; else empty ones."""
    for place, read in RECORDS:
        if os.path.exists(place):
            return read(place)
    return _NoRecords()
