"""The directories that documents list are there after a build, with the modes that are said.

On a private /frx.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator

import pytest

from docs import scene
from docs.documents import quoted, tables
from fruix.sandbox.linux import userns

# Made when something is first put there.
_LATER = frozenset({"/frx/var/fruix/kept/UID", "/frx/etc/fruix.toml"})


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if userns.confined():
        pytest.skip("machine: documents show what root sees, which an ordinary user is not")
    with scene.machine("", tmp_path_factory):
        shell = scene.Shell(tmp_path_factory.mktemp("scene"), "")
        for script, status in (("echo > $out", 0), ("exit 1", 100)):
            arguments = (
                f'Package(name="x", version="1", build_system="trivial", arguments={{"script": "{script}"}})'
            )
            assert shell.run(f"fruix build -K -e {shlex.quote(arguments)}")[1] == status
        shell.close()
        yield


def test_modes_in_the_store_s_document(machine: None) -> None:
    rows = tables("docs/store.md", "Directories")[0][1:]
    assert rows
    for names, mode, _ in rows:
        first, *others = quoted(names)
        for path in (first, *(os.path.join(os.path.dirname(first), other) for other in others)):
            found = os.stat(path)
            assert (f"{stat.S_IMODE(found.st_mode):04o}", found.st_uid) == (mode.split()[0], 0), path


def test_directories_in_the_daemon_s_document(machine: None) -> None:
    names = [name for row in tables("docs/daemon.md", "Directories")[0] for name in quoted(row[0])]
    assert names
    assert [name for name in names if name not in _LATER and not os.path.exists(name)] == []
