"""What is told of a running builder, and when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fruix.building.queue.allowance import Allowance
from fruix.building.queue.job import Job
from fruix.building.record.log import BuildLog
from fruix.building.run import monitor
from fruix.building.run.monitor import supervise
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import Derivation
from fruix.model.storepath import StorePath


class Builder:
    """Its output, and what is readable when it has ended, as pipes."""

    def __init__(self, log: Path) -> None:
        derivation = Derivation("a", {}, {}, (), "x86_64-linux", "/bin/sh", (), {})
        job = Job(StorePath.of("/frx/store", "0" * 32 + "-a.drv"), derivation, BuildOptions(), "build")
        self.allowance = Allowance(job, BuildSettings(), lambda *_: None)
        self.log = BuildLog(str(log), on_line=lambda _: None, on_phase=lambda _: None, keep_lines=1)
        self.output, self.speaks = os.pipe2(os.O_NONBLOCK)
        self.ended, self.ends = os.pipe()
        self.waker, self.wakes = os.pipe()
        self.delays: list[int] = []

    def watched(self) -> None:
        """Until it has ended."""

        def delayed() -> None:
            self.delays.append(1)
            os.write(self.ends, b"x")

        assert (
            supervise(self.ended, self.output, self.waker, self.log, self.allowance, on_delay=delayed) is None
        )

    def close(self) -> None:
        self.log.close()
        for descriptor in (self.output, self.speaks, self.ended, self.ends, self.waker, self.wakes):
            os.close(descriptor)


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = Builder(tmp_path / "log")
    yield made
    made.close()


def test_that_a_builder_has_begun_is_told_when_nothing_happens_soon(builder: Builder) -> None:
    builder.watched()
    assert builder.delays == [1]


def test_one_that_ends_soon_is_not_told_of_before(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "SOON", 60)
    os.write(builder.ends, b"x")
    builder.watched()
    assert not builder.delays
