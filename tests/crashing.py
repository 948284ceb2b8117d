"""Daemons that may crash and clients that may be killed, each in a process of its own.

And what is looked for afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

import waiting
from fruix import failpoints
from fruix.building.parking import of_running_daemons
from fruix.building.recovery import user_locks
from fruix.building.settings import BUILD_UID_COUNT, FIRST_BUILD_UID
from fruix.client import RemoteStore, connect
from fruix.daemon.asked import Asked
from fruix.daemon.main import main
from fruix.errors import FruixError, UnreachableError
from fruix.model.build_options import BuildOptions
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from fruix.sandbox.back_ends import current
from fruix.sandbox.linux.cgroup import CgroupParent
from fruix.store import Layout, LocalStore, schema
from fruix.store.leftovers import LINKS
from machine import Machine, left_over, private_frx
from waiting import PATIENCE

LAYOUT = Layout()
SOCKET = LAYOUT.socket
_daemons: set[int] = set()


def stored_shell() -> Any:
    """The fixture `shell` of a module: a shell in a store of its own, which no daemon has open yet."""

    @pytest.fixture(scope="module")
    def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorePath]:
        with private_frx():
            with LocalStore(Layout()).open() as store:
                path = Machine(store, None).shell(tmp_path_factory.mktemp("shell"))  # type: ignore[arg-type]
            yield path

    return shell


def child(work: Callable[[], int]) -> int:
    """A process that does `work` and exits with what it returns."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = work()
        except FruixError as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        except BaseException:  # noqa: BLE001 - the process ends here; what it died of has to be seen
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def exit_of(pid: int) -> int:
    """Wait for a process's end: its status, or the negative number of the signal."""
    _daemons.discard(pid)
    return waiting.exit_of(pid)


def start_daemon(
    fault: str = "",
    limits: Mapping[int, int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """A daemon with a fault armed, under limits on resources, with more variables."""

    def work() -> int:
        for which, value in (limits or {}).items():
            resource.setrlimit(which, (value, value))
        for name in [name for name in os.environ if name.startswith(("FRUIX_", "NIX_"))]:
            del os.environ[name]
        os.environ.update(environment or {})
        os.environ[failpoints.VARIABLE] = fault
        return main(Asked())

    daemon = child(work)
    _daemons.add(daemon)
    return daemon


def clear_away() -> None:
    """After a test that went wrong: the next one finds no daemon."""
    for daemon in list(_daemons):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(daemon, signal.SIGKILL)
            exit_of(daemon)
    _daemons.clear()


def connected(daemon: int, layout: Layout = LAYOUT) -> RemoteStore:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return connect(layout.socket, layout.store)
        except UnreachableError:
            assert time.monotonic() < deadline
            assert os.waitpid(daemon, os.WNOHANG) == (0, 0), "the daemon ended before it was ready"
            time.sleep(0.01)


def ask(path: StorePath, options: BuildOptions | None = None) -> tuple[int, dict[str, str]]:
    """Build in a client process of its own: its exit status, and what it heard."""
    reading, writing = os.pipe()

    def work() -> int:
        os.close(reading)
        with connect(SOCKET, "/frx/store") as store:
            try:
                ((_, result),) = store.build(
                    [DerivedPath(path, ALL)], options or BuildOptions(), lambda _event: None
                )
                heard = {"status": result.status.name, "message": result.message}
            except FruixError as error:
                heard = {"status": type(error).__name__, "message": str(error)}
            os.write(writing, json.dumps(heard).encode())
        return 0

    pid = child(work)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    return exit_of(pid), json.loads(said) if said else {}


def derivation(store: RemoteStore, name: str, shell: StorePath, wait: int = 0) -> StorePath:
    """One with two outputs and a process that wants to stay; `wait`: seconds before it makes them."""
    here = Machine(store, None)  # type: ignore[arg-type]
    outputs = {output: DerivationOutput(None) for output in ("out", "lib")}
    script = (
        f"echo running; (setsid sleep 1000 &); sleep {wait}; "
        "mkdir $out $lib; echo x > $out/x; ln -s $out $lib/link"
    )
    return here.derivation(name, script, shell, outputs=outputs)


def traces(store: RemoteStore) -> list[str]:
    """All that a crashed build could have left, a line each, when what is done behind answers is done."""
    deadline = time.monotonic() + PATIENCE
    while (found := _traces(store)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _traces(store: RemoteStore) -> list[str]:
    layout = Layout()
    found = left_over(layout)
    registered = {path.base for path in store.all_valid_paths()}
    places = [place for place in layout.staging if os.path.isdir(place)]
    registered |= {os.path.basename(place) for place in places}
    found += [name for name in os.listdir(layout.store) if name not in {LINKS, *registered}]
    staging = [name for place in places for name in os.listdir(place)]
    if len(staging) > 1:  # the running daemon has one
        found += staging
    locks = user_locks(layout)
    for uid in range(FIRST_BUILD_UID, FIRST_BUILD_UID + BUILD_UID_COUNT):
        found += [f"process {pid} of user {uid}" for pid in current().processes_of(uid)]
        found += [f"lock of user {uid}"] * (locks.holder(uid) is not None)
    found += [f"mount {mount}" for mount in current().mounts_below(layout.builds)]
    if (parent := CgroupParent.find()) is not None:
        # Those of other stores are not this one's to end.
        own = f"-{identity(layout)[:8]}-"
        groups = [name for name in os.listdir(parent.path) if name.startswith("frx-") and own in name]
        ready = of_running_daemons(layout.builds)
        found += [f"cgroup {name}" for name in groups if name not in ready]
    return found


def identity(layout: Layout) -> str:
    """The store's, which the names of its sandboxes hold."""
    with closing(sqlite3.connect(layout.database)) as database:
        return str(database.execute(schema.GET_IDENTITY).fetchone()[0])
