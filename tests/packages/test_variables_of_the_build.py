"""Outputs and packages take no variable of a build away, and all that a build sets are known."""

from __future__ import annotations

import pytest

from fruix.packages import variables
from fruix.packages.build_systems import BUILD_SYSTEMS
from fruix.packages.package import Package
from fruix.sandbox.contracts import CONTRACTS
from packages.test_definitions import FakeStore, lowering
from packages.wrong_definitions import FIELDS, NEEDED, SOURCE, error_of


def test_outputs_take_no_variable_of_the_build_away() -> None:
    for name in sorted(variables.TAKEN):
        error = error_of(outputs=("out", name))
        assert f"item 2 of field 'outputs' should be a name of its own, not '{name}'" in error.message, name
    for name in ("lib", "bin", "dev", "doc", "man", "info", "static"):
        for system in BUILD_SYSTEMS:
            arguments = NEEDED.get(system, {})
            Package(**FIELDS, source=SOURCE, outputs=("out", name), build_system=system, arguments=arguments)


def test_outputs_take_no_variable_of_a_phase_away() -> None:
    error = error_of(outputs=("out", "archive"))
    assert "item 2 of field 'outputs' should be a name of its own, not 'archive'" in error.message
    assert Package(**FIELDS, source=SOURCE, outputs=("out", "mine"), arguments={
        "phases": lambda phases: phases.replace("build", "mine=$mine/x; archive=1")
    }).outputs == ("out", "mine")  # fmt: skip


def test_variables_that_the_build_sets_are_not_the_packages() -> None:
    for name in sorted(variables.SET_BY_BUILD | {"out", "lib", "make", "CONFIG_SHELL"}):
        error = error_of(outputs=("out", "lib"), arguments={"environment": {name: "x"}})
        assert f"variables of the package's own, not '{name}'" in error.message, name
    own = {"HOME": "/build", "CFLAGS": ["-O2", "-g"], "LEVEL": 3, "LC_ALL": "C.UTF-8", "COMPILER_PATH": "/x"}
    made = Package(**FIELDS, source=SOURCE, arguments={"environment": own}).recipe.environment
    assert made["CFLAGS"] == "-O2 -g"
    assert made["LEVEL"] == "3"
    assert made["LC_ALL"] == "C.UTF-8"
    assert made["TZ"] == "UTC"


def test_the_table_of_variables_is_complete() -> None:
    """Whatever a derivation of a package and a contract's environment hold is in the table."""
    set_by_contracts = {
        name
        for contract in CONTRACTS.values()
        for fixed in (True, False)
        for name in contract.environment(
            {}, store="/frx/store", cores=1, build_directory="/build", fixed_output=fixed
        )
    }
    low = Package(name="low", version="1", build_system="trivial", arguments={"script": "true"})
    for system in BUILD_SYSTEMS:
        arguments = NEEDED.get(system, {})
        package = Package(**FIELDS, source=SOURCE, build_system=system, arguments=arguments, inputs=(low,))
        names = set(lowering(FakeStore()).lowered(package).derivation.env)
        own = set(BUILD_SYSTEMS[system].environment) - variables.TAKEN
        assert names - {"out"} - own <= variables.TAKEN, system
    assert set_by_contracts <= variables.TAKEN
    over = {name for name in set_by_contracts if name not in {"HOME", "TERM"}}
    assert over <= variables.SET_BY_BUILD


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("a=1\n  b=2; c=3", {"a", "b", "c"}),
        ("for file in x; do read -r line; done", {"file", "line"}),
        ('export P="$P:x"\nQ=x${Q:+:$Q}', set()),
        ("if x=$(y); then (z=1); fi", {"x", "z"}),
        ('echo a==b --c=d x.e=f "g"', set()),
    ],
)
def test_variables_that_a_script_sets(script: str, names: set[str]) -> None:
    assert variables.assigned([script]) == names
