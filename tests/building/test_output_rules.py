"""What derivations declare about their outputs: what they may refer to, how big they may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asking import failed
from building import declaring
from building.declaring import NIX, both, guix_text
from fruix.model.buildresult import BuildStatus
from fruix.model.makepath import placeholder
from fruix.model.storepath import StorePath
from machine import Machine, one_machine

low = declaring.low

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = one_machine()


def test_allowed_references(here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]) -> None:
    drv = here.derivation(
        "strict",
        f"mkdir -p $out/etc; echo {low[1]} > $out/etc/conf; echo $out >> $out/etc/conf",
        shell,
        inputs=[low[0]],
        env={"allowedReferences": "out"},
    )
    out = here.store.derivation_outputs(drv)["out"]
    result = failed(here, drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert (
        f"output '{out}' is not allowed to refer to the following paths:\n  {low[1]}\n"
        "    mentioned in etc/conf" in result.message
    )
    assert guix_text(here, drv) == (
        f"output (`{out}') is not allowed to refer to path `{low[1]}'\n    mentioned in etc/conf"
    )
    fine = here.derivation(
        "strict", f"echo {low[1]} > $out", shell, inputs=[low[0]], env={"allowedReferences": str(low[1])}
    )
    assert here.build(fine, options=NIX)[0].success


def test_disallowed_requisites_show_the_chain(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]
) -> None:
    (text,) = here.store.references(low[1])
    drv = here.derivation(
        "chain",
        f"mkdir $out; ln -s {low[1]} $out/link",
        shell,
        inputs=[low[0]],
        env={"disallowedRequisites": str(text)},
    )
    assert f"\n  {text}\n    mentioned in link\n    by way of {low[1]}" in failed(here, drv).message


def test_requisites_and_the_output_itself(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]
) -> None:
    (text,) = here.store.references(low[1])
    allowed = [str(low[1]), str(text)]
    out = placeholder("out")
    plain = here.derivation(
        "self",
        f"echo {out} {low[1]} > {out}",
        shell,
        inputs=[low[0]],
        env={"allowedRequisites": " ".join(allowed)},
    )
    assert here.build(plain, options=NIX)[0].success
    for checks, good in (({}, False), ({"ignoreSelfRefs": True}, True)):
        values = {"outputChecks": {"out": {"allowedRequisites": allowed, **checks}}}
        drv = here.derivation(
            "self-structured",
            f"echo {out} {low[1]} > {out}",
            shell,
            inputs=[low[0]],
            env={"__json": json.dumps(values)},
        )
        assert here.build(drv, options=NIX)[0].success is good


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ({"maxSize": 10}, "is too large at 160 bytes; limit is 10 bytes"),
        ({"maxClosureSize": 200}, "is too large at 448 bytes; limit is 200 bytes"),
        ({"disallowedReferences": ["out"]}, "is not allowed to refer to the following paths"),
    ],
)
def test_output_checks(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath], checks: dict[str, object], why: str
) -> None:
    out = placeholder("out")
    env = {"__json": json.dumps({"outputChecks": {"out": checks}})}
    script = f"echo {low[1]} > {out}" if "disallowedReferences" not in checks else f"echo {out} > {out}"
    drv = here.derivation("checked", script, shell, inputs=[low[0]], env=env)
    result = failed(here, drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert why in result.message


def test_rules_with_unknown_words(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("word", "exit 1", shell, env={"allowedReferences": "nope"})
    assert "contains output name 'nope', but this is not a valid output" in failed(here, drv).message
    assert "invalid reference specifier `nope'" in guix_text(here, drv)


def test_references_that_are_discarded(
    here: Machine, shell: StorePath, low: tuple[StorePath, StorePath]
) -> None:
    out, dev = placeholder("out"), placeholder("dev")
    env = {"__json": json.dumps({"unsafeDiscardReferences": {"out": True}})}
    script = f"echo {low[1]} {out} > {out}; echo {low[1]} > {dev}"
    drv = here.derivation("discard", script, shell, inputs=[low[0]], env=env, outputs=both("out", "dev"))
    assert here.build(drv, options=NIX)[0].success
    outputs = here.store.derivation_outputs(drv)
    assert here.store.references(outputs["out"]) == []
    assert here.store.references(outputs["dev"]) == [low[1]]


def test_cycles(here: Machine, shell: StorePath) -> None:
    script = "mkdir $out; echo $dev > $out/ref; echo $out > $dev"
    drv = here.derivation("cycle", script, shell, outputs=both("out", "dev"))
    paths = here.store.derivation_outputs(drv)
    result = failed(here, drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED
    assert "in the references of output 'dev' from output 'out'\n  mentioned in ref" in result.message
    assert f"cycle detected in the references of `{min(paths.values())}'" in guix_text(here, drv)


def test_only_some_outputs_are_valid(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    """The missing one is built; what is valid stays, even if this build made something else of it."""
    script = "echo out $(date +%N) > $out; echo $out > $dev; echo $dev $out > $doc"
    drv = here.derivation("partial", script, shell, outputs=both("out", "dev", "doc"))
    assert here.build(drv)[0].success
    outputs = here.store.derivation_outputs(drv)
    before = here.output(drv).read_text()
    here.store.database.remove([outputs["doc"]])
    here.store.delete_unregistered(outputs["doc"])
    (result,) = here.build(drv)
    assert result.status == BuildStatus.BUILT, result.message
    assert here.output(drv).read_text() == before
    assert set(result.outputs) == {"out", "dev", "doc"}
    assert here.store.references(outputs["doc"]) == sorted([outputs["dev"], outputs["out"]])
    assert here.output(drv, "doc").read_text() == f"{outputs['dev']} {outputs['out']}\n"
