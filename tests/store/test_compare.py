from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.store.tree.compare import compare
from store.helpers import directory_fd


def differences(root: Path, limit: int = 100) -> list[str]:
    parent = directory_fd(root)
    try:
        return [str(found) for found in compare(parent, b"a", parent, b"b", limit=limit)]
    finally:
        os.close(parent)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "ab":
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib" / "same").write_text("same")
        (tmp_path / name / "lib.so").symlink_to("lib/x")
    return tmp_path


def test_equal_trees(root: Path) -> None:
    os.utime(root / "b" / "lib" / "same", (5, 5))
    os.chmod(root / "b" / "lib" / "same", 0o600)  # an archive doesn't hold that
    assert differences(root) == []


def test_every_kind_of_difference(root: Path) -> None:
    a, b = root / "a", root / "b"
    (a / "lib" / "bytes").write_bytes(b"x" * 100_000 + b"Tue" + b"y" * 10)
    (b / "lib" / "bytes").write_bytes(b"x" * 100_000 + b"Wed" + b"y" * 10)
    (a / "lib" / "longer").write_bytes(b"ab")
    (b / "lib" / "longer").write_bytes(b"ab\x00c")
    (a / "lib" / "mode").write_bytes(b"")
    (b / "lib" / "mode").write_bytes(b"")
    os.chmod(b / "lib" / "mode", 0o755)
    (a / "gone").mkdir()
    (a / "gone" / "inside").write_text("not mentioned")
    (b / "new").write_text("12345")
    (a / "kind").write_text("x")
    (b / "kind").symlink_to("lib")
    (b / "lib.so").unlink()
    (b / "lib.so").symlink_to("lib/y")
    assert differences(root) == [
        "gone: only in the first (directory)",
        "kind: file of 1 bytes in the first, link to 'lib' in the second",
        (
            "lib/bytes: 3 of 100013 bytes differ, first at offset 100000: "
            "54 75 65 79 79 79 79 79 79 79 79 79 79 |Tueyyyyyyyyyy| in the first, "
            "57 65 64 79 79 79 79 79 79 79 79 79 79 |Wedyyyyyyyyyy| in the second"
        ),
        (
            "lib/longer: 2 bytes in the first, 4 in the second, different first at offset 2: "
            "(end) in the first, 00 63 |.c| in the second"
        ),
        "lib/mode: executable in the second only",
        "lib.so: link to 'lib/x' in the first, to 'lib/y' in the second",
        "new: only in the second (file of 5 bytes)",
    ]


def test_names_that_would_fool_a_terminal_are_escaped(root: Path) -> None:
    (root / "b" / "\x1b[31mred\n").write_text("")
    assert differences(root) == ["\\x1b[31mred\\n: only in the second (file of 0 bytes)"]


def test_the_limit_is_said(root: Path) -> None:
    for number in range(5):
        (root / "b" / f"f{number}").write_text("")
    found = differences(root, limit=3)
    assert len(found) == 4
    assert found[-1].endswith("only the first 3 are shown")


def test_roots_that_are_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    assert differences(tmp_path) == [
        ".: 3 of 3 bytes differ, first at offset 0: 6f 6e 65 |one| in the first, 74 77 6f |two| in the second"
    ]


@given(st.binary(max_size=300), st.integers(0, 299), st.integers(1, 255))
def test_one_changed_byte_is_found_where_it_is(data: bytes, at: int, change: int) -> None:
    import tempfile

    data = data.ljust(at + 1, b".")
    changed = bytearray(data)
    changed[at] ^= change
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "a").write_bytes(data)
        Path(directory, "b").write_bytes(changed)
        (found,) = differences(Path(directory))
    assert found.startswith(f".: 1 of {len(data)} bytes differ, first at offset {at}: {data[at]:02x} ")
