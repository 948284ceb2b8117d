from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import BadNarError
from fruix.model.hashes import Hash
from fruix.model.nar import write
from fruix.model.nar.read import MAX_DEPTH, NarReader
from fruix.model.nar.stream_events import (
    DirectoryEnd,
    DirectoryStart,
    Entry,
    Event,
    FileData,
    FileEnd,
    FileStart,
    Symlink,
    WholeFile,
)
from golden_data import GOLDEN, load

# A tree as the tests have it: bytes (a file), (bytes, True) executable, str (a symlink's target),
# dict (a directory).
Tree = Any

names = st.binary(min_size=1, max_size=20).filter(
    lambda name: name not in {b".", b".."} and not set(name) & {0, 47}
)
trees = st.recursive(
    st.one_of(
        st.binary(max_size=100),
        st.tuples(st.binary(max_size=40), st.just(True)),
        st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text and text.isprintable()),
    ),
    lambda inner: st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)


def node(tree: Tree) -> bytes:
    if isinstance(tree, dict):
        entries = (write.entry_head(name) + node(tree[name]) + write.ENTRY_TAIL for name in sorted(tree))
        return write.DIRECTORY_HEAD + b"".join(entries) + write.DIRECTORY_TAIL
    if isinstance(tree, str):
        return write.symlink(tree.encode())
    data: bytes = tree[0] if isinstance(tree, tuple) else tree
    return write.file_head(len(data), isinstance(tree, tuple)) + data + write.file_tail(len(data))


def nar(tree: Tree) -> bytes:
    return write.MAGIC + node(tree)


def kept(event: Event) -> Event:
    """Views are good until the next feed only."""
    return (
        replace(event, data=memoryview(bytes(event.data)))
        if isinstance(event, FileData | WholeFile)
        else event
    )


def read(chunks: Iterable[bytes], reader: NarReader | None = None) -> list[Event]:
    reader = reader or NarReader()
    events: list[Event] = []
    for chunk in chunks:
        events.extend(map(kept, reader.feed(chunk)))
    reader.finish()
    return events


def tree_of(events: list[Event]) -> Tree:
    stack: list[dict[bytes, Tree]] = [{}]
    at: list[bytes] = [b""]
    data = b""
    executable = False
    for event in events:
        match event:
            case FileStart():
                data, executable = b"", event.executable
            case FileData():
                data += bytes(event.data)
            case FileEnd():
                stack[-1][at[-1]] = (data, True) if executable else data
            case Symlink():
                stack[-1][at[-1]] = event.target.decode()
            case DirectoryStart():
                fresh: dict[bytes, Tree] = {}
                stack[-1][at[-1]] = fresh
                stack.append(fresh)
                at.append(b"")
            case Entry():
                at[-1] = event.name
            case WholeFile():
                data = bytes(event.data)
                stack[-1][event.name] = (data, True) if event.executable else data
            case DirectoryEnd():
                stack.pop()
                at.pop()
    return stack[0][b""]


@given(trees)
def test_round_trip(tree: Tree) -> None:
    assert tree_of(read([nar(tree)])) == tree


@given(trees, st.integers(1, 400))
def test_whole_files_say_the_same(tree: Tree, size: int) -> None:
    data = nar(tree)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert tree_of(read(chunks, NarReader(whole_files=True))) == tree
    if isinstance(tree, dict) and any(not isinstance(item, dict | str) for item in tree.values()):
        assert any(isinstance(event, WholeFile) for event in read([data], NarReader(whole_files=True)))


@given(trees, st.data())
def test_whole_files_accept_nothing_more(tree: Tree, chosen: st.DataObject) -> None:
    data = bytearray(nar(tree))
    data[chosen.draw(st.integers(0, len(data) - 1))] ^= 1 << chosen.draw(st.integers(0, 7))
    answers = []
    for whole in (False, True):
        try:
            answers.append(tree_of(read([bytes(data)], NarReader(whole_files=whole))))
        except BadNarError:
            answers.append(None)
    assert answers[0] == answers[1]


@given(trees, st.integers(1, 50))
def test_chunks_do_not_matter_and_wanted_never_passes_the_end(tree: Tree, size: int) -> None:
    data = nar(tree) + b"next"
    reader = NarReader()
    events: list[Event] = []
    position = 0
    while not reader.done:
        assert reader.wanted >= 1
        step = min(size, reader.wanted)
        events.extend(map(kept, reader.feed(data[position : position + step])))
        position += step
    assert position == len(data) - 4
    assert reader.wanted == 0
    assert tree_of(events) == tree


