"""What builders are started with, against what those of nix-daemon 2.34.8 were (tests/golden/attributes)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fruix.building.builders.environment import BuilderInput, EnvironmentParams, attribute_file, builder_input
from fruix.errors import BadDerivationError
from fruix.model import aterm
from fruix.model.attributes import read
from fruix.model.derivation import Derivation
from fruix.sandbox.contracts import CONTRACTS
from golden_data import GOLDEN

ATTRIBUTES = GOLDEN / "attributes"
AROUND = EnvironmentParams("/frx/store", 2, "/build")


def golden(name: str, *graphs: str) -> BuilderInput:
    """The derivation `name`; the store's part, exported graphs, is taken from the recording."""
    drv = aterm.parse((ATTRIBUTES / f"{name}.drv").read_bytes(), name)
    plain = "__json" not in drv.env
    recorded = {} if plain else json.loads((ATTRIBUTES / f"{name}.json").read_text())
    return builder_input(
        drv,
        read(drv),
        CONTRACTS["nix"],
        AROUND,
        graph_files={graph: (ATTRIBUTES / f"{name}.{graph}").read_bytes() for graph in graphs}
        if plain
        else {},
        graph_objects={graph: recorded[graph] for graph in graphs} if not plain else {},
    )


def variables(name: str) -> dict[str, str]:
    """As the builder's shell printed them, without the one of its own."""
    lines = (ATTRIBUTES / f"{name}.env").read_text().splitlines()
    return {key: value for key, value in (line.split("=", 1) for line in lines) if key != "SHLVL"}


def test_plain_variables() -> None:
    found = golden("plain", "graph", "graph2")
    assert found.variables == variables("plain")
    assert found.files == {
        attribute_file("big"): (ATTRIBUTES / "plain.big").read_bytes(),
        "graph": (ATTRIBUTES / "plain.graph").read_bytes(),
        "graph2": (ATTRIBUTES / "plain.graph2").read_bytes(),
    }
    assert found.arguments[-1].endswith(f"echo {found.variables['out']} > $out/arg")


def test_structured_attributes() -> None:
    found = golden("structured", "closure", "single")
    assert found.variables == variables("structured")
    assert set(found.files) == {".attrs.json", ".attrs.sh"}
    assert found.files[".attrs.json"] == (ATTRIBUTES / "structured.json").read_bytes()
    lines = (ATTRIBUTES / "structured.sh").read_bytes().splitlines(keepends=True)
    # See test_structured: a number that the recorded daemon wrote wrong.
    assert found.files[".attrs.sh"] == b"".join(
        line for line in lines if not line.startswith(b"declare big=")
    )


@pytest.mark.parametrize("contract", ["nix", "guix", "fruix"])
def test_the_daemons_variables(contract: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named ones that may pass reach builders of fixed outputs; they go before the derivation's own."""
    monkeypatch.setenv("REFUSED", "daemon")
    around = replace(AROUND, passed={"SHOWN": "daemon", "HIDDEN": "daemon"})
    drv = aterm.parse((ATTRIBUTES / "plain.drv").read_bytes(), "plain")
    env = {"impureEnvVars": "SHOWN UNSET REFUSED TMPDIR", "SHOWN": "own"}
    fixed = aterm.parse(next((GOLDEN / "drvs" / "nix").glob("*-fixed-sha1.drv")).read_bytes(), "fixed-sha1")
    for one, shown, unset in ((drv, "own", None), (fixed, "daemon", "")):
        made = Derivation(one.name, one.outputs, {}, (), one.system, one.builder, (), env)
        found = builder_input(made, read(made), CONTRACTS[contract], around, graph_files={}, graph_objects={})
        seen = found.variables
        assert (seen["SHOWN"], seen.get("UNSET"), seen.get("HIDDEN")) == (shown, unset, None)
        assert seen.get("REFUSED") == unset
        assert found.secrets == (() if one is drv else ("daemon",))


def test_names_that_no_variable_can_have() -> None:
    drv = Derivation("x", {}, {}, (), "", "/sh", (), {"a\n=b": "c"})
    with pytest.raises(BadDerivationError, match=r"'a\\n=b' can't be the name of a variable"):
        builder_input(drv, read(drv), CONTRACTS["nix"], AROUND, graph_files={}, graph_objects={})
