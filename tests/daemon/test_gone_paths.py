"""Valid paths whose files somebody deleted: what clients of both dialects get when they ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.asking import client
from daemon.serving import Running, running
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.protocol.messages import Failure, Last
from fruix.protocol.wire import Dialect

EACH_DIALECT = pytest.mark.parametrize(("dialect", "minor"), [(Dialect.NIX, 38), (Dialect.GUIX, 0x64)])


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@EACH_DIALECT
def test_making_sure_of_a_path_makes_it_again(daemon: Running, dialect: Dialect, minor: int) -> None:
    path = daemon.store.add_text("a", b"b")
    user = client(daemon, dialect, minor)
    user.greet()
    said, _ = user.call(10, path)
    assert (said[-1], daemon.builder.seen) == (Last(), []), "nothing to do"
    os.unlink(str(path))
    said, _ = user.call(10, path)
    assert said[-1] == Last()
    assert len(daemon.builder.seen) == 1


@EACH_DIALECT
def test_what_can_not_be_made_again_is_an_error(daemon: Running, dialect: Dialect, minor: int) -> None:
    """Also of Guix, where asking for a path that nobody can provide is none."""
    path = daemon.store.add_text("a", b"b")
    os.unlink(str(path))
    user = client(daemon, dialect, minor)
    user.greet()
    request = (DerivedPath(path, None),)
    daemon.builder.results[path] = BuildResult(BuildStatus.NO_SUBSTITUTERS, "nobody has it")
    said, _ = user.call(9, request, BuildMode.NORMAL)
    assert isinstance(said[-1], Failure) is (dialect is Dialect.NIX)
    daemon.builder.results[path] = BuildResult(BuildStatus.MISC_FAILURE, "corrupted or missing")
    for number, values in ((9, (request, BuildMode.NORMAL)), (10, (path,))):
        said, _ = user.call(number, *values)
        assert isinstance(said[-1], Failure)
