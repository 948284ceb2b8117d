"""What answers worker operations: questions and upkeep (`query`), additions (`add`), builds (`build`)."""

from __future__ import annotations

from fruix.late import late_names

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.daemon.handlers import build, query, table

__all__ = ["build", "query", "table"]

__getattr__ = late_names(__name__, {name: f"{name}:" for name in __all__})
