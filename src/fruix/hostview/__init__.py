"""Host views: minimal, named sets of the host's tools that a build may see.

Each has a fingerprint over all that it shows.

What lives here: `definition` (what is wanted), `lookups` (of the host, and remembering them),
`closure` (all that is needed), `belonging` (whose it is), `fingerprint` (what it is), `resolve`
(the result, cached), `view_history` (what it was), `cache_files`.

Rules: nothing is shown that nobody asked for or needs; what is bound is in its canonical place;
every byte shown is in the fingerprint; what was shown to a build is looked at again at its end.
"""

from fruix.hostview.definition import ViewDefinition, definitions
from fruix.hostview.resolve import ResolvedView, resolve_view, touched
from fruix.hostview.view_history import history_of, known_view

__all__ = [
    "ResolvedView",
    "ViewDefinition",
    "definitions",
    "history_of",
    "known_view",
    "resolve_view",
    "touched",
]
