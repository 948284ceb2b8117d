from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.model.secrets import Hider, secret_values, secrets_in, without, without_user

PROXY = "http://me:p%40ss@proxy.example:3128"


def test_what_is_secret_in_a_proxy() -> None:
    assert set(secrets_in([PROXY])) == {
        "me:p%40ss",
        "me:p@ss",
        "p%40ss",
        "p@ss",
        "bWU6cEBzcw==",
        "bWU6cCU0MHNz",
    }
    assert set(secrets_in(["me:secret@proxy:3128"])) == {"me:secret", "secret", "bWU6c2VjcmV0"}
    assert "secret" in secrets_in(["http:/me:secret@proxy"])
    assert secrets_in(["http://proxy.example:3128", "localhost,.example", "", "http://me@proxy"]) == ()


def test_a_short_password_is_hidden_with_its_name_only() -> None:
    assert "a" not in secrets_in(["http://me:a@proxy"])
    assert "me:a" in secrets_in(["http://me:a@proxy"])


def test_other_variables_are_secret_as_a_whole() -> None:
    variables = {"http_proxy": PROXY, "TOKEN": "0123456789", "COLUMNS": "80"}
    found = secret_values(variables, ["http_proxy", "https_proxy"])
    assert "0123456789" in found
    assert "80" not in found
    assert PROXY not in found
    assert "me:p%40ss" in found


def test_texts_without_them() -> None:
    assert without(f"can't reach {PROXY}", secrets_in([PROXY])) == "can't reach http://***@proxy.example:3128"
    assert without_user(f"{PROXY}: no") == "http://***@proxy.example:3128: no"


@pytest.mark.parametrize("secret", ["abab", "aab", "secret", "\udc80\u00e9x"])
@given(data=st.data())
def test_a_stream_is_cut_anywhere(secret: str, data: st.DataObject) -> None:
    """None of the secret comes through, and nothing else is lost, however the stream is cut."""
    raw = secret.encode("utf-8", "surrogateescape")
    parts = st.lists(st.sampled_from([raw, raw[:-1], raw[1:], b"a", b"b", b"\n", b"x"]), max_size=12)
    whole = b"".join(data.draw(parts))
    hider, passed, rest = Hider([secret]), b"", whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        passed += hider.feed(rest[:size])
        rest = rest[size:]
    passed += hider.rest()
    assert raw not in passed
    assert len(passed) == len(whole) - passed.count(b"***") * (len(raw) - 3)


def test_nothing_to_hide_holds_nothing_back() -> None:
    assert Hider(()).feed(b"x") == b"x"
