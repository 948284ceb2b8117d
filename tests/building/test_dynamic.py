"""Derivations that builders make, and what needs their outputs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from building.test_content_addressed import FLOATING, add, started
from fruix.building.plan.goals import plan
from fruix.building.settings import BuildSettings
from fruix.model import aterm
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput, Dynamic
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.makepath import dynamic_placeholder, upstream_placeholder
from fruix.model.storepath import StorePath
from machine import Machine, machine

TEXT = {"out": DerivationOutput(None, "text:sha256")}
FEATURES = ("ca-derivations", "dynamic-derivations")


@pytest.fixture(scope="module")
def one() -> Iterator[Machine]:
    with machine(BuildSettings(max_jobs=2, cores=2, experimental_features=FEATURES)) as made:
        yield made


def producer(here: Machine, drv: StorePath, shell: StorePath, script: str = "") -> StorePath:
    """A derivation that makes `drv`."""
    name = f"{drv.short_name}.drv"
    made = add(here, name, script or f"cp {drv} $out", shell, TEXT)
    text = here.store.read_derivation(made)
    with_source = replace(text, input_srcs=tuple(sorted({shell, drv})))
    return here.store.add_text(f"{name}.drv", aterm.render(with_source), with_source.references)


def realise(here: Machine, *requests: DerivedPath, keep_going: bool = False) -> list[BuildResult]:
    options = BuildOptions("fruix", keep_going=keep_going)
    results = here.builder.realise(list(requests), options, here.events.append, threading.Event())
    assert [request for request, _ in results] == list(requests)
    return [result for _, result in results]


def above(here: Machine, name: str, maker: StorePath, shell: StorePath, *, floating: bool) -> StorePath:
    """A derivation that needs the output of what `maker` makes, and nothing else of it."""
    up = dynamic_placeholder(upstream_placeholder(maker, "out"), "out")
    outputs = {"out": FLOATING if floating else DerivationOutput(None)}
    plain = here.store.read_derivation(add(here, name, f"cat {up} > $out", shell, outputs))
    needing = replace(plain, input_drvs={maker: ()}, dynamic={maker: {"out": Dynamic(("out",))}})
    return here.store.add_text(f"{name}.drv", aterm.render(needing), needing.references)


@pytest.mark.parametrize("floating", [True, False], ids=["floating", "deferred"])
def test_what_needs_an_output_of_a_derivation_that_is_made(
    here: Machine, shell: StorePath, *, floating: bool
) -> None:
    inner = add(here, f"inner{floating}", f"echo {floating} > $out", shell, {"out": FLOATING})
    maker = producer(here, inner, shell)
    top = above(here, f"top{floating}", maker, shell, floating=floating)
    assert here.builder.missing([DerivedPath(top, ALL)]).will_build == {maker, top}
    (result,) = realise(here, DerivedPath(top, ("out",)))
    assert result.success, result.message
    assert started(here) == [f"inner{floating}.drv", f"inner{floating}", f"top{floating}"]
    assert here.output(top).read_text() == f"{floating}\n"
    assert here.store.derivation_outputs(maker) == {"out": inner}
    assert not here.builder.missing([DerivedPath(top, ALL)]).will_build


def test_outputs_of_outputs_are_built_on_request(here: Machine, shell: StorePath) -> None:
    inner = add(here, "asked", "echo asked > $out", shell, {"out": FLOATING})
    outer = producer(here, producer(here, inner, shell), shell)
    request = DerivedPath(outer, ("out",), ("out", "out"))
    (result,) = realise(here, request)
    assert result.success, result.message
    assert result.drv == inner
    assert started(here) == ["asked.drv.drv", "asked.drv", "asked"]
    assert result.outputs == here.store.derivation_outputs(inner)
    (again,) = realise(here, request)
    assert again.status is BuildStatus.ALREADY_VALID
    assert again.drv == inner


def test_failures_below(here: Machine, shell: StorePath) -> None:
    inner = add(here, "victim", "exit 3", shell, {"out": FLOATING})
    broken = producer(here, inner, shell, "exit 4")
    maker = producer(here, inner, shell)
    top = above(here, "hopeless", broken, shell, floating=True)
    unobtained, failed, above_it = realise(
        here,
        DerivedPath(broken, ALL, ("out",)),
        DerivedPath(maker, ALL, ("out",)),
        DerivedPath(top, ALL),
        keep_going=True,
    )
    assert unobtained.status is BuildStatus.DEPENDENCY_FAILED
    assert unobtained.message == f"failed to obtain derivation of '{broken}^out'"
    assert failed.status is BuildStatus.PERMANENT_FAILURE
    assert above_it.status is BuildStatus.DEPENDENCY_FAILED


def test_what_is_made_has_to_be_a_derivation(here: Machine, shell: StorePath) -> None:
    fake = add(here, "fake.drv", "echo nonsense > $out", shell, TEXT)
    (result,) = realise(here, DerivedPath(fake, ALL))
    assert not result.success
    assert "error parsing derivation" in result.message
    plain = add(here, "plain", "echo text > $out", shell, {"out": FLOATING})
    (result,) = realise(here, DerivedPath(plain, ALL, ("out",)))
    assert not result.success


def test_a_resolved_derivation_that_fails(here: Machine, shell: StorePath) -> None:
    below = add(here, "sound", "echo x > $out", shell, {"out": FLOATING})
    up = upstream_placeholder(below, "out")
    top = add(here, "unsound", f"cat {up}; exit 3", shell, {"out": FLOATING}, below)
    (result,) = realise(here, DerivedPath(top, ALL))
    assert result.status is BuildStatus.DEPENDENCY_FAILED
    assert result.message.startswith("build of resolved derivation '/frx/store/")
    assert result.message.endswith("-unsound.drv' failed")


def test_only_where_the_operator_allows_it(here: Machine, shell: StorePath) -> None:
    inner = add(here, "refused", "echo x > $out", shell, {"out": FLOATING})
    maker = producer(here, inner, shell)
    top = above(here, "above-refused", maker, shell, floating=True)
    assert realise(here, DerivedPath(maker, ALL))[0].success
    for request in (
        DerivedPath(maker, ALL),
        DerivedPath(top, ALL),
        DerivedPath(maker, ALL, ("out",)),
    ):
        found = plan(here.store, [request], features=FEATURES[:1])
        result = found.result_of(request, found.settled, lambda _: None)
        assert result.status is BuildStatus.INPUT_REJECTED
        assert "experimental Nix feature 'dynamic-derivations' is disabled" in result.message
