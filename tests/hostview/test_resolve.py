"""Resolving, fingerprints and the cache, on small made-up hosts.

Paths are real ones below a temporary directory.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from fruix.errors import HostViewError
from fruix.hostview import resolve_view, touched
from fruix.sandbox.linux import userns
from fruix.sandbox.spec import Bind, Link
from hostview.places import Place


def test_a_chain_of_links_is_kept_link_by_link(place: Place) -> None:
    place.file("opt/gcc-12")
    place.link("bin/cc", "../alternatives/cc")
    place.link("alternatives/cc", f"{place.top}/bin/gcc")
    place.link("bin/gcc", "../opt/gcc-12")
    binds, links = place.own(place.resolve("cc"))
    assert binds == {"opt/gcc-12"}
    assert links == {
        "bin/cc": "../alternatives/cc",
        "alternatives/cc": f"{place.top}/bin/gcc",
        "bin/gcc": "../opt/gcc-12",
    }


def test_a_directory_that_is_a_link_stays_one(place: Place) -> None:
    place.file("usr/bin/sh")
    shutil.rmtree(place.top / "bin")
    place.link("bin", "usr/bin")
    resolved = place.resolve("sh")
    assert Bind(f"{place.top}/usr/bin/sh", f"{place.top}/usr/bin/sh") in resolved.binds
    assert Link(f"{place.top}/bin", "usr/bin") in resolved.links
    assert place.own(resolved) == ({"usr/bin/sh"}, {"bin": "usr/bin"})


def test_both_names_of_a_tool_in_two_directories(place: Place) -> None:
    place.file("bin/sh")
    place.link("usr/bin/sh", "../../bin/sh")
    binds, links = place.own(place.resolve("sh", path=("usr/bin", "bin")))
    assert (binds, links) == ({"bin/sh"}, {"usr/bin/sh": "../../bin/sh"})


def test_interpreters_of_scripts_come_along(place: Place) -> None:
    shell = place.file("lib/shell-1")
    place.link("libexec/sh", "../lib/shell-1")
    place.file("bin/egrep", f"#! {place.top}/libexec/sh -e\necho\n")
    binds, links = place.own(place.resolve("egrep"))
    assert binds == {"bin/egrep", "lib/shell-1"}
    assert links == {"libexec/sh": "../lib/shell-1"}
    os.unlink(shell)
    with pytest.raises(HostViewError, match=r"the tool 'egrep' needs the interpreter .*/libexec/sh"):
        place.resolve("egrep")


def test_a_missing_tool_is_named_with_where_it_was_looked_for(place: Place) -> None:
    place.link("bin/cc", "nowhere")
    with pytest.raises(HostViewError) as caught:
        place.resolve("cc")
    assert "needs the tool 'cc'" in caught.value.message
    assert f"{place.top}/bin" in caught.value.message
    assert caught.value.hint


def test_links_in_a_circle_lead_nowhere(place: Place) -> None:
    place.link("bin/a", "b")
    place.link("bin/b", "a")
    with pytest.raises(HostViewError, match="'a'"):
        place.resolve("a")


def test_optional_things_may_be_missing(place: Place) -> None:
    place.file("bin/a")
    place.file("bin/b")
    binds, _ = place.own(place.resolve("a", optional=("b", "c"), optional_trees=("no",), files=("no/*.o",)))
    assert binds == {"bin/a", "bin/b"}


def test_a_required_tree_may_not(place: Place) -> None:
    with pytest.raises(HostViewError, match=r"needs the directory .*/include"):
        place.resolve(trees=("include",))


def test_patterns(place: Place) -> None:
    for name in ("lib/x/crt1.o", "lib/x/crti.o", "lib/x/other.o", "lib/y/crt1.o"):
        place.file(name, mode=0o644)
    place.link("lib/x/crtz.o", "crt1.o")
    binds, links = place.own(place.resolve(files=("lib/x*/crt*.o",)))
    assert (binds, links) == ({"lib/x/crt1.o", "lib/x/crti.o"}, {"lib/x/crtz.o": "crt1.o"})


def test_trees_by_pattern(place: Place) -> None:
    for name in ("lib/python3.1/os.py", "lib/python3.2/os.py", "lib/python3/others.py", "lib/python3.3"):
        place.file(name)
    found = place.own(place.resolve(trees=("lib/python3.*",)))[0]
    assert found == {"lib/python3.1", "lib/python3.2"}  # a file of that name is no tree
    with pytest.raises(HostViewError, match=r"needs the directory .*/lib/perl\*") as caught:
        place.resolve(trees=("lib/perl*",))
    assert "install" in caught.value.hint


@pytest.mark.parametrize("hide", [True, False])
def test_pythons_caches_are_hidden_or_part_of_the_fingerprint(place: Place, hide: bool) -> None:
    definition = place.definition(trees=("lib",))
    place.file("lib/python3.1/os.py", mode=0o644)
    cache = place.file("lib/python3.1/__pycache__/os.cpython-31.pyc", "one", mode=0o644)
    before = resolve_view(definition, place.cache, hide=hide)
    place.file("lib/python3.1/__pycache__/os.cpython-31.pyc", "two", mode=0o644)
    place.file("lib/python3.1/__pycache__/new.cpython-31.pyc", mode=0o644)
    after = resolve_view(definition, place.cache, hide=hide)
    assert (after.view.fingerprint == before.view.fingerprint) is hide
    assert after.hidden == ((os.path.dirname(cache),) if hide else ())
    # Asked from the cache, and the other way round.
    assert resolve_view(definition, place.cache, hide=hide) == after
    assert resolve_view(definition, place.cache, hide=not hide).hidden != after.hidden
    place.file("lib/python3.1/other.py", mode=0o644)
    assert resolve_view(definition, place.cache, hide=hide).view.fingerprint != after.view.fingerprint


def test_only_directories_of_that_name_are_caches(place: Place) -> None:
    path = place.file("lib/__pycache__", "one")
    before = resolve_view(place.definition(trees=("lib",)), place.cache, hide=True)
    assert before.hidden == ()
    Path(path).write_text("two")
    after = resolve_view(place.definition(trees=("lib",)), place.cache, hide=True)
    assert after.view.fingerprint != before.view.fingerprint


@pytest.mark.parametrize("kind", ["named pipe", "socket"])
def test_ways_to_others_in_a_tree_are_refused(place: Place, kind: str) -> None:
    path = os.path.dirname(place.file("tree/sub/header.h", mode=0o644)) + "/way"
    with socket.socket(socket.AF_UNIX) as server:
        if kind == "socket":
            server.bind(path)
        else:
            os.mkfifo(path)
        with pytest.raises(HostViewError, match=f"can't show a {kind}") as caught:
            place.resolve(trees=("tree",))
    assert caught.value.where == path
    os.unlink(path)
    place.resolve(trees=("tree",))


@pytest.mark.skipif(userns.confined(), reason="machine: an ordinary user can't make devices")
def test_devices_in_a_tree_are_refused(place: Place) -> None:
    path = os.path.dirname(place.file("tree/header.h", mode=0o644)) + "/null"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("machine: this root may make no devices")
    with pytest.raises(HostViewError, match="can't show a device"):
        place.resolve(trees=("tree",))


@pytest.mark.parametrize(
    ("touch", "where"),
    [
        (lambda place: place.file("bin/tool", "other"), "bin/tool"),
        (lambda place: os.utime(place.top / "tree/header.h", ns=(1, 1)), "tree/header.h"),
        (lambda place: (place.top / "tree/sub/more.h").unlink(), "tree/sub"),
        (lambda place: place.file("tree/sub/new.h"), "tree/sub"),
        (lambda place: os.rename(place.file("new"), place.top / "bin/tool"), "bin/tool"),
        (lambda place: place.file("bin/unasked"), None),
        (lambda place: place.file("lib/unasked"), None),
    ],
)
def test_what_is_touched_after_it_was_shown(place: Place, touch: Any, where: str | None) -> None:
    place.file("bin/tool")
    place.file("tree/header.h", mode=0o644)
    place.file("tree/sub/more.h", mode=0o644)
    place.file("lib/lib.so", mode=0o644)
    asked: Any = {"trees": ("tree",), "files": ("lib/*.so",)}
    shown = [place.resolve("tool", **asked), place.resolve("tool", **asked)]  # and from the cache
    assert [touched(resolved) for resolved in shown] == [None, None]
    touch(place)
    for resolved in shown:
        found = touched(resolved)
        assert found == (where and f"{place.top}/{where}") or (found or "").startswith(
            f"{place.top}/{where}/"
        )


def test_a_tree_is_one_bind_and_its_links_may_lead_out(place: Place) -> None:
    place.file("tree/deep/inner", mode=0o644)
    place.link("tree/in", "deep/inner")
    place.link("tree/out.so", "../lib/out.so.1")
    place.link("lib/out.so.1", "out.so.1.0")
    place.file("lib/out.so.1.0", mode=0o644)
    place.link("tree/dangling", "../nowhere")
    place.link("bin/tool", "../tree/deep/inner")
    binds, links = place.own(place.resolve("tool", trees=("tree",)))
    assert binds == {"tree", "lib/out.so.1.0"}
    assert links == {"lib/out.so.1": "out.so.1.0", "bin/tool": "../tree/deep/inner"}


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a")])
def test_a_tree_in_a_tree_is_shown_once(place: Place, order: tuple[str, ...]) -> None:
    place.file("a/b/c")
    assert place.own(place.resolve(trees=order))[0] == {"a"}


def test_scripts_in_a_tree_bring_their_interpreters_but_need_not(place: Place) -> None:
    place.file("bin/inter")
    place.file("tree/script", f"#!{place.top}/bin/inter\n")
    place.file("tree/broken", "#!/no/such/interpreter\n")
    assert place.own(place.resolve(trees=("tree",)))[0] == {"tree", "bin/inter"}
