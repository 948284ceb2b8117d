"""Builds in a root: a tree of the store that stands where host tools stand otherwise."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from building.entering import enter
from fruix.building.record.record_file import read_record
from fruix.model.buildresult import BuildStatus
from fruix.model.hostview import VIEW_VARIABLE
from fruix.model.root import ROOT_VARIABLE
from fruix.model.storepath import StorePath
from machine import Machine, one_machine
from small_root import in_root, small_root

here, shell = one_machine()


@pytest.fixture(scope="module")
def root(here: Machine, tmp_path_factory: pytest.TempPathFactory) -> StorePath:
    return small_root(here, tmp_path_factory.mktemp("root"))


def test_a_builder_sees_the_root_and_nothing_of_the_host(here: Machine, root: StorePath) -> None:
    script = (
        "set -e; { echo /* ; readlink /bin; readlink /etc/alternatives/sh; cat /etc/greeting;"
        " grep -c 'of the root' /etc/passwd || :; ls /tmp; ls /frx/store | grep -v seen; } > $out;"
        " if touch /usr/new || touch /etc/new; then exit 1; fi"
    )
    drv = in_root(here, "seen", script, root)
    (result,) = here.build(drv)
    assert result.success, result.message
    shown = here.output(drv).read_text().replace(" /proc ", " ")  # which jails don't have
    assert shown.splitlines() == [
        "/bin /build /dev /etc /frx /tmp /usr /var",
        "usr/bin",
        "/usr/bin/sh",
        "etc/greeting of the root",
        "0",  # the contract's own file was shown
        root.base,
    ]


def test_the_record_names_the_root(here: Machine, root: StorePath) -> None:
    drv = in_root(here, "recorded", "echo > $out", root)
    assert here.build(drv)[0].success
    record = read_record(here.store.layout.log_file(drv))
    assert record is not None
    assert (record["root"], record["hostView"]) == (str(root), None)
    mounts = {mount["target"]: mount["source"] for mount in record["isolation"]["mounts"]}
    assert mounts["/usr"] == f"{here.store.real(root)}/usr"
    assert all(source.startswith("/frx/") for source in mounts.values()), json.dumps(mounts, indent=1)


def test_a_shell_finds_itself_in_the_root(here: Machine, root: StorePath) -> None:
    drv = in_root(here, "entered", "exit 1", root)
    exited, shown = enter(here, drv, "cat", "/etc/greeting")
    assert (exited.code, shown) == (0, "etc/greeting of the root\n")


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        ({}, "has no directory 'usr'"),
        ({"usr": "a file"}, "has no directory 'usr'"),
        (None, "is no directory"),
    ],
    ids=["empty", "file-as-usr", "file"],
)
def test_what_is_no_root_is_refused(
    here: Machine, tmp_path: Path, tree: Mapping[str, str] | None, complaint: str
) -> None:
    place = tmp_path / "tree"
    if tree is None:
        place.write_text("a file\n")
    else:
        place.mkdir()
        for name, text in tree.items():
            (place / name).write_text(text)
    wrong = here.store.add_path("no-root", str(place))
    (result,) = here.build(in_root(here, "nowhere", "echo > $out", wrong))
    assert result.status == BuildStatus.INPUT_REJECTED
    assert f"the root '{wrong}' {complaint}" in result.message
    assert "builtin:root" in result.hint


def test_a_root_that_is_a_link_shows_nothing_of_the_host(here: Machine, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    wrong = here.store.add_path("link-root", str(tmp_path / "link"))
    (result,) = here.build(in_root(here, "led-away", "echo > $out", wrong))
    assert result.status == BuildStatus.INPUT_REJECTED
    assert "is no directory" in result.message


def test_links_in_the_place_of_directories_show_nothing_of_the_host(
    here: Machine, root: StorePath, tmp_path: Path
) -> None:
    subprocess.run(["cp", "-a", here.store.real(root), tmp_path / "root"], check=True)
    subprocess.run(["chmod", "-R", "u+w", tmp_path / "root"], check=True)
    subprocess.run(["rm", "-r", tmp_path / "root/etc", tmp_path / "root/var"], check=True)
    (tmp_path / "root/etc").symlink_to("/etc")
    (tmp_path / "root/var").symlink_to("/root")
    sly = here.store.add_path("sly-root", str(tmp_path / "root"))
    drv = in_root(here, "shown", "{ readlink /var; ls /etc; ls /var/ || echo nothing; } > $out", sly)
    (result,) = here.build(drv)
    assert result.success, result.message
    shown = here.output(drv).read_text().splitlines()
    assert (shown[0], shown[-1]) == ("/root", "nothing")
    assert set(shown[1:-1]) <= {"group", "hosts", "nsswitch.conf", "passwd"}


def test_a_root_that_is_no_input_is_refused(here: Machine, root: StorePath, shell: StorePath) -> None:
    env = {ROOT_VARIABLE: str(root)}
    (result,) = here.build(here.derivation("undeclared", "echo > $out", shell, env=env))
    assert result.status == BuildStatus.INPUT_REJECTED
    assert f"the root '{root}' of 'undeclared' is none of its inputs" in result.message


def test_a_root_and_a_host_view_are_refused(here: Machine, root: StorePath) -> None:
    view = here.builder.host_view("base")
    env = {VIEW_VARIABLE: "base", "fruixHostViewHash": view.fingerprint}
    (result,) = here.build(in_root(here, "both", "echo > $out", root, env))
    assert result.status == BuildStatus.INPUT_REJECTED
    assert "'both' asks for a root and for a host view" in result.message