@given(trees, st.data())
def test_truncation_and_changes_are_noticed(tree: Tree, data: st.DataObject) -> None:
    whole = nar(tree)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BadNarError):
        read([whole[:cut]])
    index = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[index] ^= 1 << data.draw(st.integers(0, 7))
    try:
        accepted = tree_of(read([bytes(changed)]))
    except BadNarError:
        return
    # Whatever is accepted is canonical: it dumps to what was read.
    assert nar(accepted) == bytes(changed)


def test_golden_tree_is_accepted_and_written_again() -> None:
    data = (GOLDEN / "nar/tree.nar").read_bytes()
    tree = tree_of(read([data]))
    assert nar(tree) == data


@pytest.mark.parametrize("label", sorted(load("nar/small.json")))
def test_golden_small_ones(label: str) -> None:
    row = load("nar/small.json")[label]
    data = bytes.fromhex(row["hex"])
    assert len(data) == row["size"]
    assert Hash.of("sha256", data).base16 == row["sha256_base16"]
    assert nar(tree_of(read([data]))) == data


def directory(*entries: tuple[bytes, bytes]) -> bytes:
    inner = b"".join(write.entry_head(name) + body + write.ENTRY_TAIL for name, body in entries)
    return write.MAGIC + write.DIRECTORY_HEAD + inner + write.DIRECTORY_TAIL


FILE = node(b"x")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (directory((b"b", FILE), (b"a", FILE)), "not sorted"),
        (directory((b"a", FILE), (b"a", FILE)), "not sorted"),
        (directory((b"a", write.symlink(b"/etc")), (b"a", node({b"passwd": b""}))), "not sorted"),
        (directory((b"..", FILE)), "invalid file name"),
        (directory((b".", FILE)), "invalid file name"),
        (directory((b"a/b", FILE)), "invalid file name"),
        (directory((b"/abs", FILE)), "invalid file name"),
        (directory((b"a\0b", FILE)), "invalid file name"),
        (directory((b"", FILE)), "file name of 0 bytes"),
        (directory((b"a" * 256, FILE)), "file name of 256 bytes"),
        (write.MAGIC + write.symlink(b""), "symlink target of 0"),
        (write.MAGIC + write.symlink(b"a" * 4096), "symlink target of 4096"),
        (write.MAGIC + write.symlink(b"/etc\0x"), "NUL"),
        (write.MAGIC + write.file_head(1, False) + b"x" + b"\1" + bytes(6) + write.CLOSE, "padding"),
        (write.MAGIC + write.file_head(2**64 - 8, False), "a file of"),
        (
            write.MAGIC + write.string(b"(") + write.string(b"type") + write.string(b"fifo"),
            "expected a regular",
        ),
        (b"garbage that is long enough", "doesn't look like a NAR"),
        (write.MAGIC + write.DIRECTORY_HEAD + write.string(b"name"), "expected an entry"),
        (
            write.MAGIC + write.FILE[:-16] + write.string(b"executable") + write.string(b"yes"),
            "expected a regular",
        ),
    ],
)
def test_hostile_archives_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadNarError, match=why):
        read([data])
    with pytest.raises(BadNarError, match=why):
        read(data[index : index + 1] for index in range(len(data)))


@pytest.mark.parametrize("length", [0, 2**31, 2**32, 2**63, 2**64 - 1, 2**64 - 8])
def test_absurd_lengths_allocate_nothing(length: int) -> None:
    number = length.to_bytes(8, "little")
    for head in (write.MAGIC + write.SYMLINK, write.MAGIC + write.DIRECTORY_HEAD + write.ENTRY):
        with pytest.raises(BadNarError):
            read([head + number + bytes(64)])
    with pytest.raises(BadNarError):
        read([number + bytes(64)])


def deep(levels: int) -> bytes:
    head = (write.DIRECTORY_HEAD + write.entry_head(b"d")) * levels
    return write.MAGIC + head + node(b"") + (write.ENTRY_TAIL + write.DIRECTORY_TAIL) * levels


def test_depth_is_bounded() -> None:
    assert read([deep(MAX_DEPTH)])
    with pytest.raises(BadNarError, match=f"depth of {MAX_DEPTH}"):
        read([deep(MAX_DEPTH + 1)])


def test_what_follows_is_left() -> None:
    reader = NarReader()
    read([nar(b"x") + b"rest", b" of it"], reader)
    assert reader.leftover == b"rest of it"


def test_contents_are_not_copied() -> None:
    data = nar(bytes(100_000))
    views = [event.data for event in NarReader().feed(data) if isinstance(event, FileData)]
    assert [len(view) for view in views] == [100_000]
    assert views[0].obj is data  # not a copy of it
