"""What is run before and after a build."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.building.settings import BuildSettings
from fruix.daemon.client_options import build_options, check, warnings
from fruix.errors import UsageError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.events import LogLine
from fruix.model.storepath import StorePath
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Context, Dialect
from machine import Machine, machine

NIX = Context(Dialect.NIX, 38, "/frx/store")


def program(directory: Path, name: str, script: str) -> str:
    file = directory / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    hook = program(tmp_path, "hook", 'echo "$DRV_PATH"; printf "%s by %s" "$OUT_PATHS" "$NIX_REMOTE"')
    with machine(BuildSettings(post_build_hook=hook)) as here:
        yield here


@pytest.fixture
def shell(here: Machine, tmp_path: Path) -> StorePath:
    return here.shell(tmp_path)


def test_a_program_is_run_when_the_outputs_are_valid(
    here: Machine, shell: StorePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIX_REMOTE", "unix:///there")
    drv = here.derivation("one", "echo x > $out", shell)
    (path,) = here.store.derivation_outputs(drv).values()
    (result,) = here.build(drv)
    assert result.status is BuildStatus.BUILT, result.message
    lines = [event.line for event in here.events if isinstance(event, LogLine)]
    assert lines == [str(drv), f"{path} by unix:///there"]
    here.events.clear()
    assert here.build(drv)[0].status is BuildStatus.ALREADY_VALID
    assert not [event for event in here.events if isinstance(event, LogLine)]
    (result,) = here.build(drv, options=BuildOptions(mode=BuildMode.CHECK))
    assert result.success
    assert [event.line for event in here.events if isinstance(event, LogLine)] == lines


def test_a_clients_own_one_and_one_that_fails(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    for name, script, how in (
        ("bad", "exit 3", "exit code 3"),
        ("killed", "kill -9 $$", "signal 9"),
        ("none", "", "No such file or directory"),
    ):
        hook = program(tmp_path, name, script) if script else str(tmp_path / name)
        drv = here.derivation(name, "echo x > $out", shell)
        (result,) = here.build(drv, options=BuildOptions(post_build_hook=hook))
        assert result.status is BuildStatus.MISC_FAILURE
        assert f"program '{hook}' failed with {how}" in result.message
        assert here.build(drv)[0].status is BuildStatus.ALREADY_VALID, "its outputs are valid"
    drv = here.derivation("without", "echo x > $out", shell)
    here.events.clear()
    assert here.build(drv, options=BuildOptions(post_build_hook=""))[0].success
    assert not [event for event in here.events if isinstance(event, LogLine)]


def test_only_trusted_clients_choose() -> None:
    said = ClientOptions(overrides={"post-build-hook": "/x", "impure-env": "A=b C=d"})
    mode = BuildMode.NORMAL
    chosen = build_options(said, NIX, mode, trusted=True)
    assert (chosen.post_build_hook, chosen.impure_env) == ("/x", {"A": "b", "C": "d"})
    assert not list(warnings(said, trusted=True))
    other = build_options(said, NIX, mode)
    assert (other.post_build_hook, other.impure_env) == (None, {})
    assert len(list(warnings(said, trusted=False))) == 2
    for wrong in ({"post-build-hook": "x"}, {"impure-env": "x"}):
        with pytest.raises(UsageError, match="should be a"):
            check(ClientOptions(overrides=wrong))


# Before a build


def test_a_program_before_a_build_shows_it_files(tmp_path: Path) -> None:
    """Its one argument is the derivation's path; what it says holds for that build alone."""
    (tmp_path / "secret").write_text("told\n")
    script = (
        f"""case $1 in *-seeing.drv) printf "%s\\n" extra-sandbox-paths /told={tmp_path}/secret "" ;; esac"""
    )
    hook = program(tmp_path, "hook", script)
    with machine(BuildSettings(pre_build_hook=hook)) as here:
        shell = here.shell(tmp_path)
        for name, seen in (("seeing", "told"), ("blind", "nothing")):
            drv = here.derivation(
                name, "if [ -e /told ]; then read x < /told; else x=nothing; fi; echo $x > $out", shell
            )
            (result,) = here.build(drv)
            assert result.success, result.message
            assert here.output(drv).read_text() == f"{seen}\n"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 3", "failed with exit code 3"),
        ("echo extra-paths", "failed with what it said: 'extra-paths' is no known command"),
        (
            "echo extra-sandbox-paths; echo ../etc",
            "failed with what it said: '../etc' is not an absolute file name",
        ),
        ("echo extra-sandbox-paths; echo /none", "'/none' doesn't exist"),
        ("echo extra-sandbox-paths; echo /build=/etc", "'/build' is the build's own"),
        (
            "while :; do echo extra-sandbox-paths; echo; done",
            "failed with more than 1048576 bytes of commands",
        ),
    ],
)
def test_a_program_before_a_build_that_fails(tmp_path: Path, script: str, why: str) -> None:
    hook = program(tmp_path, "hook", script)
    with machine(BuildSettings(pre_build_hook=hook)) as here:
        drv = here.derivation("one", "echo x > $out", here.shell(tmp_path))
        (result,) = here.build(drv)
        assert not result.success
        assert why in result.message
        assert not here.store.is_valid(*here.store.derivation_outputs(drv).values())
