"""Attributes as values: read from variables and from JSON, with what is wrong said by name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import BadDerivationError
from fruix.model import aterm, attributes
from fruix.model.attributes import Attributes, OutputRules, read, variable
from fruix.model.derivation import Derivation, DerivationOutput
from golden_data import GOLDEN


def drv(env: dict[str, str] | None = None, **structured: Any) -> Derivation:
    variables = {**(env or {}), **({"__json": json.dumps(structured)} if structured else {})}
    outputs = dict.fromkeys(("out", "dev"), DerivationOutput(None))
    return Derivation("x", outputs, {}, (), "x86_64-linux", "/sh", (), variables)


def test_nothing_declared() -> None:
    assert read(drv()) == Attributes()
    assert read(drv(), guix=True) == Attributes()


def test_variables() -> None:
    found = read(
        drv(
            {
                "preferLocalBuild": "1",
                "allowSubstitutes": "",
                "requiredSystemFeatures": " kvm\tbig-parallel\n",
                "impureEnvVars": "http_proxy COLUMNS",
                "passAsFile": "big",
                "exportReferencesGraph": "graph /frx/store/a other\n/frx/store/b",
                "allowedReferences": "",
                "disallowedRequisites": "out /frx/store/c",
            }
        )
    )
    assert found.prefer_local
    assert not found.allow_substitutes
    assert found.required_features == ("kvm", "big-parallel")
    assert found.impure_variables == ("http_proxy", "COLUMNS")
    assert found.files == ("big",)
    assert found.graphs == {"graph": ("/frx/store/a",), "other": ("/frx/store/b",)}
    rules = OutputRules((), None, (), ("out", "/frx/store/c"), ignore_self=True)
    assert found.rules == {"out": rules, "dev": rules}


def test_guix_knows_fewer() -> None:
    env = {
        "requiredSystemFeatures": "kvm",
        "passAsFile": "big",
        "__noChroot": "1",
        "__json": "{",
        "preferLocalBuild": "1",
    }
    assert read(drv(env), guix=True) == Attributes(prefer_local=True)


def test_golden_guix_derivation() -> None:
    (file,) = (GOLDEN / "drvs" / "guix").glob("*-attrs.drv")
    found = read(aterm.parse(file.read_bytes(), "attrs"), guix=True)
    assert (found.prefer_local, found.allow_substitutes) == (True, False)
    assert list(found.graphs) == ["graph"]
    assert found.rules["out"].allowed_references is not None
    assert found.rules["out"].allowed_references[-1] == "out"


def test_structured() -> None:
    found = read(
        drv(
            preferLocalBuild=True,
            allowSubstitutes=False,
            requiredSystemFeatures=["kvm"],
            exportReferencesGraph={"one": "/frx/store/a", "many": ["/frx/store/b", ["/frx/store/c"]]},
            outputChecks={
                "out": {
                    "maxSize": 5,
                    "maxClosureSize": 6,
                    "allowedRequisites": ["out"],
                    "ignoreSelfRefs": True,
                },
                "nowhere": {"maxSize": 1},
            },
            unsafeDiscardReferences={"out": True, "dev": False},
            allowedReferences=["means nothing here"],
        )
    )
    assert found.structured is not None
    assert found.prefer_local
    assert not found.allow_substitutes
    assert found.graphs == {"one": ("/frx/store/a",), "many": ("/frx/store/b", "/frx/store/c")}
    rules = OutputRules(allowed_requisites=("out",), max_size=5, max_closure_size=6, ignore_self=True)
    assert found.rules == {"out": rules}
    assert found.discard_references == {"out"}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"preferLocalBuild": "1"}, "'preferLocalBuild' must be true or false, but it is a string"),
        ({"outputChecks": []}, "'outputChecks' must be an object, but it is an array"),
        ({"outputChecks": {"out": 1}}, "'outputChecks.out' must be an object, but it is a number"),
        ({"outputChecks": {"out": {"maxSize": -1}}}, "'outputChecks.out.maxSize' must be a number of bytes"),
        ({"outputChecks": {"out": {"maxSize": True}}}, "but it is a boolean"),
        (
            {"outputChecks": {"out": {"allowedReferences": "x"}}},
            "must be a list of strings, but it is a string",
        ),
        ({"outputChecks": {"out": {"allowedReferences": [1]}}}, "but it is an array with other things"),
        (
            {"exportReferencesGraph": {"g": [1]}},
            "'exportReferencesGraph.g' must be a path or a list of paths",
        ),
        ({"unsafeDiscardReferences": {"out": "yes"}}, "'unsafeDiscardReferences.out' must be true or false"),
    ],
)
def test_wrong_kinds(values: dict[str, Any], why: str) -> None:
    with pytest.raises(BadDerivationError, match=why):
        read(drv(**values))


def test_odd_pairs() -> None:
    with pytest.raises(BadDerivationError, match="odd number of tokens in 'exportReferencesGraph': 'graph'"):
        read(drv({"exportReferencesGraph": "graph"}))


def test_a_text_attribute_wherever_it_is() -> None:
    one, two = drv({"fruixHostView": "base"}), drv(fruixHostView="base")
    assert variable(one, read(one), "fruixHostView") == variable(two, read(two), "fruixHostView") == "base"
    assert variable(one, read(one), "nothing") == ""


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    *attributes.NAMES,
    "outputChecks",
    "unsafeDiscardReferences",
    "__noChroot",
    "__impureHostDeps",
    "__json",
)


@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
def test_any_object_is_read_or_refused(found: dict[str, Any]) -> None:
    with suppress(BadDerivationError):
        result = read(drv(**{**found, "x": 1}))
        assert result.structured is not None


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30), max_size=6), st.booleans())
def test_any_variables_are_read_or_refused(env: dict[str, str], guix: bool) -> None:
    with suppress(BadDerivationError):
        result = read(drv(env), guix=guix)
        assert all(result.graphs.values())
