"""FreeBSD's default views, on a small copy of its directories.

One is of a base system with its own compiler, one without.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from elf_files import NEEDED, make
from fruix.errors import HostViewError
from fruix.hostview import ResolvedView, ViewDefinition, definitions, resolve_view
from fruix.hostview.closure import hinted_directories

TOOLS = "sh ld ar ranlib make sed awk grep tar gzip cmp diff find xargs install"


def hints(*directories: str, magic: int = 0x746E6845, version: int = 1) -> bytes:
    text = ":".join(directories).encode()
    strings = b"\0" + text + b"\0"
    return struct.pack("=6I26I", magic, version, 128, len(strings), 1, len(text), *[0] * 26) + strings


class FreeBSD:
    """Below a directory; the definition's paths are moved there."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in [
            "bin",
            "lib",
            "libexec",
            "usr/bin",
            "usr/include",
            "usr/lib",
            "usr/libexec",
            "usr/share/mk",
            "usr/local/bin",
        ]:
            (top / name).mkdir(parents=True)
        for tool in TOOLS.split():
            self.program(f"usr/bin/{tool}")
        self.file("libexec/ld-elf.so.1", make(64, []))
        self.file("lib/libc.so.7", make(64, []))

    def file(self, name: str, data: bytes) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)

    def program(self, name: str, *needed: str) -> None:
        self.file(
            name,
            make(
                64,
                [(NEEDED, library) for library in (*needed, "libc.so.7")],
                interpreter=f"{self.top}/libexec/ld-elf.so.1",
            ),
        )

    def moved(self, view: ViewDefinition) -> ViewDefinition:
        def move(paths: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(f"{self.top}{path}" for path in paths)

        return replace(
            view,
            trees=move(view.trees),
            optional_trees=move(view.optional_trees),
            path=move(view.path),
            libraries=move(view.libraries),
            hints=f"{self.top}{view.hints}" if view.hints else "",
            instead=self.moved(view.instead) if view.instead else None,
        )

    def resolve(self, name: str = "base") -> ResolvedView:
        return resolve_view(self.moved(definitions({}, "FreeBSD")[name]), str(self.top / "cache"))

    def shown(self, view: ResolvedView) -> set[str]:
        return {bind.target.removeprefix(str(self.top)) for bind in view.binds}

    def path(self, view: ResolvedView) -> list[str]:
        return [item.removeprefix(str(self.top)) for item in view.view.path]


@pytest.fixture
def system(tmp_path: Path) -> FreeBSD:
    return FreeBSD(tmp_path)


def test_a_complete_base_system(system: FreeBSD) -> None:
    system.program("usr/bin/cc")
    system.program("usr/local/bin/cc")
    view = system.resolve()
    assert "/usr/bin" in system.shown(view)
    assert not any(path.startswith("/usr/local") for path in system.shown(view))
    assert system.path(view) == ["/usr/bin", "/bin"]


def test_a_base_system_without_compiler_takes_ports(system: FreeBSD) -> None:
    system.program("usr/local/bin/cc", "libmpfr.so.6")
    system.file("usr/local/lib/libmpfr.so.6", make(64, []))
    system.file("var/run/ld-elf.so.hints", hints("/lib", f"{system.top}/usr/local/lib"))
    view = system.resolve()
    assert view.view.name == "base"
    assert {"/usr/local", "/usr/bin", "/var/run/ld-elf.so.hints"} <= system.shown(view)
    assert system.path(view) == ["/usr/local/bin", "/usr/bin", "/bin"]
    assert system.resolve() == view
    system.program("usr/bin/cc")
    assert system.path(system.resolve()) == ["/usr/bin", "/bin"]


def test_a_tool_of_ports_whose_library_the_loader_would_not_find(system: FreeBSD) -> None:
    system.program("usr/local/bin/cc", "libmpfr.so.6")
    system.file("usr/local/lib/libmpfr.so.6", make(64, []))
    with pytest.raises(HostViewError, match="the tool 'cc' needs the shared library libmpfr"):
        system.resolve("base+ports")


def test_no_compiler_at_all(system: FreeBSD) -> None:
    with pytest.raises(
        HostViewError, match=r"host view 'base' needs the tool 'cc', which is not in .*/usr/local/bin or"
    ):
        system.resolve()


def test_a_view_made_from_base_has_no_stand_in() -> None:
    views = definitions({"mine": {"extends": "base", "optional-tools": ["gmake"]}}, "FreeBSD")
    assert views["mine"].instead is None
    assert views["mine"].libraries == ("/lib", "/usr/lib")


def test_hints(tmp_path: Path) -> None:
    file = tmp_path / "hints"
    assert hinted_directories(str(file)) == ()
    file.write_bytes(hints("/lib", "/usr/lib", "relative", "/usr/local/lib"))
    assert hinted_directories(str(file)) == ("/lib", "/usr/lib", "/usr/local/lib")
    for data in (b"", b"short", hints("/lib", magic=1), hints("/lib", version=2), hints("/lib")[:128]):
        file.write_bytes(data)
        assert hinted_directories(str(file)) == ()
