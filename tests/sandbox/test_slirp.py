"""A sandbox that waits for its network hears of the helper's end, whatever numbers its descriptors have."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
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


def test_what_runs_in_a_new_root_imports_nothing() -> None:
    """Not even a codec: the standard library is not shown there."""
    program = (
        "import os, sys\n"
        "from fruix.sandbox.linux import identity, network, slirp, usage\n"
        "assert 'encodings.ascii' not in sys.modules\n"
        "sys.meta_path.clear()\n"
        "assert identity.read_last_capability() > 0\n"
        "assert network.has_default_route() in {True, False}\n"
        "assert usage.read_usage(os.getpid()) is not None\n"
    )
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
