"""Each check finds what is wrong, says nothing of what is right, and the catalogue is clean."""

from __future__ import annotations

from typing import Any

import pytest

from fruix.packages.catalogue import shipped, shipped_names
from fruix.packages.lint_definition import lint
from fruix.packages.package import Origin, Package

SHA = "0d5f60154382fee10b114a1c34e785d8b1f492073ae2d3a6f7b147687b366aa0"
INPUT = Package(name="low", version="1", build_system="trivial", arguments={"script": "true"})


def good(**changes: Any) -> Package:
    fields: dict[str, Any] = {
        "name": "good",
        "version": "1.2",
        "source": Origin(("https://a.example/good-1.2.tar.gz",), SHA),
        "synopsis": "Example of a package",
        "description": "It does good.",
        "license": "MIT",
        "home_page": "https://a.example/",
    }
    return Package(**{**fields, **changes})


def test_nothing_is_wrong_with_a_good_one() -> None:
    assert lint(good()) == []


@pytest.mark.parametrize(
    ("changes", "check", "level", "why"),
    [
        ({"synopsis": ""}, "synopsis", "warning", "none"),
        ({"synopsis": "X" * 90}, "synopsis", "warning", "90 characters"),
        ({"synopsis": "An example"}, "synopsis", "warning", "article"),
        ({"synopsis": "Good thing"}, "synopsis", "warning", "name"),
        ({"synopsis": "Example."}, "synopsis", "warning", "full stop"),
        ({"synopsis": "example"}, "synopsis", "warning", "small letter"),
        ({"description": ""}, "description", "warning", "none"),
        ({"description": "no end"}, "description", "warning", "sentence"),
        ({"description": "Example of a package."}, "description", "warning", "no more"),
        ({"license": ""}, "license", "warning", "none"),
        ({"license": "GPL-3.0"}, "license", "warning", "vague"),
        ({"license": "MIT AND"}, "license", "error", "SPDX"),
        ({"license": "(MIT OR Zlib"}, "license", "error", "SPDX"),
        ({"license": "MIT Zlib"}, "license", "error", "SPDX"),
        ({"license": "MIT, Zlib"}, "license", "error", "SPDX"),
        ({"home_page": ""}, "home-page", "warning", "none"),
        ({"home_page": "good.example"}, "home-page", "error", "no URL"),
        (
            {"source": Origin(("ftp://a.example/good-1.2.tgz",), SHA)},
            "source-url",
            "error",
            "can't be fetched",
        ),
        (
            {"source": Origin(("https://a.example/archive/1.2.tgz",), SHA)},
            "source-url",
            "warning",
            "on demand",
        ),
        (
            {"source": Origin(("https://a.example/good-1.1.tgz",), SHA)},
            "source-url",
            "warning",
            "no URL has the version",
        ),
        (
            {"source": Origin(("https://a.example/1.2", "https://a.example/1.2"), SHA)},
            "source-url",
            "warning",
            "twice",
        ),
        (
            {"source": Origin(("https://a.example/good-1.2.tgz",), "0" * 64)},
            "source-hash",
            "error",
            "made up",
        ),
        (
            {"inputs": (INPUT,), "native_inputs": (INPUT,)},
            "inputs",
            "warning",
            "low is in inputs and in native_inputs",
        ),
        ({"arguments": {"tests": False}}, "tests", "warning", "without a reason"),
        ({"untested": {"one": "needs a network"}}, "tests", "note", "not tested: one: needs a network"),
        (
            {"arguments": {"phases": lambda p: p.remove("validate-runpath")}},
            "run-path",
            "warning",
            "taken out",
        ),
        (
            {"arguments": {"phases": lambda p: p.remove("install")}},
            "phases",
            "warning",
            "nothing is installed",
        ),
        ({"unreproducible": "writes down the time"}, "reproducible", "note", "writes down the time"),
    ],
)
def test_what_is_found(changes: dict[str, Any], check: str, level: str, why: str) -> None:
    found = lint(good(**changes))
    assert [(finding.check, finding.level) for finding in found] == [(check, level)], found
    assert why in found[0].message


@pytest.mark.parametrize(
    "text", ["MIT", "(MIT OR Zlib) AND BSD-3-Clause", "GPL-2.0-or-later WITH GCC-exception-3.1"]
)
def test_licences_that_are_right(text: str) -> None:
    assert lint(good(license=text)) == []


def test_the_catalogue_has_no_errors_and_no_warnings() -> None:
    wrong = [
        f"{package.name}: {finding.message}"
        for package in map(shipped, sorted(shipped_names()))
        for finding in lint(package)
        if finding.level != "note"
    ]
    assert wrong == []
