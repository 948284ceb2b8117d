"""A builder lists all that it can see.

The listing must equal the golden one of its contract, to the letter.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.sandbox.linux import userns
from golden_data import GOLDEN
from machine import jails, machine, shares_user
from small_root import in_root, small_root

LOOK = (Path(__file__).parent / "look.sh").read_text()
IDS = {"fruix": ("$(id -u)", "$(id -g)"), "nix": ("1000", "100"), "guix": ("30001", "30000")}


def _confinement() -> str:
    """What root made looks like the builder's own if builds share the daemon's user."""
    return "-one-id" if shares_user() else ""


@pytest.mark.skipif(userns.confined(), reason="machine: jails need root")
def test_golden_listing_in_a_jail(tmp_path: Path) -> None:
    """Without /proc, of which the script complains; on a double of FreeBSD's calls."""
    with jails():
        compare("fruix", tmp_path, "-jail")


@pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])
def test_golden_listing(contract: str, tmp_path: Path) -> None:
    compare(contract, tmp_path, _confinement())


def test_golden_listing_in_a_root(tmp_path: Path) -> None:
    """Its names beside the contract's, and the shell from nowhere else."""
    compare("fruix", tmp_path, f"-root{_confinement()}")


def compare(contract: str, tmp_path: Path, kind: str) -> None:
    # Without the device that some machines have and others don't.
    with machine(BuildSettings(max_jobs=2, cores=2, system_features=())) as here:
        rooted = kind.startswith("-root")
        shell = small_root(here, tmp_path) if rooted else here.shell(tmp_path)
        script = f"look() {{\n{LOOK}\n}}\nlook $(id -u) $(id -g) > $out 2>&1"
        env = {"shell": str(shell)}
        drv = (
            in_root(here, "look", script, shell, env)
            if rooted
            else here.derivation("look", script, shell, env=env)
        )
        (result,) = here.build(drv, options=BuildOptions(contract))
        assert result.success, result.message
        seen = here.output(drv).read_text()
    seen = seen.replace("uid 350", "uid BUILD350")  # any of the pool
    for number in range(1, 33):
        seen = seen.replace(f"uid BUILD350{number:02} gid 350{number:02}", "uid POOL gid POOL")
    seen = re.sub(
        r"groups( 65534)+", "groups", seen
    )  # those of an ordinary user, which have no numbers inside
    golden = GOLDEN / f"seen-{contract}{kind}.txt"
    if os.environ.get("FRUIX_RECORD"):
        golden.write_text(seen)
    assert seen == golden.read_text()
