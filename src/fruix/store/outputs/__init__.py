"""Taking what a builder made into the store.

Canonical metadata, references, staging until it is registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fruix.late import late_names

if TYPE_CHECKING:
    from fruix.store.outputs import addressed, staged

__all__ = ["addressed", "staged"]

__getattr__ = late_names(__name__, {name: f"{name}:" for name in __all__})
