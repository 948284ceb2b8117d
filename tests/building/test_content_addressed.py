"""Derivations whose outputs are named by what they hold: built, resolved, cut off, rewritten."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fruix.building.plan.goals import plan
from fruix.building.settings import BuildSettings
from fruix.model import aterm
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFailed, BuildStarted
from fruix.model.hashes import Hash
from fruix.model.makepath import placeholder, upstream_placeholder
from fruix.model.storepath import StorePath
from fruix.store.objects.content_hashes import check_address, nar_hash
from machine import Machine, machine

FLOATING = DerivationOutput(None, "r:sha256")
FEATURES = ("ca-derivations",)


@pytest.fixture(scope="module")
def one() -> Iterator[Machine]:
    with machine(BuildSettings(max_jobs=2, cores=2, experimental_features=FEATURES)) as made:
        yield made


def add(
    here: Machine,
    name: str,
    script: str,
    shell: StorePath,
    outputs: Mapping[str, DerivationOutput],
    *inputs: StorePath,
) -> StorePath:
    """Add a derivation as Nix writes it: placeholders stand for paths that nobody knows."""
    env = {output: placeholder(output) if row.method_algorithm else "" for output, row in outputs.items()}
    drv = Derivation(
        name,
        outputs,
        dict.fromkeys(sorted(inputs), ("out",)),
        (shell,),
        "x86_64-linux",
        f"{shell}/bin/sh",
        ("-c", f"PATH={shell}/bin\n{script}"),
        env,
    )
    return here.store.add_text(f"{name}.drv", aterm.render(drv), drv.references)


def started(here: Machine) -> list[str]:
    """The names of what was built since the last call."""
    names = [event.name for event in here.events if isinstance(event, BuildStarted)]
    here.events.clear()
    return names


def test_what_depends_on_an_unchanged_output_is_not_built_again(here: Machine, shell: StorePath) -> None:
    def chain(seed: str) -> StorePath:
        root = add(here, "root", f"echo {seed}; mkdir $out; echo same > $out/x", shell, {"out": FLOATING})
        up = upstream_placeholder(root, "out")
        middle = add(here, "middle", f"cat {up}/x; echo {up} > $out", shell, {"out": FLOATING}, root)
        up = upstream_placeholder(middle, "out")
        return add(here, "top", f"cat {up} > $out", shell, {"out": DerivationOutput(None)}, middle)

    top = chain("1")
    (result,) = here.build(top)
    assert result.success, result.message
    assert started(here) == ["root", "middle", "top"]
    assert here.output(top).read_text().endswith("-root\n")
    again = chain("2")
    assert again != top
    (same,) = here.build(again)
    assert started(here) == ["root"]
    assert same.success
    assert here.store.derivation_outputs(again) == here.store.derivation_outputs(top)


def test_a_fixed_output_from_a_floating_one(here: Machine, shell: StorePath) -> None:
    root = add(here, "base", "echo hello > $out", shell, {"out": FLOATING})
    up = upstream_placeholder(root, "out")
    contents = Hash.of("sha256", b"hello\n").base16
    fixed = {"out": DerivationOutput(None, "sha256", contents)}
    drv = here.derivation("fixed", f"cat {up} > $out", shell, inputs=[root], outputs=fixed)
    (result,) = here.build(drv)
    assert result.success, result.message
    assert here.output(drv).read_text() == "hello\n"


def test_outputs_that_name_each_other_and_themselves(here: Machine, shell: StorePath) -> None:
    script = "mkdir $out; echo $out > $out/self; ln -s $out/self $dev"
    both = dict.fromkeys(("dev", "out"), FLOATING)
    drv = add(here, "selfish", script, shell, both)
    (result,) = here.build(drv)
    assert result.success, result.message
    out, dev = here.store.derivation_outputs(drv)["out"], here.store.derivation_outputs(drv)["dev"]
    assert here.output(drv).joinpath("self").read_text() == f"{out}\n"
    assert here.output(drv, "dev").readlink() == Path(f"{out}/self")
    infos = {path: here.store.path_info(path) for path in (out, dev)}
    store = os.open(here.store.directory, os.O_RDONLY)
    try:
        for path, info in infos.items():
            assert info is not None
            assert info.references == (out,)
            assert info.content_address is not None
            check_address(store, path.base.encode(), info)  # by the rules for what others bring
            assert nar_hash(store, path.base.encode()) == (info.nar_hash, info.nar_size)
    finally:
        os.close(store)


def test_cycles_and_references_of_flat_outputs_are_refused(here: Machine, shell: StorePath) -> None:
    both = dict.fromkeys(("dev", "out"), FLOATING)
    drv = add(here, "cycle", "echo $dev > $out; echo $out > $dev", shell, both)
    assert "cycle detected in build of" in here.build(drv)[0].message
    flat = {"out": DerivationOutput(None, "sha256")}
    drv = add(here, "flat", f"echo {shell} > $out", shell, flat)
    assert "can't have references" in here.build(drv)[0].message
    drv = add(here, "plain", "echo hello > $out", shell, flat)
    assert here.build(drv)[0].success


def test_a_check_finds_other_contents(here: Machine, shell: StorePath) -> None:
    steady = add(here, "steady", "echo same > $out", shell, {"out": FLOATING})
    unsteady = add(here, "unsteady", "cat /proc/sys/kernel/random/uuid > $out", shell, {"out": FLOATING})
    assert all(result.success for result in here.build(steady, unsteady))
    check = BuildOptions("fruix", mode=BuildMode.CHECK)
    assert here.build(steady, options=check)[0].success
    (result,) = here.build(unsteady, options=check)
    assert result.status is BuildStatus.NOT_DETERMINISTIC


def test_a_failure_below(here: Machine, shell: StorePath) -> None:
    root = add(here, "broken", "exit 3", shell, {"out": FLOATING})
    top = add(here, "above", "echo x > $out", shell, {"out": FLOATING}, root)
    assert not here.build(top)[0].success
    (result,) = here.build(top, options=BuildOptions("fruix", keep_going=True))
    assert result.status is BuildStatus.DEPENDENCY_FAILED
    assert set(started(here)) == {"broken"}


def test_keep_going_goes_on_above(here: Machine, shell: StorePath) -> None:
    bad = add(here, "bad", "exit 3", shell, {"out": FLOATING})
    bottom = add(here, "bottom", "echo x > $out", shell, {"out": FLOATING})
    up = upstream_placeholder(bottom, "out")
    middle = add(here, "second", f"cat {up} > $out; echo y >> $out", shell, {"out": FLOATING}, bottom)
    up = upstream_placeholder(middle, "out")
    top = add(here, "third", f"cat {up} > $out", shell, {"out": FLOATING}, middle)
    above_bad = add(here, "never", "echo x > $out", shell, {"out": FLOATING}, bad)
    started(here)
    options = BuildOptions("fruix", keep_going=True)
    events = here.events
    results = here.build(bad, above_bad, top, options=options)
    assert [result.status for result in results] == [
        BuildStatus.PERMANENT_FAILURE,
        BuildStatus.DEPENDENCY_FAILED,
        BuildStatus.BUILT,
    ]
    told = [event.drv for event in events if isinstance(event, BuildFailed)]
    assert sorted(told) == sorted([bad, above_bad])  # each once
    assert sorted(started(here)) == ["bad", "bottom", "second", "third"]


def damage(here: Machine, drv: StorePath) -> None:
    file = here.output(drv)
    file.chmod(0o644)
    file.write_text("damaged")


def test_repairs(here: Machine, shell: StorePath) -> None:
    below = add(here, "lower", "echo repaired > $out", shell, {"out": FLOATING})
    up = upstream_placeholder(below, "out")
    above = add(here, "upper", f"cat {up} > $out; echo {up} $out >> $out", shell, {"out": FLOATING}, below)
    options = BuildOptions("fruix", mode=BuildMode.REPAIR)
    (result,) = here.build(above, options=options)  # what was never built is built
    assert result.success, result.message
    whole = here.output(above).read_text()
    started(here)
    (result,) = here.build(above, options=options)
    assert result.success, result.message
    assert started(here) == []
    damage(here, above)
    (result,) = here.build(above, options=options)
    assert result.success, result.message
    assert here.output(above).read_text() == whole
    assert started(here) == ["upper"]
    damage(here, below)
    damage(here, above)
    (result,) = here.build(above, options=options)
    assert result.success, result.message
    assert (here.output(below).read_text(), here.output(above).read_text()) == ("repaired\n", whole)
    assert sorted(started(here)) == ["lower", "upper"]


def test_what_comes_out_otherwise_repairs_nothing(here: Machine, shell: StorePath) -> None:
    drv = add(here, "unrepairable", "cat /proc/sys/kernel/random/uuid > $out", shell, {"out": FLOATING})
    assert here.build(drv)[0].success
    whole = here.output(drv).read_text()
    damage(here, drv)
    (result,) = here.build(drv, options=BuildOptions("fruix", mode=BuildMode.REPAIR))
    assert "is corrupted or missing, and nothing on this machine can make it again" in result.message
    here.output(drv).write_text(whole)
    here.output(drv).chmod(0o444)
    os.utime(here.output(drv), (1, 1))


def test_the_same_contents_are_one_path(here: Machine, shell: StorePath) -> None:
    drvs = [add(here, "twin", f": {word}; echo x > $out", shell, {"out": FLOATING}) for word in "ab"]
    assert all(result.success for result in here.build(*drvs))
    first, second = (here.store.derivation_outputs(drv)["out"] for drv in drvs)
    assert first == second
    assert not here.builder.missing([DerivedPath(drv, ALL) for drv in drvs]).will_build


def test_only_where_the_operator_allows_it(here: Machine, shell: StorePath) -> None:
    drv = add(here, "refused", "echo x > $out", shell, {"out": FLOATING})
    plain = plan(here.store, [DerivedPath(drv, ALL)])
    (result,) = plain.settled.values()
    assert result.status is BuildStatus.INPUT_REJECTED
    assert "experimental Nix feature 'ca-derivations' is disabled; add '--extra" in result.message
