"""Stores are refused on file systems that change names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fruix.errors import StoreError
from fruix.store.case_check import check_names


def lower(name: bytes) -> bytes:
    return name.lower()


def compose(name: bytes) -> bytes:
    return unicodedata.normalize("NFC", name.decode()).encode()


def check(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        check_names(descriptor, str(directory))
    finally:
        os.close(descriptor)


def test_an_ordinary_file_system(tmp_path: Path) -> None:
    check(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("folded", "said"), [(lower, "only in case"), (compose, "Unicode calls equivalent")])
def test_a_file_system_that_changes_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folded: Callable[[bytes], bytes], said: str
) -> None:
    for call in ("open", "unlink"):
        real = getattr(os, call)

        def changing(name: Any, *rest: Any, real: Any = real, **more: Any) -> Any:
            return real(folded(name) if isinstance(name, bytes) else name, *rest, **more)

        monkeypatch.setattr(os, call, changing)
    with pytest.raises(StoreError, match=said) as caught:
        check(tmp_path)
    assert "casesensitivity" in str(caught.value.hint)
    assert os.listdir(tmp_path) == []
