"""A place with directories like those of a base system, for views of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TREES = ("bin", "lib", "libexec", "share/locale", "share/misc", "share/mk")
MUCH = 1 << 30


@pytest.fixture(autouse=True)
def old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were made just now may be prepared too."""
    monkeypatch.setattr("fruix.hostview.resolve.SETTLED_NS", -(10**18))


@pytest.fixture
def host() -> Iterator[Path]:
    """A place with directories like a base system's, not below /tmp, which is the build's inside."""
    top = Path(tempfile.mkdtemp(prefix="fruix-host-", dir="/var/tmp"))
    top.chmod(0o755)
    for tree in TREES:
        (top / tree).mkdir(parents=True)
        (top / tree / "file").write_text(f"{tree}\n")
    yield top
    shutil.rmtree(top)


# The tree itself


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Directories of a daemon: `prepared`, `builds` with one build."""
    (tmp_path / "prepared").mkdir()
    (tmp_path / "builds/one").mkdir(parents=True)
    return tmp_path
