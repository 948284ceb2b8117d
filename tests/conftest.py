"""Rules for all tests.

In CI a skipped test is a failure, unless the machine really can't run it and the skip says so.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import apart
from fruix.daemon import rootless

# A skip may stay in CI if its reason begins with this: what follows names what no installation could add.
MACHINE = "machine: "


def _begin_without_root() -> None:
    """An ordinary user's tests all run as root of a user namespace, as its daemon does.

    It is entered before any thread is there.
    """
    home = tempfile.mkdtemp(prefix="frx-home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.chmod(home, 0o755)
    rootless.become_root(home)


# However slow the machine is just now.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Run in the background of a script we would ignore interrupts, and so would the commands that tests
# interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where ordinary users don't look for programs: chroot, ip.
os.environ["PATH"] += ":/usr/sbin:/sbin"
_WITHOUT_ROOT = rootless.possible()
if _WITHOUT_ROOT:
    _begin_without_root()


_TO_BE_APART = apart.needed() and not _WITHOUT_ROOT
_APART = [sys.executable, str(Path(apart.__file__))]


@pytest.hookimpl(tryfirst=True)  # before pytest chooses a place
def pytest_configure(config: pytest.Config) -> None:
    """Begin again apart from the rest of the machine, with a place for temporary files.

    Not apart where workers do the work: each of those is so by itself. The place has a short name of
    one length, since a socket's name may have 104 bytes on some systems; pytest's own would grow
    with the number of runs on this machine.
    """
    if _TO_BE_APART and not _has_workers(config) and not config.option.collectonly:
        config.pluginmanager.getplugin("capturemanager").suspend_global_capture(in_=True)
        sys.stdout.flush()
        command = [*_APART, sys.executable, "-m", "pytest", *config.invocation_params.args]
        os.execv(command[0], command)
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        config.option.basetemp = tempfile.mkdtemp(prefix="fruix-")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remove the temporary files of a run in which nothing failed."""
    if not exitstatus and not hasattr(session.config, "workerinput"):
        with contextlib.suppress(RecursionError):  # something deep was left
            shutil.rmtree(session.config.option.basetemp, ignore_errors=True)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A case with bytes or a long text is named by its argument and number.

    Compressed bytes hold the time, and workers must find the same names at any second.
    """
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 100):
        return argname
    return None


def _has_workers(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput") or bool(getattr(config.option, "tx", None))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    """Start each worker apart."""
    if _TO_BE_APART:
        for spec in specs:
            spec.python = shlex.join([*_APART, sys.executable])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: an ordinary user's tests need a process with one thread, which workers are not."""
    return 0 if _WITHOUT_ROOT else os.cpu_count() or 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root what leaves the host's network can't come back: it goes last.

    What simulates FreeBSD needs real root.
    """
    if _WITHOUT_ROOT:
        for item in items:
            if "testing" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=f"{MACHINE}jails need root"))
        items.sort(key=lambda item: hasattr(getattr(item, "module", None), "rig"))


BACK_ENDS = ("namespaces", "jails")


@pytest.fixture(scope="module", params=BACK_ENDS)
def each_back_end(request: pytest.FixtureRequest) -> Iterator[str]:
    """Once with Linux's isolation, once with FreeBSD's on a double of its system calls.

    For all tests of a module (`usefixtures`).
    """
    yield from _back_end(request.param)


@pytest.fixture(params=BACK_ENDS)
def either_back_end(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same for one test of a module with others."""
    yield from _back_end(request.param)


def _back_end(name: str) -> Iterator[str]:
    if name == "namespaces":
        yield "linux-namespaces"
        return
    if _WITHOUT_ROOT:
        pytest.skip(f"{MACHINE}jails need root")
    from machine import jails

    with jails():
        yield "freebsd-jail"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if MACHINE not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {reason} (only reasons that begin with '{MACHINE}' may be)"
    return report  # type: ignore[return-value]
