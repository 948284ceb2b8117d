from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.serving import Running, build_events, running
from fruix.client import connect, waiting_texts
from fruix.errors import (
    BadStorePathError,
    FruixError,
    HostViewError,
    ImportMismatchError,
    InvalidPathError,
    NotPermittedError,
    ProtocolError,
    UnreachableError,
    UsageError,
)
from fruix.model.activity import ActiveBuild, Client, State
from fruix.model.aterm import render
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.events import Event
from fruix.model.hashes import Hash
from fruix.model.pathinfo import PathInfo
from fruix.model.planned import BuildPlan, PlannedBuild
from fruix.model.storepath import StorePath
from fruix.model.text_object import Text

OTHER = Hash.of("sha256", b"something else").prefixed
ASKER = Requester(os.getuid(), os.getgid(), os.getpid())


def some(directory: str, name: str = "thing") -> StorePath:
    return StorePath.of(directory, f"{'a' * 32}-{name}")


def test_greeting(daemon: Running) -> None:
    with daemon.connect() as store:
        assert store.daemon_version.startswith("fruix ")
        assert store.trusted is True


def test_texts_and_queries_agree_with_the_local_store(daemon: Running) -> None:
    with daemon.connect() as store:
        first = store.add_text("first", b"one")
        second = store.add_text("second", f"see {first}".encode(), [first])
        local = daemon.store
        assert store.is_valid(first)
        assert not store.is_valid(some(store.directory))
        assert store.valid_paths([first, second, some(store.directory)]) == {first, second}
        assert store.path_info(second) == local.path_info(second)
        assert store.path_info(some(store.directory)) is None
        assert store.references(second) == [first]
        assert store.referrers(first) == [second]
        assert store.closure([second]) == {first, second}
        assert store.from_hash_part(first.hash_part) == first
        assert store.from_hash_part("0" * 32) is None
        assert store.all_valid_paths() == sorted([first, second])
        assert store.valid_derivers(first) == []
        assert b"".join(store.nar(second)) == b"".join(local.nar(second))


def test_texts_that_wait_are_there_when_something_is_asked(daemon: Running) -> None:
    """They are sent together, each may refer to those before it, and nothing that is asked overtakes them."""
    with daemon.connect() as store:
        paths: list[StorePath] = []
        for number in range(2 * waiting_texts.MOST + 10):
            text = Text(f"t-{number}", b"%d" % (number % 400), tuple(paths[-1:]))
            paths.append(store.add_text_soon(text))
            assert paths[-1] == text.path(store.directory)
        assert daemon.store.path_info(paths[-1]) is None
        assert store.is_valid(paths[-1])
        assert [daemon.store.references(path) for path in paths] == [[], *([path] for path in paths[:-1])]
        assert daemon.store.verify(contents=True) == []
        again = store.add_text_soon(Text("t-0", b"0", ()))
        other = store.add_text_soon(Text("other", b"", ()))
    assert again == paths[0]
    assert daemon.store.is_valid(other), "those that wait at the end are added"


def test_long_texts_wait_for_few(daemon: Running) -> None:
    with daemon.connect() as store:
        paths = [store.add_text_soon(Text(f"t-{n}", bytes([n]) * 100_000, ())) for n in range(40)]
        assert store.valid_paths(paths) == set(paths)


def test_a_text_that_is_refused_is_told_later_and_those_before_it_stay(daemon: Running) -> None:
    with daemon.connect() as store:
        missing = some(store.directory)
        with pytest.raises(BadStorePathError, match="dot"):
            store.add_text_soon(Text(".hidden", b"", ()))
        first = store.add_text_soon(Text("first", b"", ()))
        wrong = store.add_text_soon(Text("wrong", b"", (missing,)))
        later = store.add_text_soon(Text("later", b"", ()))
        with pytest.raises(InvalidPathError) as caught:
            store.is_valid(first)
        assert caught.value.path == str(missing)
        assert store.is_valid(first)
        assert not store.is_valid(wrong)
        assert not store.is_valid(later)
        assert not os.path.exists(str(wrong))


def test_other_daemons_get_texts_one_by_one(daemon: Running) -> None:
    with daemon.connect() as store:
        store._exchange.context = replace(store._exchange.context, features=frozenset())
        path = store.add_text_soon(Text("one", b"text", ()))
        assert daemon.store.is_valid(path)


