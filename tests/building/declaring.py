"""Derivations that declare something, and what clients of Guix read when they fail."""

from __future__ import annotations

import pytest

from asking import failed
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import DerivationOutput
from fruix.model.events import BuildFailed
from fruix.model.reasons import text_of
from fruix.model.storepath import StorePath
from machine import Machine

NIX, GUIX = BuildOptions("nix"), BuildOptions("guix")


@pytest.fixture(scope="module")
def low(here: Machine, shell: StorePath) -> tuple[StorePath, StorePath]:
    """A derivation and its output, which refers to a text."""
    text = here.store.add_text("dep.txt", b"hello")
    drv = here.derivation("low", f"echo {text} > $out", shell, sources=[text])
    assert here.build(drv)[0].success
    return drv, here.store.derivation_outputs(drv)["out"]


def both(*names: str) -> dict[str, DerivationOutput]:
    return dict.fromkeys(names, DerivationOutput(None))


def guix_text(here: Machine, drv: StorePath) -> str:
    """What a client of the Guix world reads when the build fails."""
    failed(here, drv, GUIX)
    event = here.events[-1]
    assert isinstance(event, BuildFailed)
    return text_of(event.reason, drv, guix=True)
