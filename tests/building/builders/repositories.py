"""Repositories of a server on this machine that has files only (Git's dumb protocol), and derivations."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import network_rig as rig
from fruix.model import aterm
from fruix.model.contentaddress import Method, render_output_method
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.hashes import Hash, hasher
from fruix.model.storepath import StorePath
from fruix.store.tree.dump import dump
from fruix.this_machine import local_system
from machine import Machine


def git(top: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(
        command, cwd=top, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


@contextmanager
def served_repository(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
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


def add_derivation(here: Machine, plain: Derivation) -> StorePath:
    drv = fill_outputs(plain, DerivationHasher(here.store.read_derivation), here.store.directory)
    return here.store.add_text(f"{drv.name}.drv", aterm.render(drv), list(drv.references))


def expected(tmp_path: Path, commit: str) -> Hash:
    tree = tmp_path / f"tree-{commit}"
    tree.mkdir()
    data = subprocess.check_output(["git", "archive", commit], cwd=tmp_path / "work")
    subprocess.run(["tar", "-x", "-C", str(tree)], input=io.BytesIO(data).getvalue(), check=True)
    return tree_hash(tree)


def add_download(here: Machine, commit: str, wanted: Hash, url: str, **more: str) -> StorePath:
    """What the `guix` command makes of an origin with `git-fetch`."""
    plain = Derivation(
        name="thing-checkout",
        outputs={"out": DerivationOutput(None, render_output_method(Method.NAR, "sha256"), wanted.base16)},
        input_drvs={},
        input_srcs=(),
        system=local_system(),
        builder="builtin:git-download",
        args=(),
        env={"url": url, "commit": commit, "recursive?": "#f", **more},
    )
    return add_derivation(here, plain)
