from __future__ import annotations

import pytest

from fruix.store import flags


@pytest.fixture
def no_clones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests look at are hard links, whatever the file system can do."""
    monkeypatch.setattr(flags, "clone", lambda _source, _target: False)
