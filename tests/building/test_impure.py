"""Impure derivations: built anew each time, and who may need them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building.test_content_addressed import FLOATING, add, started
from fruix.building.builders.prepare import prepare
from fruix.building.plan.goals import plan
from fruix.building.queue.event_queue import Inbox
from fruix.building.queue.scheduler import Scheduler
from fruix.building.settings import BuildSettings
from fruix.errors import BadDerivationError
from fruix.model import aterm
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivation import IMPURE, Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.hashes import Hash
from fruix.model.makepath import upstream_placeholder
from fruix.model.storepath import StorePath
from machine import Machine, machine

OUT = DerivationOutput(None, "r:sha256", IMPURE)
FEATURES = ("ca-derivations", "impure-derivations")
UUID = "cat /proc/sys/kernel/random/uuid"


@pytest.fixture(scope="module")
def one() -> Iterator[Machine]:
    settings = BuildSettings(
        max_jobs=2, cores=2, experimental_features=FEATURES, impure_env={"GREETING": "hello"}
    )
    with machine(settings) as made:
        yield made


def made(here: Machine, result: BuildResult, name: str = "out") -> str:
    assert result.success, result.message
    with open(here.store.real(result.outputs[name]), encoding="utf-8") as file:
        return file.read()


def test_it_is_built_anew_each_time(here: Machine, shell: StorePath) -> None:
    drv = add(here, "dice", f"{UUID} > $out", shell, {"out": OUT})
    (first,), (second,) = here.build(drv), here.build(drv)
    assert started(here) == ["dice", "dice"]
    assert made(here, first) != made(here, second)
    info = here.store.path_info(first.outputs["out"])
    assert info is not None
    assert str(info.content_address).startswith("fixed:r:sha256:")
    assert here.store.derivation_outputs(drv) == {}
    assert here.builder.missing([DerivedPath(drv, ALL)]).will_build == {drv}


def test_impure_ones_may_need_each_other(here: Machine, shell: StorePath) -> None:
    below = add(here, "below", f"{UUID} > $out", shell, {"out": OUT})
    up = upstream_placeholder(below, "out")
    above = add(here, "over", f"cat {up} > $out; echo $out >> $out", shell, {"out": OUT}, below)
    lower, upper = here.build(below, above)
    assert started(here) == ["below", "over"]  # once for a request
    assert made(here, upper).startswith(made(here, lower))
    assert made(here, upper).endswith(f"{upper.outputs['out']}\n")
    assert lower.status is BuildStatus.BUILT
    assert made(here, here.build(above)[0]) != made(here, upper)


def test_declared_contents_may_come_from_one_and_nothing_else(here: Machine, shell: StorePath) -> None:
    base = add(here, "source", f"{UUID} > $out", shell, {"out": OUT})
    up = upstream_placeholder(base, "out")
    contents = Hash.of("sha256", b"x\n").base16
    fixed = here.derivation(
        "exact",
        f"read word < {up}; echo x > $out",
        shell,
        inputs=[base],
        outputs={"out": DerivationOutput(None, "sha256", contents)},
    )
    assert here.build(fixed)[0].success
    started(here)
    assert here.build(fixed)[0].status is BuildStatus.ALREADY_VALID
    assert started(here) == []
    below = here.derivation("allowed", f"cat {here.output(fixed)} > $out", shell, inputs=[fixed])
    assert here.build(below)[0].success
    for outputs in ({"out": FLOATING}, {"out": DerivationOutput(None)}):
        drv = add(here, "pure", f"cat {up} > $out", shell, outputs, base)
        (result,) = here.build(drv)
        assert result.status is BuildStatus.INPUT_REJECTED
        assert result.message == f"pure derivation '{drv}' depends on impure derivation '{base}'"


def test_it_sees_the_daemons_variables_and_may_fail_for_now(here: Machine, shell: StorePath) -> None:
    env = {"impureEnvVars": "GREETING"}
    drv = here.store.add_text(
        "greeting.drv",
        aterm.render(
            Derivation(
                "greeting",
                {"out": OUT},
                {},
                (shell,),
                "x86_64-linux",
                f"{shell}/bin/sh",
                ("-c", "echo $GREETING > $out"),
                {**env, "out": "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"},
            )
        ),
        [shell],
    )
    assert made(here, here.build(drv)[0]) == "hello\n"
    failing = add(here, "failing", "exit 3", shell, {"out": OUT})
    assert here.build(failing)[0].status is BuildStatus.TRANSIENT_FAILURE


def test_it_has_the_network_of_fixed_outputs(here: Machine, shell: StorePath) -> None:
    drv = add(here, "connected", "echo x > $out", shell, {"out": OUT})
    derivation = here.store.read_derivation(drv)
    contents = {"out": DerivationOutput(None, "sha256", "0" * 64)}
    fixed = here.derivation("declared", "echo x > $out", shell, outputs=contents)
    networks = {
        prepare(path, one, BuildOptions("nix"), here.builder._resources).network
        for path, one in ((drv, derivation), (fixed, here.store.read_derivation(fixed)))
    }
    assert len(networks) == 1


def test_only_where_the_operator_allows_it(here: Machine, shell: StorePath) -> None:
    drv = add(here, "refused", "echo x > $out", shell, {"out": OUT})
    for features, missing in (((), FEATURES[0]), (FEATURES[:1], FEATURES[1])):
        (result,) = plan(here.store, [DerivedPath(drv, ALL)], features=features).settled.values()
        assert result.status is BuildStatus.INPUT_REJECTED
        assert f"experimental Nix feature '{missing}' is disabled" in result.message


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"dev": FLOATING, "out": OUT}, "can't mix derivation output types"),
        ({"out": DerivationOutput(StorePath(f"/frx/store/{'0' * 32}-x"), "r:sha256", IMPURE)}, "not specify"),
        ({"out": DerivationOutput(None, "", IMPURE)}, "unknown hash algorithm"),
    ],
)
def test_malformed_ones(
    here: Machine, shell: StorePath, outputs: dict[str, DerivationOutput], words: str
) -> None:
    with pytest.raises(BadDerivationError, match=words):
        add(here, "malformed", "exit 1", shell, outputs)


def test_two_requests_share_no_build() -> None:
    scheduler = Scheduler(lambda _: BuildResult(BuildStatus.BUILT), {"build": 0})
    path = StorePath(f"/frx/store/{'0' * 32}-x.drv")
    for output, jobs in ((OUT, 2), (FLOATING, 1)):
        drv = Derivation("x", {"out": output}, {}, (), "x", "/x", (), {})
        found = {id(scheduler.submit(path, drv, BuildOptions(), "build", Inbox())) for _ in range(2)}
        assert len(found) == jobs
    scheduler.close()
