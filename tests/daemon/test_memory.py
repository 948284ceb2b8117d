"""What clients have the daemon hold is counted, in all and per user, and refused beyond its limits."""

from __future__ import annotations

import threading
import tracemalloc
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.asking import client, framed
from daemon.serving import Running, running
from daemon.test_crowds import until
from fruix.daemon import client_options
from fruix.daemon.budget import Account, Budget, CountedRoots
from fruix.daemon.handlers import query
from fruix.daemon.settings import Settings
from fruix.errors import FruixError, MemoryLimitError
from fruix.model import aterm
from fruix.model.activity import ActiveBuild, State
from fruix.model.contentaddress import ContentAddress, Method, path_for
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import DerivedPath
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.hashes import Hash
from fruix.model.nar import write
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.protocol.common_operations import SetOptions
from fruix.protocol.messages import Failure, Last
from fruix.protocol.options import MEANINGFUL, ClientOptions
from fruix.protocol.streams import write_objects
from fruix.protocol.wire import Context, Dialect
from fruix.store import Store
from fruix.store.memory import charged_to

MIB = 1 << 20


def settings(total: int = 8 * MIB, reserve: int = 0) -> Settings:
    return Settings(max_client_memory=total, reserved_client_memory=reserve)


def used(daemon: Running) -> int:
    return daemon.server._service.budget.used


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def paths(daemon: Running, count: int) -> list[StorePath]:
    return [StorePath.of(daemon.store.directory, f"{number:032}-some-path") for number in range(count)]


def test_sessions_keep_only_settings_that_mean_something(tmp_path: Path) -> None:
    """Twenty sessions with sixty settings of almost a megabyte each."""
    chosen = ClientOptions(overrides={**{f"s{number}": "x" * MIB for number in range(60)}, "cores": "2"})
    with running(tmp_path, settings(64 * MIB)) as daemon, ExitStack() as sessions:
        with traced():
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(20):
                store = sessions.enter_context(daemon.connect())
                store._set_options(chosen)
            held, highest = tracemalloc.get_traced_memory()
        assert held - before < 20 * MIB // 4
        # The client's own request is in this process too.
        assert highest - before < 4 * 60 * MIB
        until(lambda: used(daemon) == 0)


def test_a_request_that_is_too_large_is_refused_and_the_session_goes_on(tmp_path: Path) -> None:
    with running(tmp_path, settings()) as daemon, daemon.connect() as store:
        with pytest.raises(
            FruixError,
            match=r"all clients together may have the daemon hold 8 MiB \(setting 'max-client-memory'\)",
        ):
            store.valid_paths(paths(daemon, 100_000))
        with pytest.raises(MemoryLimitError):
            store.add_text("big", bytes(6 * MIB))
        until(lambda: used(daemon) == 0)
        assert store.valid_paths(paths(daemon, 5000)) == set()
        assert store.is_valid(store.add_text("big", bytes(3 * MIB)))
        until(lambda: used(daemon) < MIB)  # what it keeps: one root


@pytest.mark.parametrize("minor", [38, 0x64])
def test_refused_texts_of_both_dialects(tmp_path: Path, minor: int) -> None:
    with running(tmp_path, settings()) as daemon:
        user = client(daemon, Dialect.GUIX if minor == 0x64 else Dialect.NIX, minor)
        user.greet()
        for _ in range(3):
            said, _ = user.call(8, "text", bytes(6 * MIB), ())
            assert isinstance(said[-1], Failure)
            assert "max-client-memory" in said[-1].message
        assert user.call(1, paths(daemon, 1)[0])[1] is False


def test_replies_count_until_they_are_read(tmp_path: Path) -> None:
    with running(tmp_path, settings(2 * MIB)) as daemon:
        infos = [PathInfo(path, Hash.of("sha256", b""), 1, ()) for path in paths(daemon, 20_000)]
        daemon.store.register(infos[:2000])
        with daemon.connect() as store:
            assert len(store.all_valid_paths()) == 2000
            daemon.store.register(infos)
            with pytest.raises(MemoryLimitError):
                store.all_valid_paths()
            until(lambda: used(daemon) == 0)
            daemon.store.database.remove(info.path for info in infos)  # they have no files


def test_a_reply_without_rows_of_the_database_counts_too(tmp_path: Path) -> None:
    with running(tmp_path, settings(MIB)) as daemon, daemon.connect() as store:
        row = ActiveBuild(paths(daemon, 1)[0], "build", State.RUNNING, 0)
        daemon.builder.rows = [row] * 1000
        assert len(store.active_builds()) == 1000
        daemon.builder.rows = [row] * 10_000
        with pytest.raises(MemoryLimitError):
            store.active_builds()
        assert not store.is_valid(row.drv)


def test_temporary_roots_count_as_long_as_the_session(tmp_path: Path) -> None:
    with running(tmp_path, settings(MIB)) as daemon:
        with daemon.connect() as store:
            wanted = paths(daemon, 10_000)
            with pytest.raises(MemoryLimitError):
                deque(map(store.add_temp_root, wanted), maxlen=0)
            assert 1000 < len(daemon.store.temp_roots.all()) < MIB // 400
            store.add_temp_root(wanted[0])  # it is there
            assert used(daemon) > MIB // 2
            with daemon.connect() as other, pytest.raises(MemoryLimitError):
                other.valid_paths(wanted)
        until(lambda: used(daemon) == 0)


