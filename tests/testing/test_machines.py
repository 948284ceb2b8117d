"""Checks of what machines differ in: what can't be tried is said, and what is wrong is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from freebsd_double.double import Double
from freebsd_double.kernel_state import Machine
from fruix.sandbox.freebsd.kernel import Kernel
from fruix.store.layout import Layout
from fruix.testing import kernel_checks, machines, selftest
from fruix.testing.scratch_daemon import Scratch
from fruix.testing.selftest import Outcome
from fruix.testing.selftest_checks import Bench, FailedError, NotTriedError
from machine import jails

OLD, NEW = Machine(), Machine("15.0-RELEASE", 1500068, racct=True)


@pytest.mark.parametrize(
    ("check", "machine", "found"),
    [
        # The double has none of what came with 15, so where it says 15 it is found out.
        (kernel_checks.descriptor_ends_jail, OLD, "NotTriedError: it takes FreeBSD 15; this is 13.2-RELEASE"),
        (kernel_checks.descriptor_ends_jail, NEW, "FailedError: 15.0-RELEASE gives no descriptor of a jail"),
        (
            kernel_checks.socket_through_nullfs,
            OLD,
            "NotTriedError: it takes FreeBSD 15: on 13.2-RELEASE a socket",
        ),
        (
            kernel_checks.socket_through_nullfs,
            NEW,
            "FailedError: a socket below a nullfs mount could be connected",
        ),
        (
            kernel_checks.limits_kept,
            OLD,
            "NotTriedError: kern.racct.enable is 0: set it to 1 in /boot/loader.conf",
        ),
        (
            kernel_checks.limits_kept,
            NEW,
            "limits of memory and processes of a whole jail are set and removed",
        ),
    ],
)
def test_the_kernels_own_calls(
    tmp_path: Path, check: Callable[[Kernel, str], str], machine: Machine, found: str
) -> None:
    with jails(machine) as kernel:  # which looks for jails, mounts and limits that are left
        try:
            said = check(kernel, str(tmp_path))
        except (NotTriedError, FailedError) as error:
            said = f"{type(error).__name__}: {error}"
    assert said.startswith(found), said


def test_rules_that_stay_are_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with jails(NEW) as kernel:
        remove = kernel.rctl_remove_rule
        monkeypatch.setattr(Double, "rctl_remove_rule", lambda *_: None)
        with pytest.raises(FailedError, match="were still there"):
            kernel_checks.limits_kept(kernel, str(tmp_path))
        remove(b"jail:frx-selftest-%d" % os.getpid())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    layout = Layout(f"{tmp_path}/store", f"{tmp_path}/state", f"{tmp_path}/log")
    return Bench(Scratch(str(tmp_path), layout, {}))


def test_the_file_system_is_named_with_what_it_does(bench: Bench) -> None:
    assert "directories moved to another parent keep their time" in machines._file_system(bench)
    with jails():
        said = machines._file_system(bench)
    assert said.startswith("ufs (/dev/ada0p2 on /): directories moved to another parent change their time")
    assert os.listdir(bench.scratch.base) == []


def test_of_mounts_the_innermost_counts(tmp_path: Path) -> None:
    with jails() as kernel:
        from fruix.sandbox.freebsd import abi, mounts

        inner = f"{os.path.realpath(tmp_path)}/inner"
        os.mkdir(inner)
        mounts.mount(kernel, mounts.tmpfs(inner, 0, 0o755), 0)
        try:
            assert machines._mount_of(f"{inner}/x") == ("tmpfs", "tmpfs", inner)
            assert machines._mount_of(f"{inner}er")[0] == "ufs"
        finally:
            kernel.unmount(inner.encode(), abi.MNT_FORCE)


def test_what_was_not_tried_is_an_answer_of_its_own(bench: Bench) -> None:
    def check(_bench: Bench) -> str:
        raise NotTriedError("it takes another machine")

    assert selftest._try(check, bench) == (Outcome.NOT_TRIED, "it takes another machine")


def test_the_command_lists_what_another_machine_has_to_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fruix.cli.command_line import main

    def pretend(report: selftest.Report) -> list[str]:
        report(Outcome.PASSED, "host view", "there", 0.1)
        report(Outcome.NOT_TRIED, "arm64", "this is x86_64", 0.1)
        return []

    monkeypatch.setattr(selftest, "selftest", pretend)
    assert main(["doctor", "--selftest"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("untried arm64                  this is x86_64")
    assert lines[2:] == ["another machine has to answer: arm64", "self-test passed"]
