"""A sandbox that waits for its network hears of the helper's end, whatever numbers its descriptors have."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from fruix.sandbox.linux import network, slirp

HIGH = 1100  # select(2) knows numbers below 1024 only


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_descriptors")
def test_last_words_come_by_a_descriptor_with_a_high_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "has_default_route", lambda: False)
    pipes = slirp.Pipes.make()
    low, pipes.hears_trouble = pipes.hears_trouble, fcntl.fcntl(pipes.hears_trouble, fcntl.F_DUPFD, HIGH)
    os.close(low)
    os.write(pipes.says_trouble, b"no such\n device")
    with pytest.raises(OSError, match="no such device") as caught:
        slirp.wait(pipes)
    assert caught.value.errno == errno.ENETUNREACH
    for descriptor in (pipes.hears_ready, pipes.hears_trouble, pipes.says_trouble):
        os.close(descriptor)
