"""Two results of one build that should be equal: what `diffoscope` says about them, if it is installed.

The daemon tells where they differ by itself; diffoscope also looks into archives, programs and documents. It reads what a builder made, so
root runs it as nobody. Its output is cut: the command is shown, for who wants all of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import islice
from typing import Any

from fruix.cli.output.terminal import harmless
from fruix.model.reasons import Reason

PROGRAM = "diffoscope"
SHOWN = 200  # lines
_NOBODY = 65534


def kept_pair(why: Reason) -> tuple[str, str] | None:
    """The two results in a reason that tells that they differ, if both are kept."""
    return (str(why["path"]), str(why["kept"])) if why.get("path") and why.get("kept") else None


def compare(one: str, other: str, show: Callable[[str], None]) -> None:
    """Show what the program says; nothing if it isn't there."""
    program = shutil.which(PROGRAM)
    if program is None:
        return
    command = [program, "--exclude-directory-metadata=yes", one, other]
    show(f"$ {PROGRAM} {' '.join(command[1:])}")
    try:
        _run(command, show)
    except OSError as error:
        show(f"it could not be run: {error.strerror}")


def _run(command: list[str], show: Callable[[str], None]) -> None:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **_as_nobody()
    ) as process:
        assert process.stdout is not None
        for line in islice(process.stdout, SHOWN):
            show(harmless(line.rstrip(b"\n").decode("utf-8", "replace"), colour=False))
        if process.stdout.readline():
            show(f"… (only the first {SHOWN} lines are shown)")
            process.kill()


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    environment = {**os.environ, "HOME": "/nonexistent"}
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": [], "env": environment}
