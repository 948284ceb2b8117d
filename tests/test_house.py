"""Files stay short enough to be read at once."""

from __future__ import annotations

from pathlib import Path

import fruix

ROOT = Path(fruix.__file__).parent
# Lines of a file.
MOST = 300


def test_files_stay_readable() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := path.read_text().count("\n")) > MOST
    }
    assert not too_long
