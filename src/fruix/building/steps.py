"""The steps of a build at which a fault can be armed (see `failpoints`), in their order."""

from __future__ import annotations

from fruix import sandbox
from fruix.failpoints import Step

BEFORE_SETUP = (
    Step("lock", "lock the output paths"),
    Step("log", "open the log"),
    Step("user", "take a build user"),
    Step("journal", "note the build in the journal"),
    Step("directories", "make its directories"),
    Step("spawn", "ask the spawner"),
)
AFTER_SETUP = (
    Step("watch", "read the builder's output until it ends", builder=True),
    Step("end", "kill what is left and wait for it", builder=True),
    Step("take", "take the first output out of the build's area, look through it and hash it"),
    Step("take-next", "take another output"),
    Step("publish", "give the first output its final name"),
    Step("publish-next", "give another output its final name"),
    Step("register", "make the outputs valid"),
    Step("unlock", "release the locks"),
    Step("record", "write the build record"),
    Step("answer", "tell those who wait"),
    Step("park-ask", "ask for a sandbox to stand ready", answered=True),
    Step("pack", "pack the log", answered=True),
    Step("history", "note how long it took", answered=True),
    Step("unmount", "take away what is mounted for it", answered=True),
    Step("remove-directories", "delete the build's directories", answered=True),
    Step("remove-journal", "remove the note", answered=True),
)
# Only when a damaged output is replaced, or a failed build kept.
AT_TIMES = (
    Step("replace", "put a fresh output where a damaged one lies"),
    Step("register-again", "register what it is now"),
    Step("keep", "copy what a failed build left"),
)


def all_steps() -> tuple[Step, ...]:
    """Every step that each build on this machine takes."""
    inside = sandbox.back_end().steps
    return (
        *BEFORE_SETUP,
        *(step for step in inside if not step.answered),
        *AFTER_SETUP,
        *(step for step in inside if step.answered),  # beside the last ones
    )


def known_steps() -> tuple[Step, ...]:
    """Every step at which a fault can be armed."""
    return (*all_steps(), *AT_TIMES, *sandbox.back_end().parking)
