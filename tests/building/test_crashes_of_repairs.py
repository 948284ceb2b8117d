"""SIGKILL to the daemon in a repair, a check, a second round, a copy of a failed build.

Nothing is lost, nothing is left.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashing import ask, connected, derivation, exit_of, start_daemon, stored_shell, traces
from fruix.client import RemoteStore
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode
from fruix.model.storepath import StorePath
from fruix.store import Layout, LocalStore
from machine import Machine

REPAIR = BuildOptions(mode=BuildMode.REPAIR)
CHECK = BuildOptions(mode=BuildMode.CHECK)


shell = stored_shell()


@contextmanager
def serving(fault: str = "") -> Iterator[RemoteStore]:
    """A daemon; with a fault it is expected to die of it."""
    daemon = start_daemon(fault)
    with connected(daemon) as store:
        yield store
    if not fault:
        os.kill(daemon, signal.SIGTERM)
    assert exit_of(daemon) == (-signal.SIGKILL if fault else 0)


def sound(drv: StorePath) -> None:
    """A fresh start finds everything whole, and no trace."""
    with serving() as store:
        assert traces(store) == []
        assert Path(str(store.derivation_outputs(drv)["out"]), "x").read_text() == "x\n"
    with LocalStore(Layout()).open() as here:
        assert here.verify(contents=True) == []


def spoil(output: str) -> None:
    Path(output, "x").chmod(0o644)
    Path(output, "x").write_text("spoilt")


@pytest.mark.parametrize("step", ["take", "take-next", "replace", "register-again", "remove-directories"])
def test_a_repair_that_dies(shell: StorePath, step: str) -> None:
    with serving() as store:
        drv = derivation(store, f"repair-{step}", shell)
        assert ask(drv)[1]["status"] == "BUILT"
        output = str(store.derivation_outputs(drv)["out"])
    spoil(output)
    with serving(f"{step}:daemon"):
        ask(drv, REPAIR)
    with serving() as store:
        assert traces(store) == []
        assert store.is_valid(store.derivation_outputs(drv)["out"]), "valid paths stay valid"
        assert os.path.isdir(output), "and are never gone"
        assert ask(drv, REPAIR)[1]["status"] in {"BUILT", "ALREADY_VALID"}
    sound(drv)


@pytest.mark.parametrize("step", ["watch", "take-next", "unlock"])
def test_a_check_that_dies(shell: StorePath, step: str) -> None:
    with serving() as store:
        drv = derivation(store, f"check-{step}", shell)
        assert ask(drv)[1]["status"] == "BUILT"
    with serving(f"{step}:daemon"):
        ask(drv, CHECK)
    sound(drv)
    with serving():
        assert ask(drv, CHECK)[1]["status"] == "BUILT"
    sound(drv)


def test_a_second_round_that_dies(shell: StorePath) -> None:
    """The first round's outputs are staged by then."""
    with serving("register:daemon") as store:
        drv = derivation(store, "rounds", shell)
        ask(drv, BuildOptions(rounds=2))
    with serving() as store:
        assert traces(store) == []
        assert ask(drv, BuildOptions(rounds=2))[1]["status"] == "BUILT"
    sound(drv)


def test_a_copy_that_dies(shell: StorePath) -> None:
    """Half of what a failed build left is no use to anybody."""
    options = BuildOptions(keep_failed=True)
    kept = Layout().kept
    with serving("keep:daemon") as store:
        drv = Machine(store, None).derivation("fails", "echo x > x; exit 1", shell)  # type: ignore[arg-type]
        ask(drv, options)
    assert [name for name in os.listdir(kept) if name.startswith(".new-")] != []
    with serving() as store:
        assert traces(store) == []
        assert os.listdir(kept) == []
        assert ask(drv, options)[1]["status"] == "PERMANENT_FAILURE"
        (copy,) = Path(kept, "0").iterdir()
        assert (copy / "build" / "x").read_text() == "x\n"


def test_a_copy_that_cannot_be_made(shell: StorePath) -> None:
    daemon = start_daemon("keep:ENOSPC")
    with connected(daemon) as store:
        drv = Machine(store, None).derivation("fails-too", "echo x > x; exit 1", shell)  # type: ignore[arg-type]
        assert ask(drv, BuildOptions(keep_failed=True))[1]["status"] == "PERMANENT_FAILURE"
        assert traces(store) == []
    os.kill(daemon, signal.SIGTERM)
    assert exit_of(daemon) == 0
    assert not any(name.startswith(".new-") for name in os.listdir(Layout().kept))
