"""What a list of packages needs: dependencies, alternatives, virtual packages, versions, conflicts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from debian_archive import paragraph
from fruix.cli.debian.closure import close
from fruix.cli.debian.index import Index
from fruix.errors import FormatError, UsageError


def names(*paragraphs: str, wanted: str = "top", without: tuple[str, ...] = ()) -> list[str]:
    """Name and version of each package of the closure."""
    found = close(Index("\n".join(paragraphs)), wanted.split(), without=without)
    return [f"{binary.name} {binary.version}" for binary in found]


# What `top` says → what is chosen beside it, of the packages below.
PACKAGES = (
    paragraph("one"),
    paragraph("two", depends="three"),
    paragraph("three", depends="two"),
    paragraph("old", "1:1.0~rc1-2"),
    paragraph("agent-b", provides="agent, versioned (= 3)", priority="optional"),
    paragraph("agent-a", provides="agent", priority="optional"),
    paragraph("agent-c", provides="virtual-c (= 2), folded,\n again", priority="important"),
    paragraph("agent-d", provides="virtual-c (= 1)", priority="required"),
)
CHOSEN: Mapping[str, tuple[dict[str, str], list[str]]] = {
    "depends": ({"depends": "one"}, ["one 1"]),
    "pre-depends": ({"pre_depends": "one"}, ["one 1"]),
    "recommends": ({"recommends": "one", "suggests": "two", "enhances": "three"}, []),
    "a circle": ({"depends": "two"}, ["three 1", "two 1"]),
    "first alternative": ({"depends": "one | two"}, ["one 1"]),
    "an alternative that is there": ({"depends": "one | two", "pre_depends": "two"}, ["three 1", "two 1"]),
    "an alternative that nobody has": ({"depends": "none | one"}, ["one 1"]),
    "an alternative whose version fits": ({"depends": "one (>> 1) | two"}, ["three 1", "two 1"]),
    "epoch and tilde": ({"depends": "old (>= 1:1.0~beta), old (<< 1:1.0)"}, ["old 1:1.0~rc1-2"]),
    "any architecture": ({"depends": "one:any"}, ["one 1"]),
    "virtual, by name": ({"depends": "agent"}, ["agent-a 1"]),
    "virtual, the one that is there": ({"depends": "agent, agent-b"}, ["agent-b 1"]),
    "virtual, by priority": ({"depends": "virtual-c"}, ["agent-d 1"]),
    "virtual, with a version": ({"depends": "virtual-c (>= 2)"}, ["agent-c 1"]),
    "virtual, folded field": ({"depends": "again"}, ["agent-c 1"]),
    "obsolete operator": ({"depends": "one (< 1)"}, ["one 1"]),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_what_is_chosen(case: str) -> None:
    fields, expected = CHOSEN[case]
    found = names(paragraph("top", **fields), *PACKAGES)
    if case == "virtual, the one that is there":
        # Asked for before it is there; the order of the list decides.
        assert found == ["agent-a 1", "agent-b 1", "top 1"]
        found = names(paragraph("top", **fields), *PACKAGES, wanted="agent-b top")
    assert found == sorted([*expected, "top 1"])


def test_the_newest_version_that_fits_is_taken() -> None:
    versions = [paragraph("one", version) for version in ("9", "10", "1:2")]
    assert names(*versions, wanted="one") == ["one 1:2"]
    assert names(paragraph("top", depends="one (<< 1:0)"), *versions) == ["one 10", "top 1"]


REFUSED: Mapping[str, tuple[dict[str, str], str]] = {
    "nobody has it": ({"depends": "none | nothing (>= 2)"}, "none | nothing (>= 2)"),
    "too old": ({"depends": "one (>= 2)"}, "one (>= 2)"),
    "provided without a version": ({"depends": "agent (>= 1)"}, "agent (>= 1)"),
    "provided with an older version": ({"depends": "versioned (>= 4)"}, "versioned (>= 4)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nothing_satisfies(case: str) -> None:
    fields, words = REFUSED[case]
    with pytest.raises(UsageError) as caught:
        names(paragraph("top", **fields), *PACKAGES)
    assert words in caught.value.message
    assert caught.value.where == "package top 1"


def test_a_package_that_is_wanted_and_not_there() -> None:
    with pytest.raises(UsageError, match="satisfies 'nothing'"):
        names(*PACKAGES, wanted="nothing")


EXCLUDING: Mapping[str, dict[str, str]] = {
    "conflicts": {"conflicts": "one"},
    "breaks": {"breaks": "one (<< 2)"},
    "what is provided": {"conflicts": "agent"},
}


@pytest.mark.parametrize("case", EXCLUDING)
def test_packages_that_exclude_each_other_are_both_named(case: str) -> None:
    other = "agent-a" if case == "what is provided" else "one"
    with pytest.raises(UsageError, match=f"top 1 excludes {other} 1"):
        names(paragraph("top", depends=other, **EXCLUDING[case]), *PACKAGES)


def test_a_package_may_exclude_others_like_itself() -> None:
    top = paragraph("top", provides="agent", conflicts="agent", breaks="one (<< 1)", depends="one")
    assert names(top, *PACKAGES) == ["one 1", "top 1"]


def test_what_is_left_out() -> None:
    top = paragraph("top", depends="two, configuration | one")
    assert names(top, *PACKAGES, without=("two", "configuration")) == ["top 1"]


def test_a_variant_has_what_the_base_has_not() -> None:
    index = Index(
        "\n".join((paragraph("top", depends="two"), paragraph("more", depends="top, one"), *PACKAGES))
    )
    base = close(index, ["top"])
    assert [binary.name for binary in close(index, ["more"], base)] == ["more", "one"]


@pytest.mark.parametrize("field", ["Version", "Filename", "SHA256", "Size"])
def test_a_package_without_a_field(field: str) -> None:
    text = "".join(line for line in paragraph("top").splitlines(True) if not line.startswith(f"{field}:"))
    with pytest.raises(FormatError) as caught:
        names(text)
    assert (field in caught.value.message, caught.value.where) == (True, "top")


def test_what_is_no_index() -> None:
    with pytest.raises(FormatError, match="Package:"):
        names("<html>\nNot found\n")
