"""What is built anew when pieces of a root change."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fruix.cli.debian.changes import Change
from fruix.cli.debian.rebuilds import rebuilt
from fruix.packages.package import Package

SCRIPT = {"script": "true"}


def package(name: str, **fields: object) -> Package:
    return Package(name=name, version="1", build_system="trivial", arguments=SCRIPT, **fields)  # type: ignore[arg-type]


PLAIN = package("plain", root="debian-12")
PERL = package("perl-user", root="debian-12+c+++perl")
PACKAGES = (
    PLAIN,
    PERL,
    package("host", host_view="base"),
    package("needs-perl-user", host_view="base", native_inputs=[PERL]),
    package("needs-both", host_view="base", inputs=[PERL, PLAIN]),
)
ANEW: Mapping[tuple[str, ...], list[str]] = {
    ("base",): ["plain", "perl-user", "needs-perl-user", "needs-both"],
    ("base", "runtime"): ["plain", "perl-user", "needs-perl-user", "needs-both"],
    ("+perl",): ["perl-user", "needs-perl-user", "needs-both"],
    ("+c++", "+cmake"): ["perl-user", "needs-perl-user", "needs-both"],
    ("+cmake",): [],
}


@pytest.mark.parametrize("groups", ANEW, ids=" ".join)
def test_packages_whose_root_changes(groups: tuple[str, ...]) -> None:
    change = Change("x86_64-linux", "piece", "1", "2", groups)
    assert rebuilt("debian-12", [change], PACKAGES) == {"x86_64-linux": ANEW[groups]}


def test_another_root() -> None:
    change = Change("x86_64-linux", "piece", "1", "2", ("base",))
    assert rebuilt("debian-13", [change], PACKAGES) == {"x86_64-linux": []}


def test_each_system_by_itself() -> None:
    changes = [
        Change("x86_64-linux", "piece", "1", "2", ("+perl",)),
        Change("x86_64-linux", "other", "1", "2", ("+cmake",)),
        Change("aarch64-linux", "piece", "1", "2", ("+cmake",)),
    ]
    assert {name: len(names) for name, names in rebuilt("debian-12", changes, PACKAGES).items()} == {
        "x86_64-linux": 3,
        "aarch64-linux": 0,
    }
    assert rebuilt("debian-12", [], PACKAGES) == {}
