"""What was deleted from the store by hand is noticed by the next build of it, and made again."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from asking import notes, options
from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildStarted
from fruix.model.storepath import StorePath
from machine import Machine, machines

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = machines()

CONTRACTS = pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])


def delete(here: Machine, path: StorePath) -> None:
    real = here.store.real(path)
    if os.path.isdir(real):
        shutil.rmtree(real)
    else:
        os.unlink(real)


def only_output(here: Machine, drv: StorePath) -> StorePath:
    (path,) = here.store.derivation_outputs(drv).values()
    return path


def started(here: Machine) -> list[tuple[StorePath, str]]:
    return [(event.drv, event.purpose) for event in here.events if isinstance(event, BuildStarted)]


@CONTRACTS
def test_a_requested_output_is_built_again(here: Machine, shell: StorePath, contract: str) -> None:
    drv = here.derivation("gone", "echo x > $out", shell)
    here.build(drv)
    path = only_output(here, drv)
    info = here.store.path_info(path)
    delete(here, path)
    assert [row.missing for row in here.builder.planned([DerivedPath(drv, ("*",))]).builds] == [("out",)]
    assert here.builder.missing([DerivedPath(drv, ("*",))]).will_build == {drv}
    here.events.clear()
    (result,) = here.build(drv, options=options(contract=contract))
    assert result.status is BuildStatus.BUILT, result.message
    assert here.output(drv).read_text() == "x\n"
    assert here.store.path_info(path) == info
    assert f"path '{path}' is corrupted or missing!" in notes(here)
    here.events.clear()
    (again,) = here.build(drv, options=options(contract=contract))
    assert again.status is BuildStatus.ALREADY_VALID
    assert started(here) == []


def test_so_is_a_path_that_is_asked_for_by_itself(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("gone", "echo x > $out", shell)
    here.build(drv)
    path = only_output(here, drv)
    delete(here, path)
    request = DerivedPath(path, None)
    assert here.builder.missing([request]).will_build == {drv}
    ((_, result),) = here.builder.realise([request], options(), here.events.append, threading.Event())
    assert result.status is BuildStatus.BUILT, result.message
    assert here.output(drv).read_text() == "x\n"


def test_an_output_that_was_not_asked_for_comes_back_with_one_that_is_built(
    here: Machine, shell: StorePath
) -> None:
    outputs = {"out": DerivationOutput(None), "lib": DerivationOutput(None)}
    drv = here.derivation(
        "two", "echo o > $out; echo l > $lib", shell, outputs=outputs, env={"outputs": "out lib"}
    )
    here.build(drv)
    paths = here.store.derivation_outputs(drv)
    inode = here.output(drv).stat().st_ino
    delete(here, paths["lib"])
    ask = [DerivedPath(drv, ("out",))]
    ((_, result),) = here.builder.realise(ask, options(), here.events.append, threading.Event())
    assert result.status is BuildStatus.ALREADY_VALID, "what was asked for is there"
    ask = [DerivedPath(drv, ("lib",))]
    ((_, result),) = here.builder.realise(ask, options(), here.events.append, threading.Event())
    assert result.status is BuildStatus.BUILT, result.message
    assert here.output(drv, "lib").read_text() == "l\n"
    assert here.output(drv).stat().st_ino == inode


def test_an_input_is_built_again_for_what_is_not_built_yet(here: Machine, shell: StorePath) -> None:
    inner = here.derivation("inner", "echo inner > $out", shell)
    inner_path = only_output(here, inner)
    outer = here.derivation("outer", f"tr a-z A-Z < {inner_path} > $out", shell, inputs=[inner])
    here.build(inner)
    delete(here, inner_path)
    here.events.clear()
    (result,) = here.build(outer)
    assert result.success, result.message
    assert started(here) == [(inner, "repair"), (outer, "build")]
    assert here.output(outer).read_text() == "INNER\n"


def test_a_check_says_that_there_is_nothing_to_compare_with(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("gone", "echo x > $out", shell)
    here.build(drv)
    delete(here, only_output(here, drv))
    (result,) = here.build(drv, options=options(BuildMode.CHECK))
    assert "some outputs of" in result.message
    assert here.build(drv)[0].success


def test_what_lies_deeper_is_named_with_the_repair(here: Machine, shell: StorePath) -> None:
    """A build looks at what was asked for and at its inputs, not at all that those need."""
    low = here.derivation("low", "echo low > $out", shell)
    low_path = only_output(here, low)
    middle = here.derivation("middle", f"echo {low_path} > $out", shell, inputs=[low])
    middle_path = only_output(here, middle)
    top = here.derivation("top", f"cat $(cat {middle_path}) > $out", shell, inputs=[middle])
    here.build(middle)
    delete(here, low_path)
    (result,) = here.build(top)
    assert not result.success
    assert str(low_path) in result.message
    assert "fruix store verify --repair" in result.hint
    assert here.build(middle, options=options(BuildMode.REPAIR))[0].success
    assert here.build(top)[0].success


# What is added


def test_texts_and_files_are_put_back_by_adding_them(here: Machine, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("x")
    adding: list[Callable[[], StorePath]] = [
        lambda: here.store.add_text("text", b"x"),
        lambda: here.store.add_path("tree", str(tmp_path / "tree")),
    ]
    for add in adding:
        path = add()
        info = here.store.path_info(path)
        delete(here, path)
        assert add() == path
        assert here.store.is_whole(path)
        assert here.store.path_info(path) == info


def test_a_derivation_that_is_gone_is_missing(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("gone", "echo x > $out", shell)
    data = Path(here.store.real(drv)).read_bytes()
    references = here.store.references(drv)
    delete(here, drv)
    (result,) = here.build(drv)
    assert result.message == f"cannot build missing derivation '{drv}'"
    here.store.add_text("gone.drv", data, references)
    assert here.build(drv)[0].success


def test_only_contents_that_name_the_path_are_taken_from_anybody(here: Machine, shell: StorePath) -> None:
    """An archive for an output's path could be anything.

    Without repairing it is not taken, also where nothing lies.
    """
    drv = here.derivation("gone", "echo x > $out", shell)
    here.build(drv)
    path = only_output(here, drv)
    info = here.store.path_info(path)
    assert info is not None
    archive = b"".join(here.store.nar(path))
    delete(here, path)
    here.store.add_nar(info, [archive])
    assert not os.path.lexists(here.store.real(path))
    here.store.add_nar(info, [archive], repair=True)
    assert here.store.is_whole(path)


def test_a_source_that_nobody_can_make_again_is_named(
    here: Machine, shell: StorePath, tmp_path: Path
) -> None:
    (tmp_path / "source").write_text("given")
    source = here.store.add_path("source", str(tmp_path / "source"))
    drv = here.derivation("copy", f"cp {source} $out", shell, sources=[source])
    delete(here, source)
    (result,) = here.build(drv)
    assert f"needs source '{source}', which is gone" in result.message
    ask = [DerivedPath(source, None)]
    ((_, result),) = here.builder.realise(ask, options(), here.events.append, threading.Event())
    assert f"path '{source}' is corrupted or missing, and nothing on this machine can make it again" in (
        result.message
    )
    here.store.add_path("source", str(tmp_path / "source"))
    assert here.build(drv)[0].success
