"""Derivations and the host view that they were made for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.building.settings import BuildSettings
from fruix.errors import HostViewError
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
    assert f"changed {tools}/greet" in result.message
    assert here.builder.host_view("greeting").fingerprint != view.fingerprint


def test_another_hosts_view_is_refused(here: Machine, tmp_path: Path) -> None:
    env = {VIEW_VARIABLE: "bare", VIEW_HASH_VARIABLE: "0" * 64}
    (result,) = here.build(here.derivation("foreign", "echo > $out", here.shell(tmp_path), env=env))
    assert result.status == BuildStatus.INPUT_REJECTED
    assert "never seen on this host" in result.message


def test_an_unknown_view_is_refused(here: Machine, tmp_path: Path) -> None:
    env = {VIEW_VARIABLE: "nothing", VIEW_HASH_VARIABLE: "0" * 64}
    (result,) = here.build(here.derivation("unknown", "echo > $out", here.shell(tmp_path), env=env))
    assert "host view 'nothing' is not offered here" in result.message
    assert "bare" in result.message


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
