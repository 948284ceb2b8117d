"""Packages and the roots that they are built in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fruix.errors import DefinitionError
from fruix.model.derivation import Derivation
from fruix.model.hostview import HostView
from fruix.packages import roots
from fruix.packages.load import find, from_file
from fruix.packages.lower import Lowering, LoweringContext
from fruix.packages.package import Origin, Package
from packages.test_definitions import SHA, FakeStore

SYSTEM = "x86_64-linux"


def package(build_system: str = "gnu", **fields: Any) -> Package:
    source = Origin(("http://x.example/x.tar",), SHA)
    return Package(name="x", version="1", source=source, build_system=build_system, **fields)


def lower(
    package: Package, system: str = SYSTEM, store: FakeStore | None = None
) -> tuple[Lowering, Derivation]:
    context = LoweringContext(system, lambda name: HostView(name, "f" * 64))
    work = Lowering(store or FakeStore(), context)  # type: ignore[arg-type]
    return work, work.lowered(package).derivation


def root_of(derivation: Derivation) -> str:
    return derivation.env["fruixRoot"].partition("-")[2]


@pytest.mark.parametrize("system", ["x86_64-linux", "aarch64-linux"])
@pytest.mark.parametrize(
    ("build_system", "root"),
    [
        ("gnu", "debian-12"),
        ("cmake", "debian-12+c+++cmake+python"),
        ("meson", "debian-12+c+++cmake+python"),
        ("python", "debian-12+c+++cmake+python"),
    ],
)
def test_build_systems_have_roots_on_linux(build_system: str, root: str, system: str) -> None:
    arguments = {"check_command": "true"} if build_system == "python" else {}
    _, derivation = lower(package(build_system, arguments=arguments), system)
    assert root_of(derivation) == root
    assert "fruixHostView" not in derivation.env
    assert derivation.env["PATH"] == "/usr/bin:/bin"
    assert derivation.env["disallowedReferences"] == derivation.env["fruixRoot"]


def test_the_runtime_is_an_input_and_says_where_its_loader_is() -> None:
    work, derivation = lower(package())
    env, about = derivation.env, roots.runtime("debian-12", SYSTEM)
    assert env["fruixRuntime"].endswith("-debian-12-runtime")
    assert env["fruixLoader"] == f"{env['fruixRuntime']}/{about.loader}"
    assert env["fruixLibraryPath"] == f"{env['fruixRuntime']}/{about.library_path[0]}"
    names = {path.name for path in derivation.input_drvs}
    assert {"debian-12.drv", "debian-12-runtime.drv"} <= names
    assert len(work.origins) == 1 + len(roots.root("debian-12", SYSTEM).pieces)


def test_a_root_is_assembled_of_its_pieces() -> None:
    store = FakeStore()
    _, derivation = lower(package(), store=store)
    (path,) = (path for path in derivation.input_drvs if path.name == "debian-12.drv")
    root, text = roots.root("debian-12", SYSTEM), store.files[path].decode()
    assert '"builtin:root"' in text
    assert f'"{SYSTEM}"' in text
    for piece in root.pieces:
        assert f"deb {piece.name} /frx/store/" in text
    assert "usr/bin/awk mawk" in text


@pytest.mark.parametrize("system", ["x86_64-freebsd", "riscv64-linux"])
def test_where_there_is_no_root_it_is_built_with_the_hosts_tools(system: str) -> None:
    _, derivation = lower(package("cmake"), system)
    assert derivation.env["fruixHostView"] == "base+cmake"
    assert "fruixRoot" not in derivation.env


def test_a_package_names_its_root_or_its_view() -> None:
    assert root_of(lower(package(root="debian-12+perl+c++"))[1]) == "debian-12+c+++perl"
    assert root_of(lower(package("copy", root="debian-12"))[1]) == "debian-12"
    assert lower(package(host_view="base"))[1].env["fruixHostView"] == "base"
    assert lower(package("copy"))[1].env["fruixHostView"] == "base"
    both = package(root="debian-12+c++", host_view="base")
    assert root_of(lower(both)[1]) == "debian-12+c++"
    assert lower(both, "x86_64-freebsd")[1].env["fruixHostView"] == "base"


@pytest.mark.parametrize(
    ("root", "system", "complaint"),
    [
        ("debian-12+fortran", SYSTEM, r"no variant '\+fortran'"),
        ("debian-0", SYSTEM, "debian-0"),
        ("debian-12", "x86_64-freebsd", "not for x86_64-freebsd"),
    ],
)
def test_a_root_that_is_not_there_is_told_with_the_place(
    tmp_path: Path, root: str, system: str, complaint: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"\npackage = find('hello').inherit(root={root!r})\n")
    (mine,) = from_file(str(file))
    with pytest.raises(DefinitionError, match=complaint) as caught:
        lower(mine, system)
    assert f"{file}:2" in str(caught.value)


def test_what_a_package_forbids_stays_forbidden() -> None:
    env = lower(package(declares={"disallowedReferences": "lib"}, outputs=("out", "lib")))[1].env
    assert env["disallowedReferences"] == f"lib {env['fruixRoot']}"


def test_the_catalogue_is_the_same_on_every_host() -> None:
    """Host views differ by host; a derivation in a root doesn't."""
    first, second = (
        Lowering(FakeStore(), LoweringContext(SYSTEM, lambda name, view=view: HostView(name, view * 64)))  # type: ignore[arg-type,misc]
        for view in "ab"
    )
    assert first.lowered(find("hello")).drv == second.lowered(find("hello")).drv


def test_only_who_asks_for_them_has_tools_of_tests() -> None:
    def names(root: str) -> set[str]:
        return {piece.name for piece in roots.root(root, SYSTEM).pieces}

    assert {"python3", "python3-pytest"} <= names("debian-12+pytest")
    assert {"dejagnu", "expect"} <= names("debian-12+dejagnu")
    assert not {"python3-pytest", "dejagnu"} & names("debian-12+c+++cmake+perl+python")
