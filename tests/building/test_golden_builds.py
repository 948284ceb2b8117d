"""Derivations of the real clients, built here.

Paths, NAR hashes and references are the same as in the databases of their own daemons.

The builder that they name is a store object whose path follows from its contents, which are those
of the recording machine; another busybox is put in its place, registered as what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fruix.model import aterm
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildStatus
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from golden_data import GOLDEN, load
from machine import Machine, machine

pytestmark = pytest.mark.usefixtures("each_back_end")

SHELL = StorePath("/frx/store/k11s6bj89zly0bjj3gyl7j37irz8y1nx-bb")
SCRIPT = StorePath("/frx/store/89j2vn5c7kwrvvgf720f1vwxg8h3x0x0-builder.sh")
WITH_REF = StorePath("/frx/store/5zivx8rgw6s9fr5zai70hxpibbkpf1z5-with-ref.txt")


def stand_in(
    here: Machine, path: StorePath, chunks: list[bytes], references: tuple[StorePath, ...] = ()
) -> None:
    data = b"".join(chunks)
    here.store.add_nar(PathInfo(path, Hash.of("sha256", data), len(data), references), [data])


@pytest.fixture(scope="module")
def here(each_back_end: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine() as one:
        shell = one.shell(tmp_path_factory.mktemp("shell"))
        stand_in(one, SHELL, list(one.store.nar(shell)))
        text = one.store.add_text("text", b"x\n")
        stand_in(one, SCRIPT, list(one.store.nar(text)))
        stand_in(one, WITH_REF, list(one.store.nar(text)), (SCRIPT,))
        yield one


def rows(world: str) -> dict[str, tuple[str, int, list[str]]]:
    """Path → (hash, NAR size, references), as recorded."""
    tables: dict[str, Any] = load(f"db/{world}-db.json")["tables"]
    columns = {
        name: tables["ValidPaths"]["columns"].index(name) for name in ("id", "path", "hash", "narSize")
    }
    paths = {row[columns["id"]]: row for row in tables["ValidPaths"]["rows"]}
    found = {}
    for identifier, row in paths.items():
        references = sorted(
            paths[to][columns["path"]] for at, to in tables["Refs"]["rows"] if at == identifier
        )
        found[row[columns["path"]]] = (row[columns["hash"]], row[columns["narSize"]], references)
    return found


def add(here: Machine, world: str, name: str) -> StorePath:
    """Add a derivation of the real client and what it needs."""
    (file,) = (path for path in (GOLDEN / "drvs" / world).iterdir() if path.name[33:] == f"{name}.drv")
    data = Path(file).read_bytes()
    drv = aterm.parse(data, name)
    for needed in drv.input_drvs:
        add(here, world, needed.short_name)
    added = here.store.add_text(f"{name}.drv", data, list(drv.references))
    assert added.base == file.name
    return added


@pytest.mark.parametrize(
    ("world", "name"),
    [
        ("nix", "simple"),
        ("nix", "multi"),
        ("nix", "uses-multi"),
        ("nix", "fixed-rec"),
        ("guix", "simple"),
        ("guix", "multi"),
        ("guix", "uses-multi"),
        ("guix", "fixed-flat"),
    ],
)
def test_outputs_are_those_of_the_real_daemon(here: Machine, world: str, name: str) -> None:
    drv = add(here, world, name)
    (result,) = here.build(drv, options=BuildOptions(world))
    assert result.success, result.message
    recorded = rows(world)
    for path in here.store.derivation_outputs(drv).values():
        info = here.store.path_info(path)
        assert info is not None
        seen = (info.nar_hash.prefixed16, info.nar_size, [str(reference) for reference in info.references])
        assert seen == recorded[str(path)]


@pytest.mark.parametrize("world", ["nix", "guix"])
def test_references_and_sizes_of_attrs(here: Machine, world: str) -> None:
    """These print what they see, so only what they refer to can be the same."""
    drv = add(here, world, "attrs")
    (result,) = here.build(drv, options=BuildOptions(world))
    assert result.success, result.message
    out = here.store.derivation_outputs(drv)["out"]
    # Guix's builder also lists the store, which holds nothing but its inputs.
    assert [str(path) for path in here.store.references(out)] == rows(world)[str(out)][2]


def test_variables_are_those_that_the_real_daemon_gives(here: Machine) -> None:
    """The golden derivation prints its environment; `weird` has a line end and is left out."""
    drv = add(here, "guix", "attrs")
    assert here.build(drv, options=BuildOptions("guix"))[0].success
    lines = here.output(drv).read_bytes().decode("utf-8", "surrogateescape").splitlines()
    found = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    seen = {name: value.strip("'") for name, value in found.items()}
    recorded: dict[str, str] = load("sandbox.json")["guix"]["environment"]
    machine_own = {"NIX_BUILD_CORES", "SHLVL", "weird", "guix properties", "OLDPWD"}
    assert {name: value for name, value in seen.items() if name not in machine_own} == {
        name: value for name, value in recorded.items() if name not in machine_own
    }


def test_a_wrong_hash(here: Machine) -> None:
    drv = add(here, "guix", "badhash")
    (result,) = here.build(drv, options=BuildOptions("guix"))
    assert result.status == BuildStatus.OUTPUT_REJECTED
