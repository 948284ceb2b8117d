"""The programs that connect a build to the network: they go with it, and say why they fail."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

import network_rig as rig
from building.builders.connected import build_until, connected_machine, fixed, lines
from fruix.building.settings import BuildSettings
from fruix.sandbox import networks
from fruix.sandbox.linux import slirp
from fruix.sandbox.linux.cgroup import CgroupParent
from machine import build_uid, builders, machine
from waiting import until


def _helpers(way: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and Path(f"/proc/{entry}/comm").read_text().startswith(("passt", way[:15])):
                found.append(int(entry))
    return found


@pytest.mark.parametrize("way", networks.OWN)
def test_helpers_go_with_the_build(way: str, tmp_path: Path) -> None:
    with connected_machine(way) as here:
        before = _helpers(way)
        drv = here.derivation("long", "echo started; sleep 1000", here.shell(tmp_path), outputs=fixed(b""))
        stop = threading.Event()
        build = threading.Thread(target=build_until, args=(here, drv, stop))
        build.start()
        until(lambda: "started" in lines(here), "the builder's first line")

        def one_helper() -> list[int]:
            found = set(_helpers(way)) - set(before)
            return list(found) if len(found) == 1 else []  # it may begin by forking

        (helper,) = until(one_helper, f"one process of {way}")

        def filtered() -> str:
            text = Path(f"/proc/{helper}/status").read_text()
            return text if "Seccomp:\t2" in text else ""

        # It puts its filter on when the interface is there already.
        status = until(filtered, f"the filter of {way}")
        assert f"Uid:\t{build_uid()}\t" in status
        if way == "slirp4netns":  # pasta has joined the sandbox's user namespace, where it has what it needs
            assert "CapBnd:\t0000000000000000" in status
        if CgroupParent.find() is not None:
            assert "/frx-" in Path(f"/proc/{helper}/cgroup").read_text()
        # Nothing of the host is left to it.
        assert not os.path.exists(f"/proc/{helper}/root/etc/passwd")
        stop.set()
        build.join()
        # A cancelled request returns before the build's end.
        until(lambda: not here.builder.active(), "the end of the cancelled build")
        assert _helpers(way) == before
        assert builders() == []


@pytest.mark.parametrize("way", networks.OWN)
def test_helpers_go_with_a_killed_spawner(way: str, tmp_path: Path) -> None:
    with rig.private_network():
        before = _helpers(way)
        with contextlib.suppress(AssertionError), machine(BuildSettings(fixed_output_network=way)) as here:
            drv = here.derivation(
                "long", "echo started; sleep 1000", here.shell(tmp_path), outputs=fixed(b"")
            )
            build = threading.Thread(target=build_until, args=(here, drv, threading.Event()))
            build.start()
            until(lambda: "started" in lines(here), "the builder's first line")
            spawner = here.builder._resources.spawner.pid
            os.kill(spawner, signal.SIGKILL)
            os.waitpid(spawner, 0)
            build.join()
        until(lambda: _helpers(way) == before, f"the end of {way}")


@pytest.mark.parametrize("way", networks.OWN)
def test_a_helper_that_fails_says_why(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {
        "pasta": ("--foreground", "--netns", "/nowhere"),
        "slirp4netns": ("--netns-type=path", "/nowhere", "x"),
    }
    monkeypatch.setattr(slirp, "COMMANDS", broken)
    with connected_machine(way) as here:
        drv = here.derivation("never", "echo > $out", here.shell(tmp_path), outputs=fixed(b"\n"))
        (result,) = here.build(drv)
        assert "sandbox step 'uplink': Network is unreachable" in result.message
        assert "/nowhere" in result.message or "No such file" in result.message
        assert "syslog" not in result.message
        assert builders() == []
