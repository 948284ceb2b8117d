"""Stores that have roots already, for tests of what is built in them.

Pieces are fetched and roots put together once in a session, whoever needs them first; everybody
else gets a copy of that store, whose files are hard links.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from machine import private_frx

# Those of the build systems, and of what installs Python packages.
ROOTS = ("debian-12", "debian-12+c+++cmake+python", "debian-12+pytest")
_PACKAGES = f"""
packages = [
    Package(name=f"in-root-{{number}}", version="1", build_system="trivial", root=root,
            arguments={{"script": "mkdir $out"}})
    for number, root in enumerate({ROOTS})
]
"""
_OURS = ("NIX_", "METADATA", "FRUIX_PACKAGE", "FRUIX_STATE", "FRUIX_STORE", "FRUIX_LOG", "FRUIX_CONF")


@contextmanager
def rooted_frx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As `private_frx`, with `ROOTS` in the store."""
    prepared = _prepared(_of_all_workers(tmp_path_factory))
    with private_frx() as place:  # through the mount no link could be made
        _copy(prepared, Path(place))
        yield


def _copy(source: Path, target: Path) -> None:
    for name in os.listdir(source):
        flags = "-al" if name == "store" else "-a"  # a database must not be shared
        subprocess.run(["cp", flags, source / name, target], check=True)


def _of_all_workers(factory: pytest.TempPathFactory) -> Path:
    """A directory of this run's, whichever process asks."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _prepared(directory: Path) -> Path:
    """The store that is copied; made now if nobody has."""
    done = directory / "rooted"
    with (directory / "rooted.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _make(directory / "rooted.new")
            (directory / "rooted.new").rename(done)
    return done


def _make(place: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with private_frx() as real:
        file = Path("/frx/roots.py")
        file.write_text(_PACKAGES)
        words = [sys.executable, "-m", "fruix", "build", "-f", str(file)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        file.unlink()
        for path in Path("/frx/store").glob("*-debian-12*"):
            if path.is_dir():  # a collector leaves it
                Path(f"/frx/var/fruix/gcroots/{path.name}").symlink_to(path)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        _copy(Path(real), place)
