"""The process that sandboxes which stand ready are cloned from; what is left when it dies."""

from __future__ import annotations

import errno
import os
import re
import signal
from pathlib import Path

import pytest

from fruix.errors import SandboxError
from fruix.sandbox.linux import libc
from ready_sandboxes import Here, groups, spawning, spec
from seen_processes import children_of, descriptors_of, state_of
from waiting import until


def template_of(here: Here) -> int:
    (found,) = {*children_of(here.spawner.pid)} - {*here.children()}
    return found


def test_all_are_cloned_from_one_process_that_holds_nothing(here: Here) -> None:
    here.park()
    template = template_of(here)
    assert here.run(spec(here, "exit 0"))[1].code == 0
    here.park()
    assert template_of(here) == template
    assert len(descriptors_of(template)) == 4
    status = Path(f"/proc/{template}/status").read_text()
    assert re.search(r"NSsid:\t(\d+)", status)[1] == str(template), "no terminal interrupts it"  # type: ignore[index]
    assert children_of(template) == []


def test_if_that_process_dies_builds_get_fresh_ones_until_there_is_another(here: Here) -> None:
    here.park()
    template = template_of(here)
    os.kill(template, signal.SIGKILL)
    until(lambda: state_of(template) == "Z", "its end")
    assert here.run(spec(here, "exit 0"))[1].code == 0  # the one that stood ready
    assert here.handle is not None
    here.handle.prepare(here.request)
    assert here.run(spec(here, "exit 0"))[1].code == 0
    ready = here.park()
    assert template_of(here) != template
    assert here.run(spec(here, "exit 0"))[0] == ready


def test_of_one_that_was_cloned_by_a_process_that_died_before_it_could_tell_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    real = libc.clone

    def clone(flags: int, group: int) -> int:
        pid = real(flags, group)
        if pid and flags & libc.CLONE_PARENT:
            os.kill(os.getpid(), signal.SIGKILL)
        return pid

    monkeypatch.setattr("fruix.sandbox.linux.template.libc.clone", clone)
    with spawning(tmp_path, programs) as here:  # which looks for what is left, at its end
        here.handle = here.spawner.park(here.request)
        for _ in range(2):
            _, ended, _ = here.run(spec(here, "exit 0"))
            assert ended.code == 0
            here.handle.prepare(here.request)
        assert here.run(spec(here, "exit 0"))[1].code == 0
        if not groups():
            pytest.skip("machine: no control groups")


def test_one_that_cannot_be_cloned_is_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Path
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr("fruix.sandbox.linux.template.libc.clone", full)
    with spawning(tmp_path, programs) as here:
        here.handle = here.spawner.park(here.request)
        with pytest.raises(SandboxError, match="no more processes"):
            here.run(spec(here, "exit 0"))
        assert here.children() == []
