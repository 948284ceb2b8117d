"""Ends of builders that look alike and have different causes are told apart, in the hint."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fruix.building.builders.platforms import explain_start
from fruix.building.limits import Limits
from fruix.building.run import suspects
from fruix.building.run.suspects import Evidence, killed_for_memory, suspect
from fruix.errors import SandboxError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import Derivation
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFailed, BuildStarted, Event
from fruix.model.storepath import StorePath
from fruix.sandbox import Exit
from fruix.sandbox.linux import libc
from machine import Machine, machine

LIMITS = Limits(max_processes=9, max_file_size=7)


def ended(code: int | None = None, number: int | None = None) -> Exit:
    return Exit(code, number, 0, 0, 0)


@pytest.mark.parametrize(
    ("exited", "line", "hint"),
    [
        (ended(1), "nothing of note", None),
        (ended(1), "write: File too large", "max-file-size"),
        (ended(128 + signal.SIGXFSZ), "", "max-file-size"),
        (ended(None, signal.SIGXFSZ), "", "max-file-size"),
        (ended(2), "fork: Resource temporarily unavailable", "max-processes"),
        (ended(2), "sh: 1: Cannot fork", "max-processes"),
        (ended(None, signal.SIGKILL), "", "dmesg"),
        (ended(128 + signal.SIGKILL), "", "dmesg"),
        (ended(None, signal.SIGSEGV), "", None),
        (ended(126), "", None),
    ],
)
def test_what_is_suspected(exited: Exit, line: str, hint: str | None, tmp_path: Path) -> None:
    found = suspect(Evidence(exited, LIMITS, ["before", line, "after"], [str(tmp_path)]))
    assert (found is None) == (hint is None)
    if found is not None:
        assert hint is not None
        assert hint in found.hint
        assert not found.passing


def test_out_of_memory_is_the_limit_s_or_the_machine_s() -> None:
    killed = replace(ended(None, signal.SIGKILL), oom_kills=1)
    assert killed_for_memory(killed, Limits(max_memory=5)) == {"kind": "memory", "limit": 5}
    assert killed_for_memory(killed, Limits()) == {"kind": "out-of-memory"}
    assert killed_for_memory(ended(None, signal.SIGKILL), Limits(max_memory=5)) is None


def test_a_full_disk_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "nearly_full", lambda names: names == [str(tmp_path)])
    found = suspect(Evidence(ended(None, signal.SIGKILL), LIMITS, [], ["/", str(tmp_path)]))
    assert found is not None
    assert found.passing
    assert f"the disk of '{tmp_path}' is full" in found.hint


@contextmanager
def no_programs(directory: str) -> Iterator[None]:
    libc.mount(b"tmpfs", directory.encode(), b"tmpfs", libc.MS_NOEXEC, b"mode=755")
    try:
        yield
    finally:
        libc.umount(directory.encode(), libc.MNT_DETACH)


def failed(here: Machine) -> BuildFailed:
    (event,) = (event for event in here.events if isinstance(event, BuildFailed))
    return event


def test_noexec(tmp_path: Path) -> None:
    with machine() as here:
        builds = here.store.layout.builds
        with no_programs(builds):
            shell = here.shell(tmp_path)
            here.build(here.derivation("tool", "echo '#!/x' > tool; chmod +x tool; ./tool", shell))
            event = failed(here)
            assert event.reason["kind"] == "exit-code"
            assert f"'{builds}' is mounted with 'noexec'" in event.hint
            # A builder that itself lies on such a file system.
            error = SandboxError("exec", errno.EACCES)
            plain = Derivation("x", {}, {}, (), "x86_64-linux", "/x", (), {})
            told = explain_start(StorePath.parse(f"/frx/store/{'0' * 32}-x.drv"), plain, error, [builds])
            assert "noexec" in told.hint


def test_a_signal_from_outside(tmp_path: Path) -> None:
    with machine() as here:
        drv = here.derivation("victim", "while :; do sleep 1; done", here.shell(tmp_path))

        def hear(event: Event) -> None:
            here.events.append(event)
            if isinstance(event, BuildStarted):
                os.kill(event.pid, signal.SIGKILL)

        request = [DerivedPath(drv, ALL)]
        ((_, result),) = here.builder.realise(request, BuildOptions("fruix"), hear, threading.Event())
        assert result.status is BuildStatus.PERMANENT_FAILURE
        event = failed(here)
        assert (event.reason["kind"], event.reason["signal"]) == ("signal", signal.SIGKILL)
        assert "no limit of Fruix's killed it" in event.hint
