"""Outputs that are made to slip something into the store, and references that are hard to see."""

from __future__ import annotations

import os

import pytest

from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.storepath import StorePath
from machine import Machine, one_machine

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = one_machine()


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("group-writable", "echo x > $out; chmod 664 $out"),
        ("world-writable", "mkdir $out; chmod 777 $out"),
        ("fifo", "mkdir $out; mkfifo $out/fifo"),
        ("socket", "mkdir $out; nc -l -s 127.0.0.1 -p 1 & cd $out; nc -lU s & sleep 0.3; mknod p p"),
        ("of-another", "mkdir $out; ln $shell/bin/busybox $out/stolen || mkfifo $out/refused"),
    ],
)
def test_refused(here: Machine, shell: StorePath, name: str, script: str) -> None:
    drv = here.derivation(name, script, shell, env={"shell": str(shell)})
    (result,) = here.build(drv)
    assert result.status == BuildStatus.OUTPUT_REJECTED, result.message
    assert not os.path.lexists(here.output(drv))


def test_set_id_bits_are_dropped(here: Machine, shell: StorePath) -> None:
    """The filter refuses them; even if it didn't, the store has no such modes."""
    script = (
        "mkdir $out; echo x > $out/f; chmod 4755 $out/f || true; chmod 2755 $out || true;"
        " chmod 1777 $out/f || true"
    )
    drv = here.derivation("set-id", script, shell)
    (result,) = here.build(drv)
    assert result.success, result.message
    assert (here.output(drv) / "f").stat().st_mode & 0o7777 in {0o444, 0o555}
    assert here.output(drv).stat().st_mode & 0o7777 == 0o555


def test_hard_links_to_what_stays_behind(here: Machine, shell: StorePath) -> None:
    """A link that a builder keeps elsewhere must not lead into the store; links inside outputs are fine."""
    script = (
        "mkdir $out; echo x > $out/a; ln $out/a $NIX_STORE/mine; ln $out/a $out/b;"
        " echo y > $out/c; ln $out/c $dev"
    )
    outputs = dict.fromkeys(("out", "dev"), DerivationOutput(None))
    drv = here.derivation("links", script, shell, outputs=outputs)
    (result,) = here.build(drv)
    assert result.success, result.message
    out = here.output(drv)
    assert [(out / name).read_text() for name in "abc"] == ["x\n", "x\n", "y\n"]
    for path in (out / "a", out / "b", out / "c", here.output(drv, "dev")):
        assert (path.stat().st_uid, path.stat().st_mode & 0o7777) == (0, 0o444)
    assert not (out.parent / "mine").exists()


BORDER = 1 << 16


@pytest.mark.parametrize(
    "before", [BORDER - 40, BORDER - 31, BORDER - 16, BORDER - 1, (1 << 20) - 7, (1 << 22) - 20]
)
def test_references_across_borders_of_chunks(here: Machine, shell: StorePath, before: int) -> None:
    """Its own path and an input's, wherever they lie in a big file."""
    script = (
        f"head -c {before} /dev/zero > $out; printf %s {shell} >> $out;"
        f" head -c {before} /dev/zero >> $out; printf %s $out >> $out"
    )
    drv = here.derivation(f"border-{before}", script, shell)
    (result,) = here.build(drv)
    assert result.success, result.message
    out = here.store.derivation_outputs(drv)["out"]
    assert here.store.references(out) == sorted([shell, out])


def test_references_in_names_and_targets(here: Machine, shell: StorePath) -> None:
    texts = [here.store.add_text(f"text{number}", b"%d" % number) for number in range(3)]
    by_name, by_target, nowhere = texts
    script = (
        f"mkdir $out; touch $out/{by_name.hash_part}; ln -s {by_target} $out/link;"
        f" echo {nowhere.hash_part[:31]} > $out/f"
    )
    drv = here.derivation("places", script, shell, sources=texts)
    assert here.build(drv)[0].success
    assert here.store.references(here.store.derivation_outputs(drv)["out"]) == sorted([by_name, by_target])
