"""What is said of the host's tools before what they make necessary is built."""

from __future__ import annotations

from dataclasses import replace

from cli.requests import drv
from fruix.cli.output.host_changes import HostChanged, host_changed
from fruix.model.derivation import Derivation
from fruix.model.hostview import VIEW_HASH_VARIABLE, VIEW_VARIABLE, HostPackage, HostView
from fruix.model.planned import PlannedBuild
from fruix.model.storepath import StorePath
from fruix.model.viewdiff import HostChange

OLD, NEW, OTHER = "0" * 64, "1" * 64, "2" * 64


class Reader:
    """Derivations named `NAME-DIGIT` (the fingerprint's first), and the views that are given."""

    def __init__(self, *views: HostView) -> None:
        self._views = {view.fingerprint: view for view in views}

    def derivation(self, path: StorePath) -> Derivation:
        digit, view = path.short_name[-2], path.short_name[-1]
        env = {VIEW_VARIABLE: {"b": "base", "o": "other"}[view], VIEW_HASH_VARIABLE: digit * 64}
        return Derivation(path.name, {}, {}, (), "x86_64-linux", "/bin/sh", (), env)

    def view(self, fingerprint: str) -> HostView | None:
        return self._views.get(fingerprint)

    def text(self, path: StorePath) -> str | None:
        raise AssertionError(path)


def view(fingerprint: str, version: str) -> HostView:
    package = {"gcc-12": HostPackage(version, ("/usr/bin/gcc-12",))}
    return HostView("base", fingerprint, {"/usr/bin/gcc-12": fingerprint}, packages=package)


def row(old: str | None, new: str, kind: str = "build") -> PlannedBuild:
    return PlannedBuild(drv(new), kind, last=None if old is None else drv(old))


BOTH = Reader(view(OLD, "12.2.0-14"), view(NEW, "12.2.0-15"))


def test_the_packages_and_their_versions() -> None:
    rows = [row("hello-0b", "hello-1b"), row("less-0b", "less-1b"), row("same-1b", "same-1b")]
    found = host_changed(rows, BOTH)
    assert found == HostChanged(
        (drv("hello-1b"), drv("less-1b")), (HostChange("gcc-12", "12.2.0-14", "12.2.0-15", program=True),)
    )
    assert found.text() == (
        "rebuilt because the host's gcc-12 changed 12.2.0-14 → 12.2.0-15: hello-1b, less-1b"
    )
    assert found.to_json() == {
        "builds": [str(drv("hello-1b")), str(drv("less-1b"))],
        "changes": [{"name": "gcc-12", "old": "12.2.0-14", "new": "12.2.0-15"}],
    }


def test_nothing_of_the_host_changed() -> None:
    rows = [row("a-1b", "b-1b"), row(None, "new-1b"), row("c-0b", "c-1b", "download"), row("d-0o", "d-1b")]
    assert host_changed(rows, BOTH) is None


def test_it_is_not_known_what_the_tools_were() -> None:
    found = host_changed([row("a-0b", "a-1b")], Reader())
    assert found is not None
    assert found.text() == "rebuilt because the host's tools changed: a-1b"


def test_names_are_harmless() -> None:
    found = host_changed([row("a-0b", "a-1b")], BOTH)
    assert found is not None
    evil = replace(found, found=(HostChange("x\x1b[2J", "1", "2"),))
    assert "the host's x\\x1b[2J changed" in evil.text()
