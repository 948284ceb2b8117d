"""Sources that are commits, fetched by a builder with the host's git.

The server is on this machine and has files only (Git's dumb protocol).
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import network_rig as rig
from fruix.building.builders.platforms import local_system
from fruix.building.settings import BuildSettings
from fruix.model import aterm
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.hashes import Hash, hasher
from fruix.model.storepath import StorePath
from fruix.packages.lower_sources import GIT_BUILDER, GIT_VIEW, fetch_commit
from fruix.packages.sources import Git
from fruix.store.tree.dump import dump
from machine import Machine, machine


def git(top: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(
        command, cwd=top, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The URL of a repository, and its commits."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q")
    commits = []
    for number in range(3):
        (work / "sub").mkdir(exist_ok=True)
        (work / "sub/a file").write_text(f"{number}\n")
        (work / "program").write_text("#!/bin/sh\r\n")
        (work / "program").chmod(0o755)
        (work / ".gitattributes").write_text("*.c export-subst\n")
        git(work, "add", ".")
        git(work, "commit", "-qm", "x")
        commits.append(git(work, "rev-parse", "HEAD"))
    git(tmp_path, "clone", "-q", "--bare", "work", "files/thing.git")
    git(tmp_path / "files/thing.git", "update-server-info")
    with rig.private_network(), rig.web_server(tmp_path / "files") as port:
        yield f"http://{rig.HOST}:{port}/thing.git", commits


def tree_hash(path: Path) -> Hash:
    parent = os.open(path.parent, os.O_RDONLY)
    state = hasher("sha256")
    for chunk in dump(parent, os.fsencode(path.name)):
        state.update(chunk)
    os.close(parent)
    return Hash("sha256", state.digest())


def add(here: Machine, source: Git) -> StorePath:
    builder = here.store.add_text("git-source-builder.sh", GIT_BUILDER.encode())
    view = here.builder._resources.views.resolve(GIT_VIEW).view
    plain = fetch_commit(source, builder, local_system(), view)
    drv = fill_outputs(plain, DerivationHasher(here.store.read_derivation), here.store.directory)
    return here.store.add_text(f"{drv.name}.drv", aterm.render(drv), list(drv.references))


def expected(tmp_path: Path, commit: str) -> Hash:
    tree = tmp_path / f"tree-{commit}"
    tree.mkdir()
    data = subprocess.check_output(["git", "archive", commit], cwd=tmp_path / "work")
    subprocess.run(["tar", "-x", "-C", str(tree)], input=io.BytesIO(data).getvalue(), check=True)
    return tree_hash(tree)


@pytest.mark.parametrize("which", [0, 2])
def test_a_commit_is_fetched(served: tuple[str, list[str]], which: int, tmp_path: Path) -> None:
    """The last one and one that no branch ends with."""
    url, commits = served
    wanted = expected(tmp_path, commits[which])
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        drv = add(here, Git(f"git+{url}", commits[which], wanted.sri))
        (result,) = here.build(drv)
        assert result.success, result.message
        out = here.output(drv)
        assert sorted(os.listdir(out)) == [".gitattributes", "program", "sub"]
        assert (out / "sub/a file").read_text() == f"{which}\n"
        assert (out / "program").read_bytes() == b"#!/bin/sh\r\n"
        assert os.access(out / "program", os.X_OK)


def test_wrong_hashes_and_commits(served: tuple[str, list[str]], tmp_path: Path) -> None:
    url, commits = served
    wanted = expected(tmp_path, commits[2])
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        source = Git(url, commits[2], "0" * 64)
        (result,) = here.build(add(here, source))
        assert not result.success
        assert (
            wanted.base16 in result.message or wanted.sri in result.message or wanted.nix32 in result.message
        )
        (result,) = here.build(add(here, replace(source, commit="d" * 40)))
        assert not result.success
        assert "d" * 40 in result.message
