"""Derivations whose outputs their contents name, on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from building.run.elsewhere.other_machine import BUILT, OTHER, Other
from fruix.building.record.record_file import read_record
from fruix.model import aterm
from fruix.model.buildresult import BuildResult
from fruix.model.contentaddress import Method
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.makepath import placeholder, upstream_placeholder
from fruix.model.storepath import StorePath
from machine import Machine


def floating(
    here: Machine, name: str, shell: StorePath, *names: str, inputs: Sequence[StorePath] = ()
) -> StorePath:
    outputs = {name: DerivationOutput(None, "r:sha256") for name in names or ("out",)}
    env = {one.short_name: upstream_placeholder(one, "out") for one in inputs}
    env |= {"name": name, **{output: placeholder(output) for output in outputs}}
    drvs = dict.fromkeys(inputs, ("out",))
    drv = Derivation(name, outputs, drvs, (shell,), OTHER, f"{shell}/bin/sh", (), env)
    return here.store.add_text(f"{name}.drv", aterm.render(drv), drv.references)


def test_outputs_that_their_contents_name(here: Machine, other: Other, shell: StorePath) -> None:
    """It gets the derivation without scratch paths; where they are is noted, and in the record."""
    drv = floating(here, "both", shell, "lib", "out")
    lib = other.make("both-lib", b"lib")
    out = other.make("both", b"out", lib)
    other.work = lambda _: replace(BUILT, outputs={"out": out, "lib": lib})
    (result,) = here.build(drv)
    assert result.success, result.message
    (sent,) = other.built
    assert sent.outputs == here.store.read_derivation(drv).outputs
    made = {"lib": lib, "out": out}
    assert result.outputs == here.store.derivation_outputs(drv) == made
    assert here.output(drv).read_text() == "out"
    info = here.store.path_info(out)
    assert info is not None
    assert (info.references, info.deriver, info.content_address) == ((lib,), drv, other.addresses[out])
    record = read_record(here.store.layout.log_file(drv)) or {}
    assert record["builtOn"] == "ssh-ng://other"
    assert {name: row["path"] for name, row in record["outputs"].items()} == {
        name: str(path) for name, path in made.items()
    }
    assert here.store.verify(contents=True) == []


def test_what_needs_them_is_resolved_and_sent(here: Machine, other: Other, shell: StorePath) -> None:
    low = floating(here, "low", shell)
    top = floating(here, "top", shell, inputs=[low])
    made = {name: other.make(name, name.encode()) for name in ("low", "top")}

    def work(_on_event: object) -> BuildResult:
        return replace(BUILT, outputs={"out": made["top" if made["low"] in other.sent else "low"]})

    other.work = work
    (result,) = here.build(top)
    assert result.success, result.message
    assert here.store.derivation_outputs(top) == {"out": made["top"]}
    _, sent = other.built
    assert (sent.input_drvs, made["low"] in sent.input_srcs) == ({}, True)
    assert sent.env["low"] == str(made["low"])


@pytest.mark.parametrize("wrong", ["name", "form", "contents", "none", "address"])
def test_outputs_whose_contents_give_other_names_are_refused(
    here: Machine, other: Other, shell: StorePath, wrong: str
) -> None:
    drv = floating(here, f"wrong-{wrong}", shell)
    flat = Method.FLAT if wrong == "form" else Method.NAR
    path = other.make("evil" if wrong == "name" else f"wrong-{wrong}", wrong.encode(), method=flat)
    if wrong == "contents":
        other.texts[path] = b"others"
    if wrong == "address":
        del other.addresses[path]
    other.work = lambda _: replace(BUILT, outputs={} if wrong == "none" else {"out": path})
    (result,) = here.build(drv)
    assert not result.success
    assert {"none": "failed to produce output path", "contents": "mismatch"}.get(
        wrong, f"on 'ssh-ng://other': '{path}' is not named by what it holds"
    ) in result.message
    assert here.store.derivation_outputs(drv) == {}
    assert not here.store.is_valid(path)
