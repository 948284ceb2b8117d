"""The ELF reader, on files made here: both classes, and everything that can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elf_files import NEEDED, RPATH, RUNPATH, make
from fruix.hostview.closure import read_elf
from fruix.model.elf import ElfFile, elf_in


def read(tmp_path: Path, data: bytes) -> ElfFile | None:
    path = tmp_path / "file"
    path.write_bytes(data)
    elf = read_elf(str(path))
    assert elf_in(data) == elf
    return elf


@pytest.mark.parametrize("bits", [32, 64])
def test_a_program(tmp_path: Path, bits: int) -> None:
    data = make(
        bits,
        [(NEEDED, "libm.so.6"), (RUNPATH, "$ORIGIN/../lib:/opt/lib"), (NEEDED, "libc.so.6")],
        "/lib/ld.so.1",
    )
    elf = read(tmp_path, data)
    assert elf == ElfFile(
        bits, 62, "/lib/ld.so.1", ("libm.so.6", "libc.so.6"), ("$ORIGIN/../lib", "/opt/lib")
    )


def test_a_run_path_replaces_the_older_kind(tmp_path: Path) -> None:
    both = read(tmp_path, make(64, [(RPATH, "/old"), (RUNPATH, "/new")]))
    old = read(tmp_path, make(64, [(RPATH, "/old")]))
    assert both is not None
    assert both.search == ("/new",)
    assert old is not None
    assert old.search == ("/old",)


def test_origin_is_the_files_directory_and_relative_entries_are_dropped() -> None:
    elf = ElfFile(64, 62, search=("$ORIGIN/../lib", "${ORIGIN}", "/opt", "relative", "$LIB/x"))
    assert elf.search_from("/usr/bin/tool") == ("/usr/bin/../lib", "/usr/bin", "/opt")


def test_a_library_without_needs(tmp_path: Path) -> None:
    assert read(tmp_path, make(64, [])) == ElfFile(64, 62)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"#!/bin/sh\n",
        b"\x7fELF" + bytes(12),
        b"\x7fELF\x02\x02" + bytes(100),
        b"\x7fELF\x03\x01" + bytes(100),
    ],
)
def test_other_files(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data) is None


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    data = make(64, [(NEEDED, "libc.so.6")], "/lib/ld.so.1")
    assert [size for size in range(len(data)) if read(tmp_path, data[:size]) is not None] == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_damage_never_does_more_than_make_it_no_elf_file(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(make(64, [(NEEDED, "libc.so.6"), (RUNPATH, "/opt")], "/lib/ld.so.1"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    elf = read(tmp_path, bytes(whole))
    assert elf is None or elf.bits in {32, 64}


def test_a_program_of_this_machine(tmp_path: Path) -> None:
    elf = read_elf("/proc/self/exe") if Path("/proc/self/exe").exists() else None
    if elf is None:
        pytest.skip("not an ELF system that shows its programs")
    assert elf.needed
    assert elf.interpreter.startswith("/")
