"""What clients of Nix before 2.8 ask in another form: sessions of minor versions 21 to 33."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from daemon.asking import client, some
from daemon.serving import Running, build_events, running
from fruix.dataclass import replace
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import LogLine
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import Missing
from fruix.model.realisation import Realisation
from fruix.protocol import messages
from fruix.protocol.activities import ActivityType, Level
from fruix.protocol.build_codecs import BUILD_RESULT
from fruix.protocol.messages import Failure, Last, Message, Next, Read, Result, StartActivity
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Context, Dialect, write_string

VALID, ADD_NAR, MISSING, REGISTER, REALISED = 31, 39, 40, 42, 43
IDENTITY = f"sha256:{'ab' * 32}!out"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def _archive(daemon: Running) -> tuple[PathInfo, bytes]:
    """A path that isn't valid, and its archive."""
    path = daemon.store.add_text("thing", b"x" * 100_000)
    info, archive = daemon.store.path_info(path), b"".join(daemon.store.nar(path))
    assert info
    other = some(daemon, "other")
    return replace(info, path=other, content_address=None, references=()), archive


def _send(daemon: Running, info: PathInfo, data: bytes, piece: int) -> tuple[list[int], Message]:
    """What a client does that is asked for an archive: how much it was asked for, and the end."""
    user = client(daemon, minor=21)
    user.greet()
    user.request(ADD_NAR, info, False, True)
    asked: list[int] = []
    while isinstance(message := messages.read(user.source, user.context), Read):
        asked.append(message.limit)
        answer = bytearray()
        write_string(answer, data[: min(piece, message.limit)])
        data = data[min(piece, message.limit) :]
        user.stream.sendall(answer)
    if isinstance(message, Last):
        assert user.call(1, info.path) == ([Last()], True)
    return asked, message


def test_archives_are_asked_for(daemon: Running) -> None:
    info, archive = _archive(daemon)
    asked, said = _send(daemon, info, archive, 4096)
    assert len(asked) == len(archive) // 4096 + 1
    assert said == Last()
    assert b"".join(daemon.store.nar(info.path)) == archive
    assert _send(daemon, info, archive, 50_000)[1] == Last(), "it is there"


def test_an_archive_that_breaks_off_is_an_error(daemon: Running) -> None:
    info, archive = _archive(daemon)
    _, said = _send(daemon, info, archive[:50_000], 4096)
    assert isinstance(said, Failure)
    assert not daemon.store.is_valid(info.path)


def test_questions_have_fewer_fields(daemon: Running) -> None:
    user = client(daemon, minor=26)
    user.greet()
    path = daemon.store.add_text("thing", b"x")
    assert user.call(VALID, (path, some(daemon)))[1] == (path,)


@pytest.mark.parametrize(("minor", "asked"), [(21, ALL), (29, ALL), (30, None)])
def test_a_derivation_alone_stood_for_its_outputs(
    daemon: Running, minor: int, asked: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drv, seen = some(daemon, "thing.drv"), list[DerivedPath]()

    def missing(requests: Iterable[DerivedPath], *_: object) -> Missing:
        seen.extend(requests)
        return Missing(will_build=(drv,))

    monkeypatch.setattr(daemon.builder, "missing", missing)
    user = client(daemon, minor=minor)
    user.greet()
    request = bytearray()
    write_string(request, drv.text.encode())
    user.send(MISSING, 1)
    user.stream.sendall(request)
    assert user.messages() == [Last()]
    assert seen == [DerivedPath(drv, asked)]


@pytest.mark.parametrize(("minor", "size"), [(21, 24), (28, 32), (29, 64), (37, 80)])
def test_results_grew(minor: int, size: int) -> None:
    """By outputs, by times, by what the processor was busy."""
    sink = bytearray()
    BUILD_RESULT.write(
        sink, BuildResult(BuildStatus.BUILT, "word"), Context(Dialect.NIX, minor, "/frx/store")
    )
    assert len(sink) == size


@pytest.mark.parametrize(("minor", "heard"), [(21, 2), (26, 3)])
def test_there_was_no_level_for_notices(daemon: Running, minor: int, heard: int) -> None:
    """What is above it had the number before."""
    drv = some(daemon, "thing.drv")
    daemon.builder.events = build_events(drv)
    user = client(daemon, minor=minor)
    user.greet()
    user.call(19, ClientOptions(verbosity=Level.INFO))
    said = user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)[0]
    (began,) = (each for each in said if isinstance(each, StartActivity) and each.type == ActivityType.BUILD)
    sent = messages.encode(began, user.context)
    assert began.level == Level.INFO
    assert int.from_bytes(sent[16:24], "little") == heard


@pytest.mark.parametrize(("minor", "verbosity", "shown"), [(21, 0, True), (21, 7, False), (26, 0, False)])
def test_lines_of_builders_were_texts(daemon: Running, minor: int, verbosity: int, shown: bool) -> None:
    """Where the client wanted to show them."""
    drv = some(daemon, "thing.drv")
    daemon.builder.events = [LogLine(drv, "a line")]
    user = client(daemon, minor=minor)
    user.greet()
    user.call(19, ClientOptions(verbosity=Level.INFO, build_verbosity=verbosity))
    said = user.call(9, (DerivedPath(drv, ALL),), BuildMode.NORMAL)[0]
    assert (Next("a line\n") in said) == shown
    assert any(isinstance(each, Result) and each.fields == ("a line",) for each in said) != shown


@pytest.mark.parametrize("minor", [28, 31])
def test_realisations_had_no_text_of_their_own(daemon: Running, minor: int) -> None:
    path = daemon.store.add_text("thing", b"x")
    user = client(daemon, Dialect.NIX, minor)
    user.greet()
    assert user.call(REALISED, IDENTITY)[1] == ()
    assert user.call(REGISTER, Realisation(IDENTITY, path))[0] == [Last()]
    (found,) = user.call(REALISED, IDENTITY)[1]
    assert found == Realisation(IDENTITY if minor >= 31 else "", path)
