"""What answers worker operations: questions and upkeep (`query`), additions (`add`), builds (`build`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fruix.late import late_names

if TYPE_CHECKING:
    from fruix.daemon.handlers import build, query, table

__all__ = ["build", "query", "table"]

__getattr__ = late_names(__name__, {name: f"{name}:" for name in __all__})
