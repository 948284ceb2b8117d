"""Taking what a builder made into the store.

Canonical metadata, references, staging until it is registered.
"""

from __future__ import annotations

from fruix.late import late_modules

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.store.outputs import addressed, staged

__all__ = ["addressed", "staged"]

__getattr__ = late_modules(__name__, __all__)
