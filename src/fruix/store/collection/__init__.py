"""Garbage collection: what is alive, and deleting the rest beside clients and builds.

A collection reads the graph of valid paths once, marks what roots keep (`liveness`, `graph`), and
deletes the rest in small batches (`collector`). Roots are links (`persistent_roots`), what running
processes use (`runtime_roots`), and the temporary roots of sessions, also those of other processes
that have the store open (`temp_root_file`).

The rule that makes it safe beside everything else (`gate`): whoever adds a temporary root holds the
gate together with others for that moment; the collector holds it alone while it decides on a batch
and deletes its rows, or moves its files away. So a root that was added before is seen, and one that
is added after it comes before the question whether the path is valid: nobody is told of a path that
is deleted then, and nobody who makes a path (which is a temporary root from before it has its name)
has it taken away. Nobody waits longer than for one batch.
"""

from __future__ import annotations

from fruix.late import late_modules

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.store.collection import (
        collector,
        graph,
        liveness,
        outdated,
        persistent_roots,
        row_sets,
        runtime_roots,
        shredder,
        strays,
    )

__all__ = [
    "collector",
    "graph",
    "liveness",
    "outdated",
    "persistent_roots",
    "row_sets",
    "runtime_roots",
    "shredder",
    "strays",
]

__getattr__ = late_modules(__name__, __all__)