def test_trees_and_files(daemon: Running, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "tool").write_bytes(os.urandom(300_000))
    (tree / "link").symlink_to("bin/tool")
    with daemon.connect() as store:
        path = store.add_path("tree", str(tree))
        assert Path(f"{path}/bin/tool").read_bytes() == (tree / "bin" / "tool").read_bytes()
        flat = store.add_path("tool", str(tree / "bin" / "tool"), Method.FLAT)
        assert Path(str(flat)).read_bytes() == (tree / "bin" / "tool").read_bytes()
        assert store.path_info(flat) == daemon.store.path_info(flat)


def test_archives(daemon: Running) -> None:
    with daemon.connect() as store:
        archive = b"".join(store.nar(store.add_text("a", b"text")))
        path = some(store.directory)
        info = PathInfo(path, Hash.of("sha256", archive), len(archive))
        store.add_nar(info, [archive[:10], archive[10:]])
        assert b"".join(store.nar(path)) == archive
        wrong = PathInfo(some(store.directory, "wrong"), Hash.of("sha256", b""), len(archive))
        with pytest.raises(ImportMismatchError) as caught:
            store.add_nar(wrong, [archive])
        assert caught.value.message == (
            f"hash mismatch importing path '{wrong.path}';\n"
            f"  specified: {wrong.nar_hash.prefixed}\n  got:       {info.nar_hash.prefixed}"
        )
        long, short = (replace(info, path=wrong.path, nar_size=len(archive) + more) for more in (1, -1))
        address = ContentAddress.parse(f"text:{OTHER}")
        claimed = path_for(address, "c", store.directory, ())
        addressed = replace(info, path=claimed, content_address=address)
        for bad, why in ((long, "size"), (short, "size"), (addressed, "ca hash")):
            with pytest.raises(ImportMismatchError, match=f"{why} mismatch importing path '{bad.path}';"):
                store.add_nar(bad, [archive])
            assert not store.is_valid(bad.path)


def test_errors_keep_the_session_and_their_class(daemon: Running) -> None:
    with daemon.connect() as store:
        with pytest.raises(BadStorePathError, match="dot"):
            store.add_text(".hidden", b"")
        with pytest.raises(InvalidPathError) as caught:
            store.add_text("name", b"", [some(store.directory)])
        assert caught.value.path == str(some(store.directory))
        with pytest.raises(HostViewError) as view:
            store.host_view("nope")
        assert view.value.hint == "offered: base"
        with pytest.raises(InvalidPathError):
            list(store.nar(some(store.directory)))
        with pytest.raises(BadStorePathError):
            store.from_hash_part("short")
        assert store.is_valid(store.add_text("still", b"works"))


def test_an_error_while_sending_closes(daemon: Running, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("disk gone")

    with daemon.connect() as store:
        path = some(store.directory)
        with pytest.raises(OSError, match="disk gone"):
            store.add_nar(PathInfo(path, Hash.of("sha256", b""), 10), broken())
        with pytest.raises(FruixError):
            store.is_valid(path)
    with daemon.connect() as store:
        assert not store.is_valid(path)


def test_roots(daemon: Running) -> None:
    with daemon.connect() as store:
        path = some(store.directory)
        store.add_temp_root(path)
        assert path in daemon.store.temp_roots
        with pytest.raises(UsageError):
            store.add_indirect_root("relative")
        store.add_indirect_root("/somewhere/result")


def test_host_view(daemon: Running) -> None:
    with daemon.connect() as store:
        assert store.host_view("base") == daemon.builder.host_view("base")
        fingerprints = (("0" * 64, 1_700_000_000), ("ab" * 32, 1_800_000_000))
        assert store.host_views() == {"base": fingerprints, "other": ()}


def test_build_passes_events_options_and_results(daemon: Running) -> None:
    with daemon.connect() as store:
        drv = some(store.directory, "thing.drv")
        daemon.builder.events = build_events(drv)
        failed = BuildResult(
            BuildStatus.OUTPUT_REJECTED,
            "no\nway",
            1,
            True,
            5,
            6,
            7,
            None,
            {"out": some(store.directory)},
            "ab" * 32,
        )
        daemon.builder.results = {drv: failed}
        seen: list[Event] = []
        options = BuildOptions(
            keep_going=True,
            keep_failed=True,
            cores=3,
            timeout=0,
            max_silent_time=9,
            max_jobs=0,
            max_log_size=1000,
            rounds=3,
            mode=BuildMode.CHECK,
        )
        request = DerivedPath(drv, ALL)
        told = replace(failed, outputs={}, drv_hash="")
        assert store.build([request], options, seen.append) == [(request, told)]
        assert seen == daemon.builder.events
        assert without_trust(daemon) == [replace(options, requester=ASKER)]
        assert store.missing([request]).will_build == (drv,)


def without_trust(daemon: Running) -> list[BuildOptions]:
    """Whose word on substitutes counts is the daemon's affair."""
    seen = daemon.builder.seen
    return [replace(one, substitutes=replace(one.substitutes, trust=None)) for one in seen]


def test_build_without_options_has_none(daemon: Running) -> None:
    with daemon.connect() as store:
        store.build([DerivedPath(some(store.directory), None)])
        assert without_trust(daemon) == [BuildOptions(requester=ASKER)]


def test_leaving_during_a_build_cancels_it(daemon: Running) -> None:
    daemon.builder.wait = True
    store = daemon.connect()

    def leave() -> None:
        daemon.builder.started.wait(60)
        store._exchange._stream.shutdown(2)

    thread = threading.Thread(target=leave)
    thread.start()
    with pytest.raises(FruixError):
        store.build([DerivedPath(some(store.directory, "a.drv"), ALL)])
    thread.join()
    assert daemon.builder.cancelled.wait(60)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (str, "there is no socket of that name"),
        (lambda path: path.write_text(""), "daemon"),
    ],
)
def test_nobody_there(tmp_path: Path, make: object, reason: str) -> None:
    assert callable(make)
    make(tmp_path / "socket")
    with pytest.raises(UnreachableError, match=reason) as caught:
        connect(str(tmp_path / "socket"))
    assert "FRUIX_DAEMON_SOCKET" in caught.value.hint
    assert caught.value.where == str(tmp_path / "socket")


