"""Prepared views: what a host view shows is mounted by the top directories of its copy.

Mounts and copies are counted, not timed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from asking import WhenReady
from building import host_trees
from building.host_trees import MUCH, TREES
from freebsd_double.double import Double
from fruix.building.settings import BuildSettings
from fruix.model.events import LogLine
from fruix.model.hostview import VIEW_HASH_VARIABLE, VIEW_VARIABLE
from fruix.model.storepath import StorePath
from machine import Machine, jails, machine

old_enough = host_trees.old_enough
host = host_trees.host
place = host_trees.place


def views(host: Path) -> dict[str, dict[str, list[str]]]:
    return {"many": {"trees": [f"{host}/{tree}" for tree in TREES]}}


def ask_for(here: Machine, name: str, script: str, tmp_path: Path) -> StorePath:
    env = {
        VIEW_VARIABLE: "many",
        VIEW_HASH_VARIABLE: here.builder.host_view("many").fingerprint,
    }
    return here.derivation(name, script, here.shell(tmp_path), env=env)


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Takes the places that were mounted since the last time, as they are seen inside."""
    book, nmount = tmp_path / "mounts", Double.nmount

    def noted(self: Double, options: Iterable[tuple[bytes, bytes]], flags: int) -> None:
        options = list(options)
        place = next(bytes(value).rstrip(b"\0") for name, value in options if name.startswith(b"fspath"))
        with open(book, "ab") as file:  # supervisors are processes of their own
            file.write(place.partition(b"/root/")[2] + b"\n")
        nmount(self, options, flags)

    def take() -> list[str]:
        found = book.read_text().splitlines()
        book.write_text("")
        return [f"/{place}" for place in found]

    book.touch()
    monkeypatch.setattr(Double, "nmount", noted)
    return take


@pytest.mark.parametrize(("most", "of_view"), [(MUCH, 1), (0, len(TREES))])
def test_what_a_view_costs(
    host: Path, tmp_path: Path, mounts: Callable[[], list[str]], most: int, of_view: int
) -> None:
    """One mount for all its directories, which stays for later builds; the tree is made once."""
    with jails(), machine(BuildSettings(views=views(host), max_prepared_view=most)) as here:
        script = f"cat {host}/*/file {host}/share/*/file > $out"
        made = set()
        for name in ("first", "second"):
            drv = ask_for(here, name, script, tmp_path)
            (result,) = here.build(drv)
            assert result.success, result.message
            assert here.output(drv).read_text().split() == list(TREES)
            places = [place for place in mounts() if place != "/dev"]  # or is it the next jail's?
            own = [place for place in places if not place.startswith("/frx/store")]
            assert len(own) == (of_view if name == "first" else 0)
            assert len(places) == len(own) + 2  # and the store's directory, the shell
            made |= {path.stat().st_ino for path in Path(here.store.layout.prepared).glob("many/*/tree")}
        assert len(made) == (1 if most else 0)
        assert not list(Path(here.store.layout.prepared).glob("*/new"))


def test_a_directory_that_is_too_big_is_mounted_in_its_place(
    host: Path, tmp_path: Path, mounts: Callable[[], list[str]]
) -> None:
    """Like /usr/local in /usr: all else is still one mount. Both stay for later builds."""
    (host / "share/misc/big").write_bytes(bytes(1 << 20))
    with jails(), machine(BuildSettings(views=views(host), max_prepared_view=1 << 19)) as here:
        for name in ("first", "second"):
            drv = ask_for(here, name, f"cat {host}/*/file {host}/share/*/file > $out", tmp_path)
            (result,) = here.build(drv)
            assert result.success, result.message
            assert here.output(drv).read_text().split() == list(TREES)
            places = [place for place in mounts() if place != "/dev"]
            assert len(places) == (2 if name == "first" else 0) + 2
            assert (f"{host}/share/misc" in places) == (name == "first")


def test_an_upgrade_of_the_host_does_not_reach_a_build(host: Path, tmp_path: Path) -> None:
    """It sees what was fingerprinted until its end, and so it counts; the next view is another one."""
    with jails(), machine(BuildSettings(views=views(host))) as here:
        wait = "i=0; while [ $i -lt 600 ] && ! [ -e /build/go ]; do sleep 0.1; i=$((i+1)); done"
        script = f"echo ready; {wait}; cat {host}/lib/file > $out"
        drv = ask_for(here, "during", script, tmp_path)
        old = here.builder.host_view("many").fingerprint

        def upgrade() -> None:
            (host / "lib/file").write_text("upgraded\n")
            (build,) = Path(here.store.layout.builds).glob("roots/*/root/build")
            (build / "go").touch()

        here.events = WhenReady(upgrade)
        (result,) = here.build(drv)
        assert result.success, result.message
        assert here.output(drv).read_text() == "lib\n"
        after = ask_for(here, "after", f"cat {host}/lib/file > $out", tmp_path)
        (result,) = here.build(after)
        assert result.success, result.message
        assert here.output(after).read_text() == "upgraded\n"
        new = here.builder.host_view("many").fingerprint
        assert new != old
        assert os.listdir(f"{here.store.layout.prepared}/many") == [new]


def test_a_builder_can_change_nothing_of_it(host: Path, tmp_path: Path) -> None:
    """The mount is read-only, and nothing of it can be linked into the build's own directories."""
    with jails(), machine(BuildSettings(views=views(host))) as here:
        before = {str(path): path.read_text() for path in host.rglob("file")}
        script = f"""
        for place in {host} {host}/lib {host}/lib/file {host}/share; do
            (echo x > $place/x || echo x >> $place || mv $place /build/x || chmod 777 $place \\
                || rm -rf $place) 2>/dev/null \\
                && echo "changed $place"
        done
        ln {host}/lib/file /build/linked 2>/dev/null && echo linked
        echo done > $out
        """
        drv = ask_for(here, "vandal", script, tmp_path)
        here.events = []
        (result,) = here.build(drv)
        assert result.success, result.message
        assert [event.line for event in here.events if isinstance(event, LogLine)] == []
        (tree,) = Path(here.store.layout.prepared).glob("many/*/tree")
        assert {str(path): Path(f"{tree}{path}").read_text() for path in map(Path, before)} == before
        assert {path.stat().st_nlink for path in tree.rglob("file")} == {1}
