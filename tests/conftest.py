"""Rules for all tests: in CI a skipped test is a failure, unless the machine really can't run it and the skip says so."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

from fruix.daemon import rootless

# A skip may stay in CI if its reason begins with this: what follows names what no installation could add.
MACHINE = "machine: "


def _begin_without_root() -> None:
    """An ordinary user's tests all run as root of a user namespace, as that user's daemon does; before any thread is there."""
    home = tempfile.mkdtemp(prefix="frx-home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.chmod(home, 0o755)
    rootless.become_root(home)


# Run in the background of a script we would ignore interrupts, and so would the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where ordinary users don't look for programs: chroot, ip.
os.environ["PATH"] += ":/usr/sbin:/sbin"
_WITHOUT_ROOT = rootless.possible()
if _WITHOUT_ROOT:
    _begin_without_root()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root what leaves the host's network can't come back: it goes last. What simulates FreeBSD needs real root."""
    if _WITHOUT_ROOT:
        for item in items:
            if "testing" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=f"{MACHINE}jails need root"))
        items.sort(key=lambda item: hasattr(getattr(item, "module", None), "rig"))


BACK_ENDS = ("namespaces", "jails")


@pytest.fixture(scope="module", params=BACK_ENDS)
def each_back_end(request: pytest.FixtureRequest) -> Iterator[str]:
    """Once with Linux's isolation, once with FreeBSD's on a double of its system calls: for all tests of a module (`usefixtures`)."""
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
