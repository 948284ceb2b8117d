"""From derivations to valid outputs.

Rooms, in the order in which a request passes through them: `plan` (what has to be built), `queue`
(when, and for whom), `builders` (what runs, seeing what), `run` (one build), `outputs` (what it
made), `record` (what is remembered). Besides them: `builder`, the door to all of it; `workspace` (a
build's directories), `status` and `sandbox_shell` (looking at builds and into them), `recovery` (what
crashes left), `steps` (where faults can be armed), `failures` (how a build's end is told).

Rules: nothing here speaks a wire protocol or opens a socket; progress leaves as `model.events`
only; outputs are taken from the dead (see `outputs.stage`); whatever fails, nothing is half
registered and no directory, lock or process is left.
"""

from __future__ import annotations

from fruix.late import late_names

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.building.builder import Builder

__all__ = ["Builder"]

# Most of the program.
__getattr__ = late_names(__name__, {"Builder": "builder"})
