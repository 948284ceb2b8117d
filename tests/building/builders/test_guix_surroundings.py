"""What builders of Guix find that others don't: who may not write where, and how many cores they may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.sandbox.linux import userns
from machine import machine

SCRIPT = """
for name in /x /etc/x /dev/x /frx/x; do
    mkdir $name 2>> $out || :
done
echo cores: $NIX_BUILD_CORES >> $out
"""
REFUSALS = {"guix": "Permission denied", "nix": "Read-only file system", "fruix": "Read-only file system"}


@pytest.mark.parametrize("contract", REFUSALS)
def test_directories_at_the_root(contract: str, tmp_path: Path) -> None:
    """Without root the builder has the daemon's own ids: nothing but a read-only root keeps it out."""
    why = REFUSALS["nix"] if userns.confined() else REFUSALS[contract]
    with machine(BuildSettings(max_jobs=1)) as here:
        drv = here.derivation("root", SCRIPT, here.shell(tmp_path))
        (result,) = here.build(drv, options=BuildOptions(contract))
        assert result.success, result.message
        *refused, cores = here.output(drv).read_text().splitlines()
    assert [line.rpartition(": ")[2] for line in refused] == [why] * 4
    number = int(cores.removeprefix("cores: "))
    assert (number == 0) == (contract == "guix")
