"""Definitions with something changed, and the error for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fruix.errors import DefinitionError
from fruix.packages.package import Origin, Package
from packages.test_definitions import SHA

FIELDS: Mapping[str, Any] = {"name": "x", "version": "1.0"}
NEEDED: Mapping[str, Mapping[str, Any]] = {"python": {"tests": False}, "trivial": {"script": "true"}}
SOURCE = Origin(("https://a.example/x-1.0.tar.gz",), SHA)


def error_of(**changes: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        Package(**{**FIELDS, "source": SOURCE, **changes})
    assert caught.value.place.startswith(f"{__file__}:")
    return caught.value
