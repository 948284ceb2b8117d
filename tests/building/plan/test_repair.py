"""Repairs: of what was asked for, and of all that it needs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from asking import UNSTEADY, notes, options
from fruix import failpoints
from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildStarted
from fruix.model.storepath import StorePath
from machine import Machine, left_over, machines

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = machines()


def test_whole_outputs_are_not_built_again(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("whole", "echo x > $out", shell)
    here.build(drv)
    here.events.clear()
    (result,) = here.build(drv, options=options(BuildMode.REPAIR))
    assert result.status is BuildStatus.ALREADY_VALID
    assert not any(isinstance(event, BuildStarted) for event in here.events)


@pytest.mark.parametrize("damage", ["changed", "missing", "mode", "replaced"])
def test_damaged_outputs_are_replaced(here: Machine, shell: StorePath, damage: str) -> None:
    script = "mkdir $out $lib; echo x > $out/f; echo $out > $lib/g"
    outputs = {"out": DerivationOutput(None), "lib": DerivationOutput(None)}
    drv = here.derivation("two", script, shell, outputs=outputs, env={"outputs": "out lib"})
    assert here.build(drv)[0].success
    out, lib = here.output(drv), here.output(drv, "lib")
    (path, _) = (here.store.derivation_outputs(drv)[name] for name in ("out", "lib"))
    info, lib_inode = here.store.path_info(path), lib.stat().st_ino
    match damage:
        case "changed":
            (out / "f").chmod(0o644)
            (out / "f").write_text("y")
        case "mode":
            (out / "f").chmod(0o755)
        case "missing" | "replaced":
            (out / "f").unlink()
            out.rmdir()
            if damage == "replaced":
                out.symlink_to("/etc")
    (result,) = here.build(drv, options=options(BuildMode.REPAIR))
    assert result.status is BuildStatus.BUILT, result.message
    assert (out / "f").read_text() == "x\n"
    assert not out.is_symlink()
    assert here.store.path_info(path) == info
    assert lib.stat().st_ino == lib_inode, "a whole output stays"
    assert f"path '{path}' is corrupted or missing!" in notes(here)


def test_a_repair_that_gives_something_else_is_registered_as_it_is(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    here.build(drv)
    (path,) = here.store.derivation_outputs(drv).values()
    before = here.store.path_info(path)
    (here.output(drv) / "id").unlink()
    assert here.build(drv, options=options(BuildMode.REPAIR))[0].success
    after = here.store.path_info(path)
    assert before is not None
    assert after is not None
    assert after.nar_hash != before.nar_hash
    assert here.store.is_whole(path)


# Repair of what else is needed


def spoil(output: Path) -> None:
    output.chmod(0o644)
    output.write_text("spoilt")


def test_what_the_result_needs_is_repaired_with_it(here: Machine, shell: StorePath) -> None:
    inner = here.derivation("inner", "echo inner > $out", shell)
    (inner_path,) = here.store.derivation_outputs(inner).values()
    outer = here.derivation("outer", f"cat {inner_path}; echo {inner_path} > $out", shell, inputs=[inner])
    here.build(outer)
    spoil(here.output(inner))
    here.events.clear()
    (result,) = here.build(outer, options=options(BuildMode.REPAIR))
    assert result.success, result.message
    assert here.output(inner).read_text() == "inner\n"
    started = [(event.drv, event.purpose) for event in here.events if isinstance(event, BuildStarted)]
    assert started == [(inner, "repair")], "the outer one is whole"


def test_no_damage_is_built_in(here: Machine, shell: StorePath) -> None:
    """Both are damaged, and the result doesn't refer to its input: that is repaired first all the same."""
    inner = here.derivation("inner", "echo inner > $out", shell)
    (inner_path,) = here.store.derivation_outputs(inner).values()
    outer = here.derivation("outer", f"tr a-z A-Z < {inner_path} > $out", shell, inputs=[inner])
    here.build(outer)
    spoil(here.output(inner))
    spoil(here.output(outer))
    assert here.build(outer, options=options(BuildMode.REPAIR))[0].success
    assert here.output(outer).read_text() == "INNER\n"


def test_what_cannot_be_made_again_is_named(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("given")
    source = here.store.add_path("source", str(tmp_path / "source"))
    drv = here.derivation("copy", f"echo {source} > $out", shell, sources=[source])
    here.build(drv)
    spoil(Path(here.store.real(source)))
    spoil(here.output(drv))
    (result,) = here.build(drv, options=options(BuildMode.REPAIR))
    assert not result.success
    assert f"path '{source}' is corrupted or missing, and nothing on this machine can make it again" in (
        result.message
    )
    assert here.output(drv).read_text() == f"{source}\n", "what can be repaired is"
    # So that the fixture's own check finds a sound store.
    Path(here.store.real(source)).write_text("given")
    Path(here.store.real(source)).chmod(0o444)
    os.utime(here.store.real(source), (1, 1))


def test_a_path_is_repaired_by_its_deriver(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("plain", "echo x > $out", shell)
    here.build(drv)
    spoil(here.output(drv))
    (path,) = here.store.derivation_outputs(drv).values()
    request = DerivedPath(path, None)
    results = here.builder.realise(
        [request], options(BuildMode.REPAIR), here.events.append, threading.Event()
    )
    assert [(request, result.status) for _, result in results] == [(request, BuildStatus.BUILT)]
    assert here.output(drv).read_text() == "x\n"


@pytest.mark.parametrize("fault", ["replace", "register-again"])
def test_a_repair_that_fails_half_way_can_be_done_again(here: Machine, shell: StorePath, fault: str) -> None:
    drv = here.derivation("plain", UNSTEADY, shell)
    here.build(drv)
    (here.output(drv) / "id").unlink()
    with failpoints.armed(fault):
        assert not here.build(drv, options=options(BuildMode.REPAIR))[0].success
    assert left_over(here.store) == []
    assert here.build(drv, options=options(BuildMode.REPAIR))[0].success
    assert here.store.is_whole(here.store.derivation_outputs(drv)["out"])
