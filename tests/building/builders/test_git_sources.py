"""Sources that are commits, fetched by the daemon with the host's git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from building.builders.repositories import (
    add_derivation,
    add_download,
    expected,
    git,
    served_repository,
    tree_hash,
)
from fruix.building.settings import BuildSettings
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath
from fruix.packages.lower_sources import fetch_commit
from fruix.packages.sources import Git
from machine import Machine, machine


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    with served_repository(tmp_path) as found:
        yield found


def add(here: Machine, source: Git) -> StorePath:
    return add_derivation(here, fetch_commit(source))


def test_a_commit_of_a_package_s_source_is_fetched(served: tuple[str, list[str]], tmp_path: Path) -> None:
    url, commits = served
    wanted = expected(tmp_path, commits[2])
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        drv = add(here, Git(f"git+{url}", commits[2], wanted.sri))
        (result,) = here.build(drv)
        assert result.success, result.message
        out = here.output(drv)
        assert (out / "sub/a file").read_text() == "2\n"
        assert os.access(out / "program", os.X_OK)


@pytest.mark.parametrize("which", [0, 2])
def test_a_commit_is_downloaded(served: tuple[str, list[str]], which: int, tmp_path: Path) -> None:
    """From the second URL: the first has nothing. The last one and one that no branch ends with."""
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
            source = Git(url, git(work, "rev-parse", "HEAD"), wanted.sri, submodules=recursive == "#t")
            assert here.build(add(here, replace(source, file_name="again")))[0].success


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
        ('"http://["', "a" * 40, "not from 'http://['"),
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


# What the operator has, or names


def test_repositories_at_hand_need_no_network(served: tuple[str, list[str]], tmp_path: Path) -> None:
    """Those in the `sources` directories: by the URL's end for a commit's hash, by a `file` URL for all."""
    url, commits = served
    git(tmp_path / "work", "tag", "v1")
    git(tmp_path / "work", "push", "-q", str(tmp_path / "files/thing.git"), "v1")
    settings = BuildSettings(fixed_output_network="none", sources=(f"{tmp_path}/files/", "/nowhere"))
    with machine(settings) as here:
        for commit, asked, wanted in (
            (commits[0], url.removesuffix(".git"), expected(tmp_path, commits[0])),
            ("v1", f"file://{tmp_path}/files/thing.git/", expected(tmp_path, commits[2])),
        ):
            (result,) = here.build(add_download(here, commit, wanted, f'"{asked}"'))
            assert result.success, result.message
        other = Hash("sha256", bytes(32))
        (result,) = here.build(add_download(here, "v1", other, f'"{url}"'))
        assert "downloads are switched off" in result.message
        assert "put the repository into one of the 'sources' directories" in result.hint
        for asked in (f"file://{tmp_path}/work", f"file://{tmp_path}/files/..", f"file://{tmp_path}/files"):
            (result,) = here.build(add_download(here, commits[0], other, f'"{asked}"'))
            assert not result.success
            assert "downloads are switched off" in result.message


def test_mirrors_of_the_operator_come_last(served: tuple[str, list[str]], tmp_path: Path) -> None:
    url, commits = served
    server = url.removesuffix("thing.git")
    wanted = expected(tmp_path, commits[2])
    settings = BuildSettings(fixed_output_network="pasta", mirrors={f"{server}gone/": (server,)})
    with machine(settings) as here:
        drv = add_download(here, commits[2], wanted, f'"{server}gone/thing.git"')
        (result,) = here.build(drv)
        assert result.success, result.message
        log = here.log(drv)
        assert log.index(f"from {server}gone/thing.git") < log.index(f"from {url}")


@pytest.mark.parametrize("user", ["somebody:pa55word", "token-that-is-secret", "a:%70a55word"])
def test_what_is_secret_in_a_url_is_in_no_log(
    served: tuple[str, list[str]], tmp_path: Path, user: str
) -> None:
    url, commits = served
    asked = url.replace("://", f"://{user}@")
    with machine(BuildSettings(fixed_output_network="pasta")) as here:
        drv = add_download(here, "d" * 40, expected(tmp_path, commits[2]), f'("{asked}" "{asked}.gone")')
        (result,) = here.build(drv)
        assert not result.success
        log = here.log(drv)
        assert "fetching" in log
        for text in (log, result.message, str(here.events)):
            assert not any(secret in text for secret in ("pa55word", "token-that-is-secret", "%70a55word"))
