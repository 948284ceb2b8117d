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
from fruix.model.contentaddress import Method, render_output_method
from fruix.model.derivation import Derivation, DerivationOutput
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
    drv = fill_outputs(plain, DerivationHasher(here.store.read_derivation), here.store.directory)
    return here.store.add_text(f"{drv.name}.drv", aterm.render(drv), list(drv.references))


@pytest.mark.parametrize("which", [0, 2])
def test_a_commit_is_downloaded(served: tuple[str, list[str]], which: int, tmp_path: Path) -> None:
    """From the second URL: the first has nothing."""
    url, commits = served
    wanted = expected(tmp_path, commits[which])
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        drv = add_download(here, commits[which], wanted, f'("{url}.gone" "{url}")')
        (result,) = here.build(drv)
        assert result.success, result.message
        out = here.output(drv)
        assert sorted(os.listdir(out)) == [".gitattributes", "program", "sub"]
        assert (out / "program").read_bytes() == b"#!/bin/sh\r\n"


def test_a_tag_and_submodules_are_downloaded(served: tuple[str, list[str]], tmp_path: Path) -> None:
    """The submodule's address is relative to that of the repository."""
    url, _ = served
    work, files = tmp_path / "work", tmp_path / "files"
    git(tmp_path, "clone", "-q", "--bare", "work", "files/other.git")
    git(files / "other.git", "update-server-info")
    allow = ("-c", "protocol.file.allow=always")
    git(work, *allow, "submodule", "--quiet", "add", str(files / "other.git"), "inner")
    git(work, "config", "-f", ".gitmodules", "submodule.inner.url", "../other.git")
    git(work, "commit", "-qam", "with a submodule")
    git(work, "tag", "v1")
    git(work, "push", "-q", str(files / "thing.git"), "HEAD", "v1")
    git(files / "thing.git", "update-server-info")
    for recursive in ("#f", "#t"):
        tree = tmp_path / f"tree{recursive}"
        git(tmp_path, *allow, "clone", "-q", str(work), str(tree))
        if recursive == "#t":
            git(tree, *allow, "-c", f"submodule.inner.url={files}/other.git", "submodule", "update", "--init")
        subprocess.run(["find", tree, "-name", ".git", "-prune", "-exec", "rm", "-rf", "{}", "+"], check=True)
        wanted = tree_hash(tree)
        with machine(BuildSettings(fixed_output_network="pasta")) as here:
            drv = add_download(here, "v1", wanted, f'"{url}"', **{"recursive?": recursive})
            (result,) = here.build(drv)
            assert result.success, result.message
            assert os.path.exists(here.output(drv) / "inner/program") == (recursive == "#t")


def test_wrong_hashes_and_commits_of_downloads(served: tuple[str, list[str]], tmp_path: Path) -> None:
    url, commits = served
    wanted = expected(tmp_path, commits[2])
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        (result,) = here.build(add_download(here, commits[2], Hash("sha256", bytes(32)), f'"{url}"'))
        assert not result.success
        assert any(text in result.message for text in (wanted.base16, wanted.sri, wanted.nix32))
        (result,) = here.build(add_download(here, "d" * 40, wanted, f'"{url}"'))
        assert not result.success
        assert "none of 1 URL(s) gave the commit " + "d" * 40 in result.message


@pytest.mark.parametrize(
    ("url", "commit", "why"),
    [
        ('"file:///etc"', "a" * 40, "commits are fetched by http, https, git, not from 'file:///etc'"),
        ('"ext::sh -c id"', "a" * 40, "not from 'ext::sh -c id'"),
        ('"--upload-pack=id"', "a" * 40, "not from '--upload-pack=id'"),
        ('"http://localhost:9/a"', "a" * 40, "which the daemon's setting 'loopback-ports' doesn't list"),
        ("", "a" * 40, "needs a URL in the variable 'url'"),
        ('"http://a/b"', "--all", "'--all' is no name of a commit or tag"),
    ],
)
def test_what_can_t_be_downloaded_is_refused(url: str, commit: str, why: str) -> None:
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        drv = add_download(here, commit, Hash("sha256", bytes(32)), url)
        (result,) = here.build(drv)
        assert not result.success
        assert why in result.message


def test_a_server_can_t_have_other_protocols_or_programs_used(
    served: tuple[str, list[str]], tmp_path: Path
) -> None:
    """A submodule that names a command is refused by git, and the build fails."""
    url, _ = served
    work = tmp_path / "work"
    (work / ".gitmodules").write_text(
        '[submodule "inner"]\n\tpath = inner\n\turl = "ext::sh -c touch% /tmp/x"\n'
    )
    head = git(work, "rev-parse", "HEAD")
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{head},inner")
    git(work, "add", ".gitmodules")
    git(work, "commit", "-qm", "hostile")
    git(work, "push", "-q", str(tmp_path / "files/thing.git"), "HEAD")
    git(tmp_path / "files/thing.git", "update-server-info")
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        commit = git(work, "rev-parse", "HEAD")
        drv = add_download(here, commit, Hash("sha256", bytes(32)), f'"{url}"', **{"recursive?": "#t"})
        (result,) = here.build(drv)
        assert not result.success
        assert "transport 'ext' not allowed" in result.message
