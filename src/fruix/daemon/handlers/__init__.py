"""What answers worker operations: questions and upkeep (`query`), additions (`add`), builds (`build`).

The most frequent questions are answered by `quick`, if they are in their usual form.
"""

from __future__ import annotations

from fruix.late import late_modules

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.daemon.handlers import build, query, quick, small_texts, table

__all__ = ["build", "query", "quick", "small_texts", "table"]

__getattr__ = late_modules(__name__, __all__)
