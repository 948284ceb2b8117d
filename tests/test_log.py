"""Lines for a log."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fruix import log

SAID = """
import sys

sys.path[:] = {!r}
from fruix.daemon.log_handler import log_to_stderr
from fruix.log import Log

log_to_stderr()
said = Log("x")
said.debug("nobody hears this")
said.info("100% plain")
said.warning("%s and %d", "one", 2)
try:
    1 / 0
except ZeroDivisionError:
    said.exception("it failed")
print("logging" in sys.modules)
"""


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    log.send_to(lines.append)
    yield lines
    log.send_to(None)


def test_a_daemon_writes_them_without_the_standard_librarys(said: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-IS", "-c", SAID.format(sys.path)], capture_output=True, text=True, check=True
    )
    first, second, third, *trace = done.stderr.splitlines()
    assert (first, second) == ("fruix daemon: 100% plain", "fruix daemon: one and 2")
    assert third == "fruix daemon: it failed"
    assert (trace[0], trace[-1]) == (
        "Traceback (most recent call last):",
        "ZeroDivisionError: division by zero",
    )
    assert done.stdout == "False\n"
    assert said == []


def test_where_they_go_is_the_processs_affair(said: list[str], caplog: pytest.LogCaptureFixture) -> None:
    log.Log("x").error("to the list")
    assert said == ["to the list"]
    log.send_to(None)
    log.Log("fruix.x").warning("to %s", "logging")
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "fruix.x",
        logging.WARNING,
        "to logging",
    )
    assert (record.filename, record.funcName) == (
        "test_log.py",
        "test_where_they_go_is_the_processs_affair",
    )
    assert said == ["to the list"]
