"""Shells that run a command to its end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from fruix.building.sandbox_shell import ShellRequest
from fruix.model.build_options import BuildOptions
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit
from machine import Machine, left_over


def read_all(outer: int) -> str:
    """To the end of the terminal, as a person sees it."""
    text = b""
    while True:
        try:
            data = os.read(outer, 4096)
        except OSError:
            data = b""
        if not data:
            return text.decode().replace("\r\n", "\n")
        text += data


def enter(
    here: Machine,
    drv: StorePath,
    *command: str,
    use: Callable[[int], object] | None = None,
    options: BuildOptions | None = None,
    gone: threading.Event | None = None,
    fresh: bool = False,
) -> tuple[Exit, str]:
    """Run to the end; what the terminal showed. `use` works on the outer end first."""
    shown: list[str] = []
    threads: list[threading.Thread] = []

    def on_open(outer: int, _text: str) -> None:
        mine = os.dup(outer)

        def work() -> None:
            if use is not None:
                use(mine)
            shown.append(read_all(mine))
            os.close(mine)

        threads.append(threading.Thread(target=work))
        threads[0].start()

    asked = ShellRequest(drv, "vt100", command, fresh)
    try:
        exited = here.builder.enter(
            asked, options or BuildOptions("fruix"), on_open, gone or threading.Event()
        )
    finally:
        for thread in threads:
            thread.join()
        assert left_over(here.store) == []
    return exited, "".join(shown)
