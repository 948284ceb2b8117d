"""What builds get of their inputs: search paths, propagated inputs, tools of build systems, views."""

from __future__ import annotations

from typing import Any

from fruix.model.hostview import HostView
from fruix.packages.build_systems import BUILD_SYSTEMS
from fruix.packages.load import find
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Origin, Package
from fruix.packages.package_graph import package_graph
from fruix.packages.phases import script
from packages.test_definitions import SHA, FakeStore, lowering, trivial


def sourced(**fields: Any) -> Package:
    return Package(name="x", version="1", source=Origin(("http://x.example/x.tar",), SHA), **fields)


def names(lowered: Any) -> set[str]:
    return {path.name.removesuffix("-1.drv") for path in lowered.derivation.input_drvs}


def test_propagated_inputs_reach_whoever_needs_them() -> None:
    low = trivial("low")
    middle = trivial("middle", propagated_inputs=(low,))
    upper = trivial("upper", propagated_inputs=(middle,))
    top, tool_user = trivial("top", inputs=(upper,)), trivial("tool-user", native_inputs=(upper,))
    work = lowering(FakeStore())
    assert names(work.lowered(middle)) == {"low"}
    assert names(work.lowered(top)) == {"upper", "middle", "low"}
    out = work.lowered(low).derivation.output_paths["out"]
    assert work.lowered(top).derivation.env["inputs"].endswith(f"\n{out}\n")
    assert "inputs" not in work.lowered(tool_user).derivation.env
    assert out.text in work.lowered(tool_user).derivation.env["nativeInputs"].split("\n")
    # what has it as an ordinary input keeps it to itself
    assert names(work.lowered(trivial("above", inputs=(top,)))) == {"top"}


def test_inputs_may_be_lists() -> None:
    low = trivial("low")
    assert trivial("top", inputs=[low]).inputs == (low,)


def test_tools_and_views_come_with_the_build_system() -> None:
    work = Lowering(FakeStore(), LoweringContext("x86_64-freebsd", lambda name: HostView(name, "f" * 64)))  # type: ignore[arg-type]
    lowered = work.lowered(sourced(build_system="meson"))
    names = {path.name for path in lowered.derivation.input_drvs}
    assert names >= {"meson-without-python-1.0.1.drv", "ninja-1.12.1.drv"}
    assert lowered.derivation.env["fruixHostView"] == "base+python"
    assert work.lowered(sourced(build_system="cmake")).derivation.env["fruixHostView"] == "base+cmake"
    mine = sourced(build_system="cmake", host_view="mine")
    assert work.lowered(mine).derivation.env["fruixHostView"] == "mine"


def test_every_compiling_build_system_sets_up_the_linker_and_checks_run_paths() -> None:
    for name in ("gnu", "cmake", "meson"):
        phases = sourced(build_system=name).recipe.phases
        assert phases.names[0] == "set-up-linker"
        assert "validate-runpath" in phases.names
    assert set(BUILD_SYSTEMS) == {"cmake", "copy", "gnu", "meson", "python", "trivial"}


def test_outputs_are_all_finished() -> None:
    text = script(sourced(outputs=("out", "lib")).recipe.phases)
    assert text.count('set -- "$out" "$lib"\n') == 5


def test_a_graph_of_definitions() -> None:
    graph = package_graph([find("less"), find("inih")])
    edges = {(edge.source, edge.target): edge.kind for edge in graph.edges}
    assert edges[("less-668", "ncurses-6.4")] == "input"
    assert edges[("inih-59", "ninja-1.12.1")] == "native"
    assert [node.key for node in graph.nodes if node.root] == ["less-668", "inih-59"]
    twice = package_graph([trivial("a", inputs=(trivial("b"), trivial("c", inputs=(trivial("b"),))))])
    assert len(twice.nodes) == 4  # two different packages of one name and version are two
