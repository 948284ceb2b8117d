"""Derivations and the host view that they were made for."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from asking import WhenReady
from fruix.building.host_views import HostViews
from fruix.building.settings import BuildSettings
from fruix.errors import HostViewError
from fruix.hostview import fingerprint, resolve
from fruix.model.buildresult import BuildStatus
from fruix.model.hostview import VIEW_HASH_VARIABLE, VIEW_VARIABLE
from machine import Machine, machine

pytestmark = pytest.mark.usefixtures("each_back_end")


@pytest.fixture
def tools() -> Iterator[Path]:
    # Not below /tmp: inside, that is the build's own.
    directory = Path(tempfile.mkdtemp(dir="/var/tmp"))
    directory.chmod(0o755)
    (directory / "greet").write_text("#!/bin/sh\necho hello\n")
    (directory / "greet").chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def here(tools: Path) -> Iterator[Machine]:
    views = {
        "greeting": {"tools": ["sh", "greet"], "path": ["/usr/bin", "/bin", str(tools)]},
        "lacking": {"tools": ["sh", "no-such-compiler"]},
        "bare": {"tools": ["sh"]},
        "library": {"tools": ["sh"], "optional-trees": [f"{tools}/lib"]},
    }
    with machine(BuildSettings(views=views)) as one:
        yield one


def test_only_the_view_is_seen(here: Machine, tools: Path, tmp_path: Path) -> None:
    view = here.builder.host_view("greeting")
    env = {VIEW_VARIABLE: "greeting", VIEW_HASH_VARIABLE: view.fingerprint}
    script = f"set -e; {tools}/greet > $out; if [ -e /usr/bin/gcc ] || [ -e /usr/include ]; then exit 1; fi"
    drv = here.derivation("greets", script, here.shell(tmp_path), env=env)
    (result,) = here.build(drv)
    assert result.success, result.message
    assert here.output(drv).read_text() == "hello\n"


def test_a_changed_tool_is_named(here: Machine, tools: Path, tmp_path: Path) -> None:
    view = here.builder.host_view("greeting")
    env = {VIEW_VARIABLE: "greeting", VIEW_HASH_VARIABLE: view.fingerprint}
    drv = here.derivation("late", "echo > $out", here.shell(tmp_path), env=env)
    (tools / "greet").write_text("#!/bin/sh\necho goodbye\n")
    (result,) = here.build(drv)
    assert result.status == BuildStatus.INPUT_REJECTED
    assert "host view 'greeting' has changed" in result.message
    assert re.search(r"the host's greet changed [0-9a-f]{12} → [0-9a-f]{12}\.", result.message)
    assert here.builder.host_view("greeting").fingerprint != view.fingerprint


def test_another_hosts_view_is_refused(here: Machine, tmp_path: Path) -> None:
    env = {VIEW_VARIABLE: "bare", VIEW_HASH_VARIABLE: "0" * 64}
    (result,) = here.build(here.derivation("foreign", "echo > $out", here.shell(tmp_path), env=env))
    assert result.status == BuildStatus.INPUT_REJECTED
    assert "never seen on this host" in result.message


# Goes on when the action has been done; gives up after a minute.
WAIT = (
    "echo ready; i=0; while [ $i -lt 600 ] && ! {done}; do sleep 0.1; i=$((i+1)); done;"
    " [ $i -lt 600 ] || exit 99"
)


@pytest.mark.parametrize("end", ["echo > $out", "exit 3"])
def test_a_file_changed_in_place_while_it_is_used(
    here: Machine, tools: Path, tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder may have seen the one or the other: neither its success nor its failure counts."""
    # A view that has not changed for some seconds is copied where builds are jails: then the builder
    # would never see the change, however long this machine takes until it begins.
    for module in (resolve, fingerprint):
        monkeypatch.setattr(module, "SETTLED_NS", time.time_ns())
    header = tools / "lib/header.h"
    header.parent.mkdir()
    header.write_text("one")
    view = here.builder.host_view("library")
    env = {VIEW_VARIABLE: "library", VIEW_HASH_VARIABLE: view.fingerprint}
    script = f"{WAIT.format(done=f'grep -q two {header}')}; {end}"
    drv = here.derivation("during", script, here.shell(tmp_path), env=env)
    here.events = WhenReady(lambda: header.write_text("two"))
    (result,) = here.build(drv)
    assert result.status == BuildStatus.TRANSIENT_FAILURE
    assert f"host view 'library' was changed while it was built: {header} was changed" in result.message
    assert "build again" in result.hint
    assert not here.output(drv).exists()


