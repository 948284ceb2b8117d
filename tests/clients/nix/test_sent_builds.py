"""Fruix sends builds to other machines: to Fruix on the double of FreeBSD, and to nix-daemon."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clients.guix.tools import busybox_tools
from clients.nix.hosts import Host, newest, nix_host
from docs.documents import compared_by
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store.tree.dump import dump
from substitutes.caches import KEY, Cache

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or os.uname().machine != "x86_64",
    reason="machine: Nix builds as root here, and for x86-64",
)
DEFINITION = Path(__file__).with_name("remote.nix")
LIST = """
ssh-ng://freebsd x86_64-freebsd - 2 1
ssh-ng://me@linux x86_64-linux - 2 2 special
ssh-ng://nowhere x86_64-linux - 2 9
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Host, Callable[..., str]]:
    """The machine that sends, and what adds a derivation there."""
    place = tmp_path_factory.mktemp("hosts")
    place.joinpath("tools").mkdir()
    tools = busybox_tools(place / "tools")
    freebsd = Host(place / "freebsd")
    cached = Host(place / "cached")
    for host in (freebsd, cached):
        host.install("nix-daemon", "as_freebsd", "daemon")
    linux = nix_host(place / "linux", {}, newest())
    here = Host(place / "here", {"freebsd": freebsd, "cached": cached, "linux": linux})
    here.install("fruix", "fruix")
    here.install("nix-daemon", "fruix", "daemon")
    (here.place / "etc/machines").write_text(LIST)
    for host in (here, freebsd):
        (host.place / "etc/fruix.toml").write_text('experimental-features = ["ca-derivations"]\n')
    client = nix_host(place / "client", {"here": here}, newest())

    def add(system: str, script: str, *more: str) -> str:
        arguments = ["--arg", "tools", str(tools), "--argstr", "system", system, "--argstr", "script", script]
        arguments += more
        said = client.run("nix-instantiate", "--store", "ssh-ng://here", DEFINITION, *arguments)
        found = re.search(r"^/frx/store/.*-top.drv$", said, re.MULTILINE)
        assert found, said
        return found[0]

    return here, add


def _without_figures(text: str) -> str:
    return re.sub(r"about \d+ s, |(?<= in )[\d.]+s|(?<=/store/)[0-9a-z]{32}", "", text)


@pytest.mark.parametrize(("system", "host"), [("x86_64-freebsd", "freebsd"), ("x86_64-linux", "me@linux")])
def test_a_build_there(hosts: tuple[Host, Callable[..., str]], system: str, host: str) -> None:
    here, add = hosts
    drv = add(system, f"echo {system} > $out; cat $dep >> $out")
    said = here.run("fruix", "build", drv, "--builders", "/frx/etc/machines", "-j", "0", "-v")
    assert f"building dep on ssh-ng://{host}\n" in said
    assert f"building top on ssh-ng://{host}\n" in said
    assert f"top: sent to 'ssh-ng://{host}' (0 of 2 builds, speed " in said
    assert "top> a line of the log\n" in said
    out = said.splitlines()[-1]
    assert (here.place / "store" / os.path.basename(out)).read_text() == f"{system}\ndep\n"
    assert here.run("fruix", "log", drv).endswith("a line of the log\n")
    (file,) = here.place.glob(f"var/log/**/{os.path.basename(drv)[2:]}.json")
    record = json.loads(file.read_text())
    assert record["builtOn"] == f"ssh-ng://{host}"
    drv = add(system, "exit 7")
    failed = here.run("fruix", "build", drv, "--builders", "/frx/etc/machines", "-j0", fails=True)
    assert f"on 'ssh-ng://{host}': Cannot build" in failed
    assert "exit code 7" in failed
    here.run("fruix", "store", "verify", "--contents")
    if system == "x86_64-linux":
        (shown,) = compared_by(__file__)
        assert _without_figures(said).splitlines() == _without_figures("\n".join(shown.lines)).splitlines()


@pytest.mark.parametrize(("system", "host"), [("x86_64-freebsd", "freebsd"), ("x86_64-linux", "me@linux")])
def test_outputs_that_their_contents_name(
    hosts: tuple[Host, Callable[..., str]], system: str, host: str
) -> None:
    here, add = hosts
    drv = add(system, f"echo $out {system} > $out; cat $dep >> $out", "--arg", "addressed", "true")
    said = here.run("fruix", "build", drv, "--builders", "/frx/etc/machines", "-j", "0", "-v")
    assert f"building dep on ssh-ng://{host}\n" in said
    assert f"building top on ssh-ng://{host}\n" in said
    out = said.splitlines()[-1]
    assert (here.place / "store" / os.path.basename(out)).read_text() == f"{out} {system}\ndep\n"
    shown = here.run("fruix", "show", drv)
    assert json.loads(shown[shown.index("{") :])["outputs"]["out"]["path"] == out
    again = here.run("fruix", "build", drv, "--builders", "/frx/etc/machines", "-j", "0", "-v")
    assert "building" not in again
    here.run("fruix", "store", "verify", "--contents")


@pytest.mark.parametrize("wished", [False, True])
def test_what_its_caches_have_is_sent_only_where_that_is_wished(
    hosts: tuple[Host, Callable[..., str]], wished: bool
) -> None:
    here, add = hosts
    there = here.to["cached"]
    drv = add("x86_64-freebsd", f"echo {wished} > $out")
    (tools,) = here.paths("-tools")
    _offer(there, StorePath.of("/frx/store", tools), _archive(here.place / "store", tools))
    (here.place / "etc/cached").write_text("ssh-ng://cached x86_64-freebsd\n")
    words = ["fruix", "build", drv, "--builders", "/frx/etc/cached"]
    here.run(*words, *(["--builders-use-substitutes"] if wished else []))
    assert _is_signed(there, tools) is wished
    there.run("rm", "-rf", *(f"/frx/{name}" for name in ("store", "var", "cache")))
    there.run("mkdir", "/frx/store")


def _archive(store: Path, name: str) -> bytes:
    descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return b"".join(dump(descriptor, name.encode()))
    finally:
        os.close(descriptor)


def _offer(host: Host, path: StorePath, archive: bytes) -> None:
    """Have a host's own binary cache offer a path, signed."""
    Cache(host.place / "cache").add(PathInfo(path, Hash.of("sha256", archive), len(archive)), archive)
    settings = f'substituters = ["file:///frx/cache"]\ntrusted-public-keys = ["{KEY.public}"]\n'
    (host.place / "etc/fruix.toml").write_text(settings)


def _is_signed(host: Host, name: str) -> bool:
    """Whether a path came from the cache; the machine that sends has no signature of it."""
    with closing(sqlite3.connect(host.place / "var/fruix/db/db.sqlite")) as database:
        ((signatures,),) = database.execute(
            "SELECT sigs FROM ValidPaths WHERE path = ?", (f"/frx/store/{name}",)
        )
    return bool(signatures)