def test_builds_of_all_clients_and_plans(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, daemon.connect() as store:
        drv = StorePath.of(store.directory, f"{'a' * 32}-thing-1.drv")
        row = ActiveBuild(
            drv, "build", State.RUNNING, 5, 6, "check", 7, None, 42, 1, 2, 3, "/log", (Client(0, "root", 9),)
        )
        daemon.builder.rows = [row, ActiveBuild(drv, "download", State.QUEUED, 5)]
        assert store.active_builds() == daemon.builder.rows
        plan = store.plan([DerivedPath(drv, ALL)])
        assert plan == BuildPlan((PlannedBuild(drv, missing=("out",)),), 2)


def test_a_terminal_comes_with_a_message(daemon: Running) -> None:
    seen: list[tuple[str, bytes]] = []

    def on_open(descriptor: int, text: str) -> None:
        assert not os.get_inheritable(descriptor)
        with open(descriptor, "rb") as file:
            seen.append((text, file.read()))

    with daemon.connect() as store:
        drv = some(store.directory, "thing.drv")
        assert store.enter(drv, "xterm", ["a", "b"], on_open) == 7
        assert store.enter(drv, "dumb", ["die"], on_open) == 128 + 9
        assert seen == [("shell on xterm", b"('a', 'b')"), ("shell on dumb", b"('die',)")]
        assert not store.is_valid(drv)  # the connection goes on


def test_entering_is_for_trusted_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fruix.daemon.peers import Access

    monkeypatch.setattr(Access, "admit", lambda *_: False)
    with running(tmp_path) as daemon, daemon.connect() as store:
        drv = some(store.directory, "thing.drv")
        with pytest.raises(NotPermittedError, match="for trusted users"):
            store.enter(drv, "xterm", (), lambda *_: pytest.fail("opened"))


def test_who_leaves_a_sandbox_ends_it(daemon: Running) -> None:
    daemon.builder.wait = True
    store = daemon.connect()

    def on_open(descriptor: int, _text: str) -> None:
        os.close(descriptor)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.enter(some(store.directory, "thing.drv"), "xterm", (), on_open)
    assert daemon.builder.cancelled.wait(60)


def test_daemons_of_other_kinds_say_less(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with daemon.connect() as store:
        plain = Derivation("thing", {"out": DerivationOutput(None)}, {}, (), "s", "b", (), {"text": ""})
        made = fill_outputs(plain, DerivationHasher(store.read_derivation), store.directory)
        drv = store.add_text("thing.drv", render(made))
        for module in ("remote", "contents", "garbage"):
            monkeypatch.setattr(f"fruix.client.{module}.FEATURE", "something else")
        assert store.plan([DerivedPath(drv, ALL)]) == BuildPlan((PlannedBuild(drv, missing=("out",)),))
        with pytest.raises(ProtocolError, match="can't list builds"):
            store.active_builds()
        with pytest.raises(ProtocolError, match="can't be entered"):
            store.enter(drv, "dumb", (), lambda *_: None)