def test_what_the_builder_is_not_shown_may_change(here: Machine, tools: Path, tmp_path: Path) -> None:
    view = here.builder.host_view("greeting")
    env = {VIEW_VARIABLE: "greeting", VIEW_HASH_VARIABLE: view.fingerprint}
    flag = tmp_path / "flag"
    drv = here.derivation("beside", f"echo ready; {tools}/greet > $out", here.shell(tmp_path), env=env)
    here.events = WhenReady(lambda: [(tools / "other").write_text("x"), flag.write_text("")])
    (result,) = here.build(drv)
    assert result.success, result.message
    assert flag.exists()


def test_pythons_caches(here: Machine, tools: Path, tmp_path: Path, each_back_end: str) -> None:
    """Hidden where that costs little; else a part of the view like all else."""
    (tools / "lib/__pycache__").mkdir(parents=True)
    cache = tools / "lib/__pycache__/os.pyc"
    cache.write_text("compiled")
    view = here.builder.host_view("library")
    env = {VIEW_VARIABLE: "library", VIEW_HASH_VARIABLE: view.fingerprint}
    script = f"echo ready; ls {cache.parent} > $out"
    drv = here.derivation("caches", script, here.shell(tmp_path), env=env)
    hidden = each_back_end == "linux-namespaces"
    here.events = WhenReady(lambda: hidden and cache.write_text("compiled anew"))
    (result,) = here.build(drv)
    assert result.success, result.message
    assert here.output(drv).read_text() == ("" if hidden else "os.pyc\n")
    cache.write_text("compiled otherwise")
    assert (here.builder.host_view("library").fingerprint == view.fingerprint) is hidden


def test_what_was_too_young_is_looked_into_again(tools: Path, tmp_path: Path) -> None:
    """Two changes within a tick of the clock look like one."""
    path = tools / "greet"
    views = HostViews(str(tmp_path), {"young": {"tools": ["greet"], "path": [str(tools)]}})
    young = views.resolve("young")
    assert not young.settled
    assert views.change_since(young) == ""
    path.write_text("#!/bin/sh\necho goodbye\n")
    assert views.change_since(young) == f"{path} was changed"
    unnoticed = replace(young, seen=())
    assert views.change_since(unnoticed) == f"changed {path}"
    path.unlink()
    assert views.change_since(young) == f"{path} was removed"
    assert "needs the tool 'greet'" in views.change_since(unnoticed)


def test_an_unknown_view_is_refused(here: Machine, tmp_path: Path) -> None:
    env = {VIEW_VARIABLE: "nothing", VIEW_HASH_VARIABLE: "0" * 64}
    (result,) = here.build(here.derivation("unknown", "echo > $out", here.shell(tmp_path), env=env))
    assert "host view 'nothing' is not offered here" in result.message
    assert "bare" in result.hint


def test_a_missing_compiler_is_named(here: Machine) -> None:
    with pytest.raises(HostViewError, match="no-such-compiler"):
        here.builder.host_view("lacking")


@pytest.mark.skipif(shutil.which("cc") is None, reason="the view 'base' needs a compiler")
def test_base_compiles(here: Machine, tmp_path: Path) -> None:
    view = here.builder.host_view("base")
    env = {VIEW_VARIABLE: "base", VIEW_HASH_VARIABLE: view.fingerprint}
    script = "PATH=/usr/bin:/bin; echo 'int main(void){return 42;}' > a.c; cc a.c -o a; ./a || echo $? > $out"
    drv = here.derivation("compiles", script, here.shell(tmp_path), env=env)
    (result,) = here.build(drv)
    assert result.success, result.message
    assert here.output(drv).read_text() == "42\n"
    hidden = here.derivation(
        "hidden",
        "ls /usr/bin > $out; ls /home /root /run /etc/ssl 2>&1 && exit 1; true",
        here.shell(tmp_path),
        env=env,
    )
    assert here.build(hidden)[0].success
    shown = here.output(hidden).read_text().split()
    assert "cc" in shown
    assert not {"perl", "python3", "pkg-config", "curl"} & set(shown)
