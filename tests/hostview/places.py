"""A host made of files in a directory, for views of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fruix.hostview import ResolvedView, ViewDefinition, fingerprint, resolve_view
from fruix.hostview import resolve as resolve_module


class Place:
    """A host of a few files, all older than what counts as unsettled."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = Path(os.path.realpath(top)) / "host"
        self.cache = str(top / "cache")
        (self.top / "bin").mkdir(parents=True)
        monkeypatch.setattr(fingerprint, "SETTLED_NS", -(1 << 60))
        monkeypatch.setattr(resolve_module, "SETTLED_NS", -(1 << 60))

    def file(self, name: str, text: str = "", mode: int = 0o755) -> str:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or f"contents of {name}")
        path.chmod(mode)
        return str(path)

    def link(self, name: str, target: str) -> str:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return str(path)

    def definition(self, *tools: str, name: str = "v", **more: tuple[str, ...]) -> ViewDefinition:
        places: dict[str, Any] = {
            key: tuple(f"{self.top}/{item}" for item in value)
            for key, value in more.items()
            if key != "optional"
        }
        optional = more.get("optional", ())
        return ViewDefinition(
            name, tools=tools, optional=optional, **({"path": (f"{self.top}/bin",)} | places)
        )

    def resolve(self, *tools: str, name: str = "v", **more: tuple[str, ...]) -> ResolvedView:
        return resolve_view(self.definition(*tools, name=name, **more), self.cache)

    def own(self, resolved: ResolvedView) -> tuple[set[str], dict[str, str]]:
        """Binds and links of this place alone: the real /lib links are shown too."""
        prefix = f"{self.top}/"
        return (
            {bind.source.removeprefix(prefix) for bind in resolved.binds if bind.source.startswith(prefix)},
            {
                item.path.removeprefix(prefix): item.target
                for item in resolved.links
                if item.path.startswith(prefix)
            },
        )