def test_derivations_count_while_they_are_looked_at(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        drv = a_derivation(daemon, 100_000)
        account = Account(Budget(settings(MIB)), 5, trusted=False)
        daemon.store._parsed._known.clear()
        with charged_to(account):
            daemon.store.read_derivation(drv)
            assert account.taken > 100_000
            for _ in range(5):
                daemon.store.read_derivation(drv)  # too large to be remembered
            with pytest.raises(MemoryLimitError):
                deque(map(daemon.store.read_derivation, [drv] * 10), maxlen=0)


def derivation(store: Store, name: str, size: int) -> Derivation:
    plain = Derivation(name, {"out": DerivationOutput(None)}, {}, (), "s", "b", (), {"text": "x" * size})
    return fill_outputs(plain, DerivationHasher(store.read_derivation), store.directory)


def a_derivation(daemon: Running, size: int) -> StorePath:
    with daemon.connect() as store:
        return store.add_text("d.drv", aterm.render(derivation(store, "d", size)))


def test_adding_derivations_costs_only_while_they_are_added(tmp_path: Path) -> None:
    with running(tmp_path, settings()) as daemon:
        a_derivation(daemon, 900_000)
        until(lambda: used(daemon) == 0)
        with pytest.raises(MemoryLimitError):
            a_derivation(daemon, 2_000_000)
        until(lambda: used(daemon) == 0)


def test_derivations_of_one_stream_count_one_by_one(tmp_path: Path) -> None:
    objects = []
    with running(tmp_path, settings(2 * MIB)) as daemon:
        for number in range(20):
            text = aterm.render(derivation(daemon.store, f"d{number}", 200_000))
            address = ContentAddress(Method.TEXT, Hash.of("sha256", text))
            path = path_for(address, f"d{number}.drv", daemon.store.directory)
            archive = (
                write.MAGIC + write.file_head(len(text), executable=False) + text + write.file_tail(len(text))
            )
            nar = Hash.of("sha256", archive)
            objects.append((PathInfo(path, nar, len(archive), (), content_address=address), iter([archive])))
        user = client(daemon)
        user.greet()
        body = framed(b"".join(write_objects(objects, len(objects), user.context)))
        assert user.call(44, False, True, body=body) == ([Last()], None)
        assert len(daemon.store.all_valid_paths()) == 20


def test_users_have_limits_and_the_trusted_a_reserve() -> None:
    budget = Budget(
        Settings(
            max_client_memory=10 * MIB, max_client_memory_per_user=6 * MIB, reserved_client_memory=2 * MIB
        )
    )
    one, again, other = (Account(budget, uid, trusted=False) for uid in (1, 1, 2))
    root = Account(budget, 0, trusted=True)
    one.take(4 * MIB)
    again.keep(2 * MIB)
    with pytest.raises(
        MemoryLimitError, match=r"clients of user 1 .* 6 MiB \(setting 'max-client-memory-per-user'\)"
    ):
        again.take(1)
    other.take(4 * MIB)
    with pytest.raises(MemoryLimitError, match="all clients together"):
        other.take(1)
    root.take(2 * MIB)
    with pytest.raises(MemoryLimitError):
        root.take(1)
    one.end_request()
    root.take(4 * MIB)
    for account in (one, again, other, root):
        account.close()
    assert budget.used == 0
    assert not budget._by_user


def test_a_root_is_kept_once() -> None:
    budget = Budget(settings())
    roots = CountedRoots(Account(budget, 1, trusted=False))
    path = StorePath.parse(f"/frx/store/{'0' * 32}-a")
    for _ in range(100_000):
        roots.add(path)
    assert roots == {path}
    assert budget.used < 1 << 15


def test_every_setting_that_is_looked_at_is_kept() -> None:
    assert set(client_options._SETTINGS) <= MEANINGFUL


def test_a_session_forgets_the_others() -> None:
    chosen = ClientOptions(overrides={"cores": "2", "unknown": "", "experimental-features": ""})
    assert client_options.kept(chosen, {}).overrides == {"cores": "2"}
    context = Context(Dialect.GUIX, 0x64, "/frx/store")
    session: Any = SimpleNamespace(context=context, trusted=False, options=ClientOptions())
    query.set_options(session, SetOptions(chosen))
    assert session.options == client_options.kept(chosen, {})
    query.set_options(session, SetOptions(ClientOptions(overrides={"timeout": "3", "junk": ""})))
    assert session.options.overrides == {"cores": "2", "timeout": "3"}, "what was named before holds"


def test_a_number_of_many_digits_is_no_number() -> None:
    chosen = ClientOptions(overrides={"cores": "1" * 5000})
    with pytest.raises(FruixError, match="should have an integer value"):
        client_options.check(chosen)


def test_a_build_counts_what_may_wait_for_its_client(tmp_path: Path) -> None:
    with running(tmp_path, settings(5 * MIB)) as daemon, ExitStack() as sessions:
        daemon.builder.wait = True
        request = DerivedPath(paths(daemon, 1)[0])
        told: list[str] = []

        def ask() -> None:
            try:
                sessions.enter_context(daemon.connect()).build([request])
            except FruixError as error:
                told.append(error.message)

        waiting = [threading.Thread(target=ask) for _ in range(3)]
        for thread in waiting:
            thread.start()
        until(lambda: bool(told))
        assert "'max-client-memory'" in told[0]
        daemon.server.stop()
        for thread in waiting:
            thread.join()
        until(lambda: used(daemon) == 0)
