"""Which packages a view shows something of, in which versions, and what is remembered of that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fruix.hostview import (
    ViewDefinition,
    belonging,
    history_of,
    known_view,
    owners,
    resolve_view,
    view_history,
)
from fruix.hostview.parts import Part
from fruix.model.hostview import HostPackage
from fruix.model.viewdiff import in_words
from hostview.places import Place
from hostview.records import FOREIGN, HEADERS, MANAGERS, Recorder, dpkg, resolve, rpm

pytestmark = pytest.mark.usefixtures("headers", "nobody")


@pytest.mark.parametrize("record", MANAGERS)
def test_packages_and_their_versions_are_known(place: Place, record: Recorder) -> None:
    """Of tools, of links, of parts and of trees; a new version is told by name, whatever else it changed."""
    epoch = "1:" if record is rpm else ""
    top = place.top
    place.file("bin/cc-12")
    place.link("bin/cc", "cc-12")
    place.file("share/data/x", mode=0o644)
    record(place, "compiler", ["bin/cc-12", "bin/cc", "share/doc/compiler"], "12.2.0-14")
    record(place, "libc-dev", HEADERS, "2.36-9")
    record(place, "unrelated", [*FOREIGN, "share/data2"], "7-1")
    record(place, "data", ["share/data/x"], "3-1")
    part = Part((f"{top}/include/stdio.h",), (f"{top}/include",))
    definition = ViewDefinition(
        "v", ("cc",), trees=(f"{top}/share/data",), parts=(part,), path=(f"{top}/bin",)
    )
    before = resolve_view(definition, place.cache).view
    assert before.packages == {
        "compiler": HostPackage(f"{epoch}12.2.0-14", (f"{top}/bin/cc", f"{top}/bin/cc-12")),
        "data": HostPackage(f"{epoch}3-1", (f"{top}/share/data",)),
        "libc-dev": HostPackage(f"{epoch}2.36-9", (f"{top}/include",)),
    }
    assert known_view(before.fingerprint, place.cache) == before
    record(place, "unrelated", FOREIGN, "8-1")
    record(place, "data", ["share/data/x"], "3-2")
    same = resolve_view(definition, place.cache).view
    assert same.fingerprint == before.fingerprint
    assert same.packages["data"].version == f"{epoch}3-2"
    assert known_view(before.fingerprint, place.cache) == same
    place.file("bin/cc-12", "newer")
    record(place, "compiler", ["bin/cc-12", "bin/cc", "share/doc/compiler"], "12.2.0-15")
    after = resolve_view(definition, place.cache).view
    assert in_words(same, after) == (
        f"the host's compiler changed {epoch}12.2.0-14 → {epoch}12.2.0-15",
        [f"~compiler {epoch}12.2.0-14 → {epoch}12.2.0-15", f"~{top}/bin/cc-12"],
    )
    assert history_of("v", place.cache)[-1][0] == after.fingerprint
    assert [fingerprint for fingerprint, _ in history_of("v", place.cache)] == [
        before.fingerprint,
        after.fingerprint,
    ]


def test_a_former_name_of_a_directory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /bin is a link to /usr/bin, packages may still list /bin/tool.

    That link is theirs for it no more than anybody's.
    """
    top = place.top
    place.link("bin-of-old", "bin")
    place.file("bin/tool")
    monkeypatch.setattr(belonging, "_MERGED", (f"{top}/bin-of-old",))
    dpkg(place, "tools", ["bin-of-old/tool"])
    dpkg(place, "unrelated", ["bin-of-old/other"])
    view = resolve_view(ViewDefinition("v", ("tool",), path=(f"{top}/bin-of-old",)), place.cache).view
    assert f"{top}/bin-of-old" in view.tools
    assert view.packages == {"tools": HostPackage("1-1", (f"{top}/bin/tool",))}


def test_packages_of_another_architecture(place: Place) -> None:
    """Both are there under their names; the host's own has no ending."""
    dpkg(place, "libc-dev", HEADERS, "2-1")
    place.file("info/libc-dev:i386.list", f"{place.top}/include/stdio.h\n")
    status = place.top / "status"
    status.write_text(status.read_text() + "\n\nPackage: libc-dev\nArchitecture: i386\nVersion: 2-0")
    paths = (f"{place.top}/include",)
    assert resolve(place).view.packages == {
        "libc-dev": HostPackage("2-1", paths),
        "libc-dev:i386": HostPackage("2-0", paths),
    }


def test_histories_end_somewhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, but not what another view had too."""
    monkeypatch.setattr(view_history, "MOST", 2)
    definition = ViewDefinition("v", trees=(f"{place.top}/include",), path=(f"{place.top}/bin",))
    views = []
    for text in ("one", "two", "three", "four"):
        place.file("include/stdio.h", text, mode=0o644)
        views.append(resolve_view(definition, place.cache).view)
        if text == "one":
            resolve_view(replace(definition, name="other"), place.cache)
    assert [seen[0] for seen in history_of("v", place.cache)] == [view.fingerprint for view in views[2:]]
    known = [known_view(view.fingerprint, place.cache) is not None for view in views]
    assert known == [True, False, True, True]


def test_rpm_that_fails_owns_nothing(place: Place) -> None:
    owners.RECORDS = ((f"{place.top}", owners.RpmRecords),)
    assert owners.package_records().owner(f"{place.top}/include/stdio.h") is None
