"""Structured attributes against files that Nix 2.34.8 made for its builders, and against Bash itself."""

from __future__ import annotations

import json
import subprocess
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fruix.errors import BadDerivationError
from fruix.model import aterm, structured
from golden_data import GOLDEN

ATTRIBUTES = GOLDEN / "attributes"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def recorded() -> dict[str, object]:
    """The JSON that a builder got; what the daemon added is in it too."""
    return json.loads((ATTRIBUTES / "structured.json").read_text())  # type: ignore[no-any-return]


def test_files_are_those_of_the_real_daemon() -> None:
    assert structured.to_json(recorded()) == (ATTRIBUTES / "structured.json").read_bytes()
    # One line is left out here: 1e20 is no integer that fits, where the recorded daemon wrote
    # -2147483648.
    lines = (ATTRIBUTES / "structured.sh").read_bytes().splitlines(keepends=True)
    assert structured.to_shell(recorded()) == b"".join(
        line for line in lines if not line.startswith(b"declare big=")
    )


def test_a_golden_derivation() -> None:
    drv = aterm.parse((ATTRIBUTES / "structured.drv").read_bytes(), "structured")
    values = structured.parse(drv.env[structured.VARIABLE])
    added = {"outputs", "closure", "single"}
    expected = {name: value for name, value in recorded().items() if name not in added}
    assert {name: value for name, value in values.items() if name not in {"self", "outputs"}} == {
        name: value for name, value in expected.items() if name != "self"
    }


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("it's", "declare x='it'\\''s'\n"),
        (3.0, "declare x=3\n"),
        (1.5, ""),
        (1e300, ""),
        (True, "declare x=1\n"),
        (False, "declare x=\n"),
        (None, "declare x=''\n"),
        ([1, [2]], ""),
        ({"a": {"b": 1}}, ""),
        ([], "declare -a x=()\n"),
        ({"k'": None}, "declare -A x=(['k'\\''']='' )\n"),
    ],
)
def test_shell_forms(value: object, line: str) -> None:
    assert structured.to_shell({"x": value}) == line.encode()


@pytest.mark.parametrize("name", ["a-b", "1a", "", "a b", "x;id", "é"])
def test_names_that_bash_cannot_have_are_left_out(name: str) -> None:
    assert structured.to_shell({name: "x"}) == b""


@settings(max_examples=30, deadline=None)
@given(texts, st.lists(texts, max_size=4), st.dictionaries(texts.filter(bool), texts, max_size=4))
def test_bash_reads_back_what_was_written(text: str, items: list[str], table: dict[str, str]) -> None:
    script = structured.to_shell({"text": text, "items": items, "table": table})
    script += b"""
printf '%s\\0' "$text"
for item in "${items[@]}"; do printf '%s\\0' "$item"; done
for key in "${!table[@]}"; do printf '%s\\0' "$key" "${table[$key]}"; done
"""
    found = subprocess.run(["bash"], input=script, capture_output=True, check=True).stdout
    words = found.decode().split("\0")[:-1]
    pairs = words[1 + len(items) :]
    assert words[: 1 + len(items)] == [text, *items]
    assert dict(zip(pairs[::2], pairs[1::2], strict=True)) == table


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object, not an array"),
        ('"x"', "not a string"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": 1e999}', "not JSON"),
        ('{"a": "\\ud800"}', "not JSON"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
    ],
)
def test_what_is_no_object_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadDerivationError, match=why):
        structured.parse(text)


@pytest.mark.parametrize("part", ["[]", "{}", "1", '{"a":1}', "[[]]"])
def test_what_takes_much_memory_is_refused_before_it_does(part: str) -> None:
    text = '{"x":[' + ",".join([part] * (structured.MOST_VALUES + 1)) + "]}"
    tracemalloc.start()
    try:
        with pytest.raises(BadDerivationError, match=f"holds more than {structured.MOST_VALUES} values"):
            structured.parse(text)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_marks_within_texts_are_no_values() -> None:
    text = '[{,:\\"' * structured.MOST_VALUES
    assert structured.parse(json.dumps({"script": text})) == {"script": text}


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_nesting_is_no_crash(depth: int) -> None:
    with pytest.raises(BadDerivationError, match=r"nested too deep|JSON object"):
        structured.parse("[" * depth + "]" * depth)
