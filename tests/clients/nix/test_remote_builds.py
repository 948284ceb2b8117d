"""Nix on one machine sends builds to Fruix on another one, and copies paths there and back, over `ssh`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clients.nix.hosts import Host, newest, nix_host
from docs.documents import compared_by

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or os.uname().machine != "x86_64",
    reason="machine: Nix builds as root here, and for x86-64",
)
DEFINITION = Path(__file__).with_name("remote.nix")


def oldest() -> str:
    found = shutil.which("nix-build")
    assert found
    return os.path.dirname(found)


def build(here: Host, tools: Path, system: str, *words: str, fails: bool = False) -> str:
    arguments = ["--arg", "tools", str(tools), "--argstr", "system", system, "--max-jobs", "0"]
    return here.run("nix-build", DEFINITION, *arguments, "-o", "/frx/result", *words, fails=fails)


def _without_hashes(text: str) -> str:
    return re.sub(r"/frx/store/[0-9a-z]{32}-", "/frx/store/HASH-", text)


def test_a_build_runs_on_freebsd(tools: Path, tmp_path: Path) -> None:
    """In a jail of the double; what it needs that is built comes from there as well."""
    there = Host(tmp_path / "there")
    there.install("nix-daemon", "as_freebsd", "daemon")
    here = nix_host(tmp_path / "here", {"there": there}, newest())
    said = build(here, tools, "x86_64-freebsd", "--builders", "ssh-ng://there x86_64-freebsd")
    (shown,) = compared_by(__file__)
    assert _without_hashes(said).splitlines() == _without_hashes("\n".join(shown.lines)).splitlines()
    (top,) = here.paths("-top")
    (dep,) = here.paths("-dep")
    assert (here.place / "store" / top).read_text() == f"dep\n/frx/store/{dep}\n"
    assert there.paths("-dep", "-top", "-tools") == here.paths("-dep", "-top", "-tools")
    assert there.paths(".drv") == []
    assert "Version: fruix" in here.run("nix", "store", "ping", "--store", "ssh-ng://there")


def test_a_real_ssh(tmp_path: Path, real_ssh: Callable[[Host, Host], None]) -> None:
    there = Host(tmp_path / "there")
    there.install("nix-daemon", "fruix", "daemon")
    here = nix_host(tmp_path / "here", {"there": there}, newest())
    real_ssh(here, there)
    (here.place / "home/file").write_text("new\n")
    added = here.run("nix-store", "--add", "/frx/home/file").strip()
    here.run("nix", "copy", "--no-check-sigs", "--to", "ssh-ng://root@there", added)
    assert here.paths("-file") == there.paths("-file") != []


def test_builds_of_an_old_nix(tools: Path, tmp_path: Path) -> None:
    """In one go: each step rests on those before."""
    there = Host(tmp_path / "there")
    there.install("nix-daemon", "fruix", "daemon")
    here = nix_host(tmp_path / "here", {"there": there}, oldest())
    builders = ["--builders", "ssh-ng://there x86_64-linux"]
    failing = ["--argstr", "script", "exit 7"]
    said = build(here, tools, "x86_64-linux", *builders, *failing, fails=True)
    assert "on 'ssh-ng://there' failed" in said
    assert "exit code 7" in said
    assert here.paths("-top") == []
    build(here, tools, "x86_64-linux", *builders)
    (top,) = here.paths("-top")
    assert there.paths("-top") == [top]
    other = nix_host(tmp_path / "other", {"there": there}, newest())
    other.run("nix", "copy", "--no-check-sigs", "--from", "ssh-ng://there", f"/frx/store/{top}")
    assert other.paths("-top") == [top]
