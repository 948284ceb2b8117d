"""Data that the real tools made (nix 2.34.8, guix 1.5.0), see tests/golden/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"


def load(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())
