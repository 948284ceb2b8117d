"""Looking through a whole store, and what can be mended in place.

`objects` looks at one valid path, `parallel` at many, `links` at what deduplication keeps, `strays`
at what else lies in the store directory; `metadata` knows modes, owners and times, and mends them.
`stored` is the part of `LocalStore`.
"""

from __future__ import annotations

from fruix.late import late_modules

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.store.verification import links, metadata, objects, parallel, strays

__all__ = ["links", "metadata", "objects", "parallel", "strays"]

__getattr__ = late_modules(__name__, __all__)
