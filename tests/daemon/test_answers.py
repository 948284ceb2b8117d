"""A question that is asked again is answered from memory, and only as long as the answer holds."""

from __future__ import annotations

import os
import shutil
import threading

import pytest

from daemon.serving import Running, build_events
from fruix.client import RemoteStore
from fruix.daemon import answers
from fruix.daemon.answers import Answer, Answers
from fruix.daemon.handlers.quick import QuickQuestions
from fruix.daemon.session import Session
from fruix.errors import FruixError, StoreError
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol.operations import operations
from fruix.protocol.wire import Context, Dialect
from fruix.store.database import Database
from fruix.store.database_file import Version
from fruix.store.local import LocalStore


@pytest.fixture
def worked_on(worked_on: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The same, and those that were answered from the database: all that were not from memory."""
    real_answer = QuickQuestions.answer

    def answer(self: QuickQuestions, session: Session, request: bytes) -> tuple[bytes, Version] | None:
        if (found := real_answer(self, session, request)) is not None:
            worked_on.append(operations(session.context)[int.from_bytes(request[:8], "little")].name)
        return found

    monkeypatch.setattr(QuickQuestions, "answer", answer)
    return worked_on


def questions(user: RemoteStore, path: StorePath) -> list[object]:
    return [user.is_valid(path), user.path_info(path), sorted(user.referrers(path))]


def test_what_was_asked_is_not_worked_on_again(
    daemon: Running, user: RemoteStore, worked_on: list[str]
) -> None:
    path = daemon.store.add_text("text", b"")
    first = questions(user, path)
    asked = list(worked_on)
    assert len(asked) == 3
    assert questions(user, path) == first
    with daemon.connect() as another:
        worked_on.clear()
        assert questions(another, path) == first
    assert not {"IsValidPath", "QueryPathInfo", "QueryReferrers"} & set(worked_on)


def test_registration_changes_answers(daemon: Running, user: RemoteStore) -> None:
    path = daemon.store.add_text("text", b"")
    assert questions(user, path)[2] == []
    user_of_it = daemon.store.add_text("user", b"", [path])
    assert questions(user, path)[2] == [user_of_it]


def test_deletion_and_new_validity_change_answers(daemon: Running, user: RemoteStore) -> None:
    path = daemon.store.add_text("text", b"")
    assert questions(user, path)[0]
    daemon.store.database.remove([path])
    assert questions(user, path) == [False, None, []]
    shutil.rmtree(f"{daemon.store.directory}/{path.base}", ignore_errors=True)
    daemon.store.add_text("text", b"")
    assert questions(user, path)[0]


def test_signatures_change_answers(daemon: Running, user: RemoteStore) -> None:
    path = daemon.store.add_text("text", b"")
    assert not user.path_info(path).signatures  # type: ignore[union-attr]
    signature = "key:" + "A" * 86 + "=="
    daemon.store.add_signatures(path, [signature])
    assert user.path_info(path).signatures == (signature,)  # type: ignore[union-attr]


def test_another_process_changes_answers(daemon: Running, user: RemoteStore) -> None:
    """What another one commits is seen as this one's own is: by a connection that never writes."""
    path = daemon.store.add_text("text", b"")
    assert questions(user, path)[0]
    other = Database(daemon.store.layout.database, daemon.store.directory)
    other.open()
    other.remove([path])
    other.close()
    assert questions(user, path) == [False, None, []]


def test_a_removed_store_changes_answers(daemon: Running, user: RemoteStore) -> None:
    path = daemon.store.add_text("text", b"")
    daemon.store.sync()
    assert questions(user, path)[0]
    shutil.rmtree(daemon.store.directory)
    shutil.rmtree(daemon.store.layout.state)
    assert questions(user, path) == [False, None, []]
    again = daemon.store.add_text("text", b"")
    assert again == path
    assert questions(user, path)[0]


def test_where_the_version_can_t_be_read_the_question_is_worked_on(
    daemon: Running, user: RemoteStore, monkeypatch: pytest.MonkeyPatch, worked_on: list[str]
) -> None:
    path = daemon.store.add_text("text", b"")
    first = questions(user, path)

    def unreadable(_database: Database) -> tuple[int, int]:
        raise StoreError("input/output error")

    monkeypatch.setattr(Database, "version", unreadable)
    for _ in range(2):
        worked_on.clear()
        assert questions(user, path) == first
        assert len(worked_on) == 3


def test_errors_are_not_kept(daemon: Running, user: RemoteStore) -> None:
    path = StorePath.of(daemon.store.directory, "0" * 32 + "-text")
    for _ in range(2):
        with pytest.raises(FruixError, match="is not valid"):
            user.references(path)


def test_requests_that_arrive_together_are_answered_one_by_one(daemon: Running) -> None:
    """The second half of what arrived is no request of its own."""
    path = str(daemon.store.add_text("text", b"")).encode()
    padded = len(path).to_bytes(8, "little") + path + bytes(-len(path) % 8)
    request = (1).to_bytes(8, "little") + padded
    true = (1).to_bytes(8, "little")
    with daemon.connect():
        stream = daemon.plugged[-1]
        for together in (1, 1, 3, 2, 1):
            stream.sendall(request * together)
            received = b""
            while len(received) < 16 * together:
                received += stream.recv(4096)
            assert received[8:16] == true
            assert received == received[:16] * together


def build(user: RemoteStore, path: StorePath, mode: BuildMode = BuildMode.NORMAL) -> BuildStatus:
    ((_, result),) = user.build([DerivedPath(path, None)], BuildOptions(mode=mode))
    return result.status


def test_a_build_that_needs_nothing_is_not_planned_again(
    daemon: Running, user: RemoteStore, worked_on: list[str]
) -> None:
    path, output = (daemon.store.add_text(name, b"") for name in ("text", "output"))
    daemon.builder.results[path] = BuildResult(BuildStatus.ALREADY_VALID, outputs={"out": output})
    assert build(user, path) is BuildStatus.ALREADY_VALID
    planned = len(daemon.builder.seen)
    with daemon.connect() as another:
        worked_on.clear()
        assert build(another, path) is BuildStatus.ALREADY_VALID
        assert "BuildPathsWithResults" not in worked_on
        assert len(daemon.builder.seen) == planned
        user.close()
        own = [roots for roots in daemon.store.temp_roots._sessions.values() if path in roots]
        assert any(output in roots for roots in own)  # of the session that was answered from memory
    for mode in (BuildMode.CHECK, BuildMode.REPAIR):
        with daemon.connect() as another:
            build(another, path, mode)
            build(another, path, mode)
    assert len(daemon.builder.seen) == planned + 4


def test_a_build_whose_output_was_deleted_by_hand_is_planned_again(
    daemon: Running, user: RemoteStore
) -> None:
    path, output = (daemon.store.add_text(name, b"") for name in ("text", "output"))
    daemon.builder.results[path] = BuildResult(BuildStatus.ALREADY_VALID, outputs={"out": output})
    build(user, path)
    os.unlink(str(output))
    build(user, path)
    assert len(daemon.builder.seen) == 2


def test_a_build_is_planned_again_when_something_was_committed(daemon: Running, user: RemoteStore) -> None:
    path = daemon.store.add_text("text", b"")
    build(user, path)
    daemon.store.add_text("other", b"")
    build(user, path)
    assert len(daemon.builder.seen) == 2


def test_a_build_of_which_the_client_was_told_something_is_planned_again(
    daemon: Running, user: RemoteStore
) -> None:
    path = daemon.store.add_text("text", b"")
    daemon.builder.events = build_events(path)
    build(user, path)
    build(user, path)
    assert len(daemon.builder.seen) == 2


def test_a_build_that_failed_is_planned_again(daemon: Running, user: RemoteStore) -> None:
    path = daemon.store.add_text("text", b"")
    daemon.builder.results[path] = BuildResult(BuildStatus.PERMANENT_FAILURE, "no")
    build(user, path)
    build(user, path)
    assert len(daemon.builder.seen) == 2


VERSIONS = [(1, 1), (1, 2)]
CONTEXT = Context(Dialect.NIX, 38, "/frx/store")
ANSWER = Answer(b"answer")


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    current = VERSIONS[0]
    kept = Answers(lambda: current)
    dialect = kept.dialect(CONTEXT)
    kept.see(current)
    kept.keep(dialect, b"request", ANSWER, VERSIONS[0])
    assert kept.find(dialect, b"request") is ANSWER
    current = VERSIONS[1]
    assert kept.find(dialect, b"request") is None
    kept.keep(dialect, b"request", Answer(b"old"), VERSIONS[0])  # a session that was slow
    assert kept.find(dialect, b"request") is None


def test_each_dialect_has_answers_of_its_own() -> None:
    kept = Answers(lambda: VERSIONS[0])
    kept.see(VERSIONS[0])
    nix, guix = kept.dialect(CONTEXT), kept.dialect(Context(Dialect.GUIX, 0x64, "/frx/store"))
    assert kept.dialect(Context(Dialect.NIX, 38, "/frx/store")) == nix
    kept.keep(nix, b"request", ANSWER, VERSIONS[0])
    assert kept.find(guix, b"request") is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MOST", 100_000)
    kept = Answers(lambda: VERSIONS[0])
    kept.see(VERSIONS[0])
    dialect = kept.dialect(CONTEXT)
    for number in range(10_000):
        kept.keep(dialect, b"%d" % number, Answer(bytes(1000)), VERSIONS[0])
        assert sum(len(answer.data) for answer in kept._kept[dialect].values()) <= 100_000
    assert kept.find(dialect, b"9999")
    kept.keep(dialect, b"big", Answer(bytes(1 << 15)), VERSIONS[0])
    assert kept.find(dialect, b"big") is None


def test_questions_beside_writers_are_never_answered_with_what_is_gone(daemon: Running) -> None:
    """Each text is valid from its registration to its removal, whatever others ask meanwhile."""
    paths = [daemon.store.add_text(f"text-{number}", b"") for number in range(40)]
    ended = threading.Event()

    def ask() -> None:
        with daemon.connect() as user:
            while not ended.is_set():
                for path in paths:
                    user.is_valid(path)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    store: LocalStore = daemon.store
    try:
        with daemon.connect() as user:
            for path in paths:
                assert user.is_valid(path)
                store.database.remove([path])
                assert not user.is_valid(path)
    finally:
        ended.set()
        for thread in asking:
            thread.join()
