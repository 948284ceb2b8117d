"""Repositories that would have git do more than give a tree: refused by git, or without any effect."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from building.builders.repositories import add_download, expected, git, served_repository
from fruix.building.settings import BuildSettings
from fruix.model.hashes import Hash
from machine import machine

MARK = "a-program-of-the-repository-has-run"
_RUN = f"touch $HOME/source/{MARK}"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A work tree, and the URL from which it is fetched once it is pushed."""
    with served_repository(tmp_path) as (url, _):
        yield tmp_path / "work", url


def submodule(url: str, *more: str, name: str = "inner", path: str = "inner") -> Callable[[Path], str]:
    """A commit with one, whose own commit is any."""

    def make(top: Path) -> str:
        lines = [f'[submodule "{name}"]', f"path = {path}", f'url = "{url}"', *more]
        (top / ".gitmodules").write_text("\n\t".join(lines) + "\n")
        head = git(top, "rev-parse", "HEAD")
        git(top, "add", ".gitmodules")
        git(top, "update-index", "--add", "--cacheinfo", f"160000,{head},inner")
        return commit(top)

    return make


def commit(top: Path) -> str:
    git(top, "commit", "-qm", "hostile")
    return git(top, "rev-parse", "HEAD")


def entry(mode: str, name: str, contents: str) -> Callable[[Path], str]:
    """A commit whose tree has an entry that git itself would not add."""

    def make(top: Path) -> str:
        blob = piped(top, contents, "hash-object", "-w", "--stdin")
        if mode == "040000":
            inner = piped(top, f"100755 blob {blob}\tpost-checkout\n", "mktree")
            blob = piped(top, f"040000 tree {inner}\thooks\n", "mktree")
        kind = "tree" if mode == "040000" else "blob"
        tree = piped(top, f"{mode} {kind} {blob}\t{name}\n", "mktree")
        found = git(top, "commit-tree", tree, "-m", "hostile")
        git(top, "update-ref", "HEAD", found)
        return found

    return make


def piped(top: Path, text: str, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=top, input=text, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def files(**contents: str) -> Callable[[Path], str]:
    """A commit with files; underscores at the beginning of names are dots."""

    def make(top: Path) -> str:
        for name, text in contents.items():
            (top / name.replace("_", ".", 1)).write_text(text)
        git(top, "add", ".")
        return commit(top)

    return make


def links(top: Path) -> str:
    """To the outside, and to where git's own would be."""
    (top / "outside").symlink_to("/etc/passwd")
    (top / "own").symlink_to(".git")
    git(top, "add", ".")
    return commit(top)


REFUSED = {
    "another-protocol": (submodule(f"ext::sh -c {_RUN.replace(' ', '% ')}"), "transport 'ext' not allowed"),
    "a-directory-of-the-host": (submodule("file:///etc"), "transport 'file' not allowed"),
    "a-directory-of-its-own": (submodule("/build/source"), "transport 'file' not allowed"),
    "an-option": (submodule(f"--upload-pack={_RUN}"), "may be interpreted as a command-line option"),
    "a-command": (submodule("../thing.git", f"update = !{_RUN}"), "submodule.inner.update"),
    "a-module-elsewhere": (submodule("../thing.git", name="../../hooks"), "suspicious submodule name"),
    "own-directory": (entry("040000", ".git", f"#!/bin/sh\n{_RUN}\n"), "invalid path '.git/hooks"),
    "own-link": (entry("120000", ".git", "/build"), "invalid path '.git'"),
    "upwards": (entry("040000", "..", "x"), "invalid path '../hooks"),
    "a-linked-list": (entry("120000", ".gitmodules", "/etc/passwd"), ".gitmodules"),
}
IDLE = {
    "includes": files(_gitmodules="[include]\n\tpath = ../evil\n", evil=f"[alias]\n\tx = !{_RUN}\n"),
    "filters": files(
        _gitattributes="* filter=evil\n",
        _gitconfig=f'[filter "evil"]\n\tsmudge = {_RUN}\n\trequired = true\n',
    ),
    "links": links,
}


def pushed(top: Path, make: Callable[[Path], str]) -> str:
    """The commit that `make` makes on top of what was there first; the server has it."""
    git(top, "checkout", "-q", "-f", "--detach", "first")
    git(top, "clean", "-qfd")
    found = make(top)
    bare = top.parent / "files/thing.git"
    git(top, "push", "-q", "-f", str(bare), "HEAD:refs/heads/hostile")
    git(bare, "update-server-info")
    return found


def test_what_a_repository_can_not_have_done(work: tuple[Path, str], tmp_path: Path) -> None:
    top, url = work
    git(top, "tag", "first")
    nothing, wrong = Hash("sha256", bytes(32)), dict[str, str]()
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        for name, (make, why) in REFUSED.items():
            drv = add_download(here, pushed(top, make), nothing, f'"{url}"', **{"recursive?": "#t"})
            (result,) = here.build(drv)
            if result.success or why not in result.message:
                wrong[name] = result.message
        for name, make in IDLE.items():
            found = pushed(top, make)
            drv = add_download(here, found, expected(tmp_path, found), f'"{url}"', **{"recursive?": "#t"})
            (result,) = here.build(drv)
            if not result.success:
                wrong[name] = result.message
    assert not wrong


def test_no_file_is_longer_than_a_download_may_be(work: tuple[Path, str]) -> None:
    """Packed it is short: what is checked out is not."""
    top, url = work
    git(top, "tag", "first")
    found = pushed(top, files(long="0" * (4 << 20)))
    settings = BuildSettings(fixed_output_network="pasta", max_download_size=1 << 20)
    with machine(settings) as here:
        (result,) = here.build(add_download(here, found, Hash("sha256", bytes(32)), f'"{url}"'))
        assert not result.success
        assert "none of 1 URL(s) gave the commit" in result.message
