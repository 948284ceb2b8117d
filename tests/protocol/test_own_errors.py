"""Errors reach Fruix's own clients as they were raised."""

from __future__ import annotations

import pytest

from fruix.errors import (
    FruixError,
    HashMismatchError,
    HostViewError,
    InvalidPathError,
    MemoryLimitError,
    SandboxError,
)
from fruix.protocol.messages import Failure
from fruix.protocol.own_errors import error_of, failure_of


@pytest.mark.parametrize(
    "error",
    [
        InvalidPathError("/frx/store/x", hint="try"),
        HashMismatchError("x", expected="sha256:a", got="sha256:b"),
        SandboxError("mount", 1, "of /proc"),
        HostViewError("gone", hint="ask for another"),
        MemoryLimitError("too much"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_with_its_class_and_fields(error: FruixError) -> None:
    again = error_of(failure_of(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)


def test_nothing_is_read_out_of_the_text_of_another_daemons_error() -> None:
    again = error_of(Failure("path '/frx/store/x' is not valid"))
    assert type(again) is FruixError
    assert str(again) == "path '/frx/store/x' is not valid"


@pytest.mark.parametrize("fields", ["", "[]", "{", '{"other": 1}'])
def test_an_error_with_other_fields_is_told_as_text(fields: str) -> None:
    again = error_of(Failure("so it is", traces=("hint", fields), name="InvalidPathError"))
    assert (type(again), str(again), again.hint) == (FruixError, "so it is", "hint")
