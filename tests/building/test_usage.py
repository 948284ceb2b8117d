"""What a sandbox uses, on a system that counts it per process only."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from fruix.building.settings import BuildOptions
from fruix.model.activity import State
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.sandbox.linux.usage import _of_namespace
from machine import machine


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
            while not (rows := here.builder.active()) or rows[0].state is not State.RUNNING:
                time.sleep(0.02)
            while (found := _of_namespace(rows[0].pid)) is None or found[2] < 3 or found[0] == 0:
                time.sleep(0.05)
            cpu, memory, processes = found
            assert 0 < cpu < 60_000_000
            assert memory > 100_000
            assert 3 <= processes <= 4
        finally:
            cancelled.set()
            thread.join()
        while here.builder.active():
            time.sleep(0.02)
        assert _of_namespace(rows[0].pid) is None
