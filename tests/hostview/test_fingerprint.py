"""What changes a view's fingerprint, and what is remembered of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fruix.hostview import ResolvedView, fingerprint, known_view
from fruix.hostview import resolve as resolve_module
from fruix.model.viewdiff import difference
from fruix.store.tree.delete import delete_tree
from hostview.places import Place


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("bin/tool", "changed {}/bin/tool"),
        ("tree/deep/inner", "changed {}/tree"),
        ("tree/new.h", "changed {}/tree"),
        ("lib/new.o", "new {}/lib/new.o"),
        ("bin/later", "new {}/bin/later"),
    ],
)
def test_every_change_gives_another_fingerprint_and_can_be_explained(
    place: Place, name: str, line: str
) -> None:
    place.file("bin/tool")
    place.file("tree/deep/inner")

    def resolve() -> ResolvedView:
        return place.resolve("tool", optional=("later",), trees=("tree",), files=("lib/*.o",))

    place.file("lib/x.o")
    before = resolve()
    assert resolve() == before
    place.file(name, "something else")
    after = resolve()
    assert after.view.fingerprint != before.view.fingerprint
    known = known_view(before.view.fingerprint, place.cache)
    assert known == before.view
    assert difference(known, after.view) == [line.format(place.top)]


def test_a_link_that_points_elsewhere_is_a_change(place: Place) -> None:
    place.file("bin/a")
    place.file("bin/b")
    place.link("bin/cc", "a")
    before = place.resolve("cc")
    os.unlink(place.top / "bin/cc")
    place.link("bin/cc", "b")
    after = place.resolve("cc")
    assert f"changed {place.top}/bin/cc" in difference(before.view, after.view)


def test_losing_the_executable_bit_is_a_change(place: Place) -> None:
    place.file("bin/tool", "x", 0o755)
    before = place.resolve("tool")
    (place.top / "bin/tool").chmod(0o644)
    assert place.resolve("tool").view.fingerprint != before.view.fingerprint


def test_same_size_and_modification_time_is_still_a_change(place: Place) -> None:
    path = place.file("bin/tool", "aaaa")
    before = place.resolve("tool")
    status = os.stat(path)
    place.file("bin/tool", "bbbb")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.resolve("tool").view.fingerprint != before.view.fingerprint


def test_times_alone_are_no_change(place: Place) -> None:
    path = place.file("bin/tool")
    before = place.resolve("tool")
    os.utime(path, ns=(1, 1))
    assert place.resolve("tool").view == before.view


def test_the_second_time_no_file_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file("bin/tool")
    place.file("tree/header.h")
    first = place.resolve("tool", trees=("tree",))

    def fail(*_: object) -> None:
        raise AssertionError("looked into a file")

    monkeypatch.setattr(fingerprint, "_hash_file", fail)
    monkeypatch.setattr(resolve_module, "_gather", fail)
    assert place.resolve("tool", trees=("tree",)) == first


def test_after_one_change_only_that_file_is_hashed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.file("bin/tool")
    place.file("tree/header.h")
    place.resolve("tool", trees=("tree",))
    place.file("tree/header.h", "changed")
    hashed = []
    original = fingerprint._hash_file

    def record(path: str, expected: bytes) -> str:
        hashed.append(path)
        return original(path, expected)

    monkeypatch.setattr(fingerprint, "_hash_file", record)
    place.resolve("tool", trees=("tree",))
    assert hashed == [f"{place.top}/tree/header.h"]


def test_another_definition_of_the_same_name_is_resolved_anew(place: Place) -> None:
    place.file("bin/a")
    place.file("bin/b")
    place.resolve("a")
    assert place.own(place.resolve("b"))[0] == {"bin/b"}


def test_what_is_too_young_is_not_remembered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may change twice in one tick of the clock, and its status would look the same."""
    monkeypatch.setattr(fingerprint, "SETTLED_NS", 1 << 60)
    monkeypatch.setattr(resolve_module, "SETTLED_NS", 1 << 60)
    place.file("bin/tool")
    place.resolve("tool")
    assert not os.path.exists(f"{place.cache}/v.state")
    assert not os.path.exists(f"{place.cache}/v.hashes")


@pytest.mark.parametrize("garbage", ["", "{", "[]", "null", '{"format":1', "\0" * 40])
def test_a_broken_cache_is_no_cache(place: Place, garbage: str) -> None:
    place.file("bin/tool")
    first = place.resolve("tool")
    for name in os.listdir(place.cache):
        Path(place.cache, name).write_text(garbage)
    assert known_view(first.view.fingerprint, place.cache) is None
    assert place.resolve("tool") == first
    assert known_view(first.view.fingerprint, place.cache) == first.view


def test_the_cache_is_the_owners_alone_and_left_tidy(place: Place) -> None:
    place.file("bin/tool")
    view = place.resolve("tool").view
    assert os.stat(place.cache).st_mode & 0o777 == 0o700
    assert sorted(os.listdir(place.cache)) == sorted(
        ["v.state", "v.hashes", "v.history", f"{view.fingerprint}.json"]
    )


@pytest.mark.parametrize("text", ["", "../v", "v.state", "0" * 64, "A" * 64, "0" * 63 + "\n"])
def test_unknown_fingerprints(place: Place, text: str) -> None:
    place.file("bin/tool")
    place.resolve("tool")
    assert known_view(text, place.cache) is None


def test_a_manifest_under_a_wrong_name_is_not_believed(place: Place) -> None:
    place.file("bin/tool")
    view = place.resolve("tool").view
    Path(place.cache, "0" * 64 + ".json").write_text(
        json.dumps({"name": "v", "fingerprint": view.fingerprint})
    )
    assert known_view("0" * 64, place.cache) is None


def test_the_fingerprint_does_not_depend_on_the_order_or_the_views_name(place: Place) -> None:
    place.file("bin/a")
    place.file("bin/b")
    one = place.resolve("a", "b", name="one").view
    other = place.resolve("b", "a", name="other").view
    assert one.fingerprint == other.fingerprint


def test_names_that_are_not_utf8(place: Place) -> None:
    place.file(os.fsdecode(b"tree/\xff\xfe"), text="x")
    first = place.resolve(trees=("tree",))
    assert place.resolve(trees=("tree",)) == first


def test_deep_trees_do_not_recurse(place: Place) -> None:
    path = str(place.top / "tree")
    for _ in range(1500):
        os.mkdir(path)
        path += "/d"
    try:
        assert place.own(place.resolve(trees=("tree",)))[0] == {"tree"}
    finally:
        parent = os.open(place.top, os.O_RDONLY | os.O_DIRECTORY)
        delete_tree(parent, b"tree")  # pytest's own clean-up would recurse
        os.close(parent)
