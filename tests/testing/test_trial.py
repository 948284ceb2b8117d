"""`fruix doctor` and `fruix doctor --try` on the double.

A line for each capability, a line for each call, everything undone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from freebsd_double.double import Double
from freebsd_double.kernel_state import Machine
from fruix.cli.command_line import main
from fruix.model.systems import common_name
from fruix.sandbox import back_ends
from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.back_end import FreeBSDBackEnd
from fruix.sandbox.freebsd.kernel import KernelError
from machine import jails

CAPABILITIES = [
    "python",
    "python extras",
    "kernel version",
    "root",
    "jails",
    "vimage",
    "nullfs",
    "tmpfs",
    "devfs ruleset",
    "file mounts",
    "racct",
    "reaper",
    "no_new_privs",
    "unixbypass",
    "jail descriptors",
]


@pytest.fixture
def kernel() -> Iterator[Double]:
    with jails() as found:
        yield found


def lines(text: str) -> dict[str, str]:
    """Capability → mark, of those that are the platform's."""
    found = {line[8:31].strip(): line[:8].strip() for line in text.splitlines() if not line.startswith(" ")}
    return {name: mark for name, mark in found.items() if name not in {"systems", "kvm"}}


def test_one_line_for_each_capability(kernel: Double, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capfd.readouterr().out
    machine = abi.string_in(kernel.sysctl(b"hw.machine")).decode()
    assert machine in {"amd64", "arm64"}  # what the kernel says, and how derivations call it:
    assert f"(1302001) on {common_name(machine)}" in said
    found = lines(said)
    assert list(found) == CAPABILITIES
    assert [name for name, mark in found.items() if mark != "ok"] == [
        "file mounts",
        "racct",
        "unixbypass",
        "jail descriptors",
    ]


@pytest.mark.parametrize(
    ("machine", "absent"),
    [
        (Machine("15.0-RELEASE", 1500068, racct=True), ["file mounts"]),
        (
            Machine("13.2-RELEASE", 1302001, vimage=False),
            ["vimage", "file mounts", "racct", "unixbypass", "jail descriptors"],
        ),
        (
            Machine("12.1-RELEASE", 1201000),
            ["vimage", "file mounts", "racct", "unixbypass", "jail descriptors"],
        ),
    ],
)
def test_other_machines(machine: Machine, absent: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with jails(machine):
        assert main(["doctor"]) == 0
    found = lines(capfd.readouterr().out)
    assert [name for name, mark in found.items() if mark != "ok"] == absent


def test_what_is_missing_is_named(
    kernel: Double, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(19, "nullfs is not loaded")

    monkeypatch.setattr(Double, "nmount", refuse)
    assert main(["doctor"]) == 1
    out, err = capfd.readouterr()
    assert lines(out)["nullfs"] == "missing"
    assert "nullfs is not loaded" in out
    assert err == "builds can't be isolated here: nullfs, tmpfs, devfs ruleset\n"


def test_every_call_of_one_sandbox(kernel: Double, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--try"]) == 0
    said = capfd.readouterr().out
    for expected in (
        'EINVAL Invalid argument "new jail must persist or attach"',
        'EINVAL Invalid argument "unknown parameter: foo.bar"',
        'ENOENT No such file or directory "jail "frx-none" not found"',
        'EINVAL Invalid argument "mount option <bogus> is unknown"',
        "nmount(fstype=devfs",
        "jail_set(path=",
        "host.hostname=localhost",
        "-- exec",
        "groups [350",
        "loopback 127.0.0.1",
        "writing in /input: EROFS",
        "exit code 0, signal None",
        "-- park-jail",
        "name=frx-parked-",
        "14 directories, note and user are gone",
    ):
        assert expected in said, said
    assert said.splitlines()[-1] == "trial passed: everything went as it should and was undone"


def test_a_step_that_fails_is_named_and_undone(capfd: pytest.CaptureFixture[str]) -> None:
    with jails() as kernel, tempfile.TemporaryDirectory() as other:
        del kernel

        class Refusing(Double):
            def jail_set(self, parameters: object, flags: int) -> int:  # noqa: ARG002
                raise KernelError("jail_set", 1, "no more jails")

        back_ends.use(FreeBSDBackEnd(Refusing(other)))
        assert main(["doctor", "--try"]) == 1
        assert [row.target for row in Refusing(other).getfsstat()] == [b"/"]
    out, err = capfd.readouterr()
    assert "FAILED  step jail: EPERM: Operation not permitted: jail_set: no more jails" in err
    assert out.splitlines()[-1] == "trial failed"


def test_not_on_linux(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--try"]) == 2
    assert "--try is for FreeBSD" in capsys.readouterr().err
