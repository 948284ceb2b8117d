"""What package managers note of the packages of a `Place`, and a view of one part of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from fruix.hostview import (
    ResolvedView,
    ViewDefinition,
    owners,
    resolve_view,
)
from fruix.hostview.parts import Part
from hostview.places import Place

HEADERS = ("include/stdio.h", "include/sys/types.h", "include/sys/deep/more.h")
FOREIGN = ("include/zlib.h", "include/foo/foo.h")


class Recorder(Protocol):
    """Notes that a package of a version is installed, in place of its other version."""

    def __call__(self, place: Place, package: str, files: Iterable[str], version: str = ...) -> None: ...


def dpkg(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    names = {f"{place.top}/{name}" for name in files}
    directories = {str(parent) for name in names for parent in Path(name).parents}
    place.file(
        f"info/{package}:amd64.list", "".join(f"{name}\n" for name in ["/.", *sorted(names | directories)])
    )
    status = place.top / "status"
    others = status.read_text().split("\n\n") if status.exists() else ["Package: dpkg\nArchitecture: amd64"]
    own = f"Package: {package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}"
    kept = [text for text in others if not text.startswith(f"Package: {package}\n")]
    status.write_text("\n\n".join([own, *kept]))
    owners.RECORDS = ((f"{place.top}/info", owners.DpkgRecords),)


def pacman(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    names = {f"{place.top}/{name}".lstrip("/") for name in files}
    directories = {f"{parent}/" for name in names for parent in Path(name).parents}
    text = "".join(f"{name}\n" for name in ["%FILES%", *sorted(names | directories)])
    for other in (place.top / "local").glob(f"{package}-[0-9]*"):
        shutil.rmtree(other)
    place.file(f"local/{package}-{version}/files", f"{text}\n%BACKUP%\netc/x\t0\n")
    owners.RECORDS = ((f"{place.top}/local", owners.PacmanRecords),)


def apk(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    lines = [f"C:Q1=\nP:{package}\nV:{version}"]
    directories: dict[str, list[str]] = {"": []}
    for name in files:
        full = f"{place.top}/{name}".lstrip("/")
        for parent in Path(full).parents:
            directories.setdefault(str(parent), [])
        directories[os.path.dirname(full)].append(os.path.basename(full))
    for directory, names in directories.items():
        lines += [f"F:{directory}", *(f"R:{name}\na:0:0:644" for name in names)]
    installed = place.top / "installed"
    others = installed.read_text().split("\n\n") if installed.exists() else [""]
    kept = [text for text in others if f"\nP:{package}\n" not in text]
    installed.write_text("\n\n".join(["\n".join(lines), *kept]))
    owners.RECORDS = ((f"{place.top}/installed", owners.ApkRecords),)


def rpm(place: Place, package: str, files: Iterable[str], version: str = "1-1") -> None:
    """A script that answers as rpm does, from lists."""
    dpkg(place, package, files, version)
    (place.top / f"info/{package}:amd64.list").rename(place.top / f"info/{package}")
    place.file(f"versions/{package}", version)
    place.file(
        "rpm",
        f"""#!/bin/sh
cd {place.top}/info
case $1 in
-qf) shift 4; found=$(grep -lx -- "$1" *) || {{ echo "file $1 is not owned by any package"; exit 1; }}
    for name in $found; do printf '%s\\t%s\\tx86_64\\n' $name 1:$(cat ../versions/$name); done ;;
-ql) shift 2; for name in *; do [ "$1" != $name-$(cat ../versions/$name).x86_64 ] || cat $name; done ;;
-qa) for name in *; do sed "s/^/$name\\t1:$(cat ../versions/$name)\\t/" $name; done ;;
esac
""",
    )
    place.file("rpmdb.sqlite")
    owners.RPM = f"{place.top}/rpm"
    owners.RECORDS = ((f"{place.top}/rpmdb.sqlite", owners.RpmRecords),)


MANAGERS: tuple[Recorder, ...] = (dpkg, pacman, apk, rpm)


def resolve(place: Place, *, otherwise: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> ResolvedView:
    top = f"{place.top}"
    part = Part(
        (f"{top}/include/stdio.h",),
        (f"{top}/include",),
        tuple(f"{top}/{name}" for name in otherwise),
        hint="the C library's headers",
    )
    trees = tuple(f"{top}/{name}" for name in more)
    return resolve_view(ViewDefinition("v", trees=trees, parts=(part,), path=(f"{top}/bin",)), place.cache)
