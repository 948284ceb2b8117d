"""What a sandbox uses, on a system that counts it per process only."""

from __future__ import annotations

import threading
from pathlib import Path

from fruix.model.activity import State
from fruix.model.build_options import BuildOptions
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.sandbox.linux.usage import _of_namespace
from machine import machine
from waiting import until


def test_usage_without_a_cgroup(tmp_path: Path) -> None:
    with machine() as here:
        drv = here.derivation(
            "procs", "sleep 1000 & sleep 1000 & while :; do sleep 0.01; done", here.shell(tmp_path)
        )
        cancelled = threading.Event()
        request = [DerivedPath(drv, ALL)]
        thread = threading.Thread(
            target=lambda: here.builder.realise(request, BuildOptions("fruix"), here.events.append, cancelled)
        )
        thread.start()
        try:
            (pid,) = until(
                lambda: [row.pid for row in here.builder.active() if row.state is State.RUNNING],
                "a running build",
            )

            def busy() -> tuple[int, int, int] | None:
                found = _of_namespace(pid)
                return found if found is not None and found[2] >= 3 and found[0] else None

            cpu, memory, processes = until(busy, "three processes that have used the processor")
            assert 0 < cpu < 60_000_000
            assert memory > 100_000
            assert 3 <= processes <= 4
        finally:
            cancelled.set()
            thread.join()
        until(lambda: not here.builder.active(), "the end of the cancelled build")
        assert _of_namespace(pid) is None
