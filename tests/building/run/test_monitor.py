"""What is told of a running builder, and when."""

from __future__ import annotations

import os
import threading
import time
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
from waiting import until


class Builder:
    """Its output, and what is readable when it has ended, as pipes."""

    def __init__(self, log: Path) -> None:
        derivation = Derivation("a", {}, {}, (), "x86_64-linux", "/bin/sh", (), {})
        job = Job(StorePath.of("/frx/store", "0" * 32 + "-a.drv"), derivation, BuildOptions(), "build")
        self.allowance = Allowance(job, BuildSettings(), lambda *_: None)
        self.heard: list[str] = []
        self.log = BuildLog(str(log), on_line=self.heard.append, on_phase=lambda _: None, keep_lines=1)
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


def test_small_pieces_that_follow_one_another_are_read_together(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_GATHER", 3600)
    monkeypatch.setattr(builder.allowance, "passed", lambda _written: None)
    pieces = []
    read = monitor._read

    def noted(descriptor: int) -> bytes | None:
        pieces.append(read(descriptor))
        return pieces[-1]

    monkeypatch.setattr(monitor, "_read", noted)

    def speak() -> None:
        until(lambda: builder.heard == ["a"], "the first line, which nothing keeps back")
        for piece in (b"b", b"\n", b"c\n"):
            os.write(builder.speaks, piece)
            time.sleep(0.02)
        os.write(builder.ends, b"x")

    os.write(builder.speaks, b"a\n")
    speaker = threading.Thread(target=speak)
    speaker.start()
    builder.watched()
    speaker.join()
    assert pieces == [b"a\n", b"b\nc\n"]


@pytest.mark.parametrize("way", ["ends", "wakes"])
def test_nothing_else_waits_for_more_output(
    way: str, builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_GATHER", 3600)
    monkeypatch.setattr(builder.allowance, "passed", lambda _written: None)
    os.write(builder.speaks, b"a\n")
    os.write(getattr(builder, way), b"x")
    reason = supervise(builder.ended, builder.output, builder.waker, builder.log, builder.allowance)
    assert (reason is None) == (way == "ends")
