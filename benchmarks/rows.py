"""What is measured, a function per row.

Given a daemon and the round's number it returns one figure (seconds, or a rate).

Everything that a row needs before the clock starts is made before. Names carry the round, so that
nothing is measured that was already there. Rows run in this order, each on all daemons in turn,
round by round.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import people_rows
import scale_rows
import store_rows
from peers import Daemon
from row import Data, Row, add_derivation, add_shell, timed, walk
from wire import Client, Write, bytes_archive, file_archive, is_valid_request

TEXTS = 20_000
INPUTS = 500
MANY = 100
BIG_OUTPUT = 256  # MiB
SINGLE = 10
ROUND_TRIPS = 4_000


def startup(daemon: Daemon, _data: Data, _round: int) -> float:
    """From the start of the program to the first finished greeting."""
    daemon.stop()
    return daemon.start()


def connect(daemon: Daemon, _data: Data, _round: int) -> float:
    """A connection and its greeting; median of 20."""
    seconds = []
    for _ in range(20):
        begun = time.perf_counter()
        client = daemon.client()
        seconds.append(time.perf_counter() - begun)
        client.close()
        time.sleep(0.005)
    return statistics.median(seconds)


def memory(daemon: Daemon, _data: Data, _round: int) -> float:
    """Proportional set size of all its processes with one idle client, MiB."""
    client = daemon.client()
    time.sleep(0.2)
    used = daemon.memory()
    client.close()
    return used


def one_build(daemon: Daemon, data: Data, number: int) -> float:
    """A trivial build; median of 10 in a row."""
    shell = add_shell(daemon, data)
    client = daemon.client()
    derivations = [
        add_derivation(daemon, client, f"one-{number}-{index}", shell, "echo hi > $out")
        for index in range(SINGLE)
    ]
    seconds = [timed(lambda drv=drv: client.build([drv])) for drv in derivations]  # type: ignore[misc]
    daemon.paths["built"] = derivations[0]
    client.close()
    return statistics.median(seconds)


def many_builds(daemon: Daemon, data: Data, number: int) -> float:
    """100 independent trivial builds in one request, two jobs."""
    shell = add_shell(daemon, data)
    client = daemon.client()
    derivations = [
        add_derivation(daemon, client, f"many-{number}-{index}", shell, "echo hi > $out")
        for index in range(data.count(MANY))
    ]
    seconds = timed(lambda: client.build(derivations))
    daemon.paths["many"] = " ".join(derivations)
    client.close()
    return seconds


def many_inputs(daemon: Daemon, data: Data, number: int) -> float:
    """A trivial build that sees 500 inputs; median of 3."""
    shell = add_shell(daemon, data)
    client = daemon.client()
    if "inputs" not in daemon.paths:
        paths = [client.add_text(f"input-{index}", b"%d" % index) for index in range(data.count(INPUTS))]
        daemon.paths["inputs"] = " ".join(paths)
    inputs = daemon.paths["inputs"].split()
    derivations = [
        add_derivation(daemon, client, f"inputs-{number}-{index}", shell, "echo hi > $out", inputs)
        for index in range(3)
    ]
    seconds = [timed(lambda drv=drv: client.build([drv])) for drv in derivations]  # type: ignore[misc]
    client.close()
    return statistics.median(seconds)


def nothing_one(daemon: Daemon, _data: Data, _round: int) -> float:
    """A request for one derivation that is built already; median of 50."""
    client = daemon.client()
    drv = daemon.paths["built"]
    seconds = [timed(lambda: client.build([drv])) for _ in range(50)]
    client.close()
    return statistics.median(seconds)


def nothing_many(daemon: Daemon, _data: Data, _round: int) -> float:
    """The same for 100 of them; median of 5."""
    client = daemon.client()
    derivations = daemon.paths["many"].split()
    seconds = [timed(lambda: client.build(derivations)) for _ in range(5)]
    client.close()
    return statistics.median(seconds)


def big_output(daemon: Daemon, data: Data, number: int) -> float:
    """A build that leaves a file of 256 MiB: made, hashed, scanned for references, registered."""
    shell = add_shell(daemon, data)
    client = daemon.client()
    script = f"head -c {data.count(BIG_OUTPUT) << 20} /dev/urandom > $out"
    drv = add_derivation(daemon, client, f"big-output-{number}", shell, script)
    seconds = timed(lambda: client.build([drv]))
    client.close()
    return seconds


def add_file(daemon: Daemon, data: Data, number: int) -> float:
    """A file of 1 GiB over the socket."""
    return _add(daemon, "big", number, file_archive(data.big_file))


def dump_file(daemon: Daemon, _data: Data, _round: int) -> float:
    """The archive of that file over the socket."""
    return _dump(daemon, "big")


def add_tree(daemon: Daemon, data: Data, number: int) -> float:
    """A tree of 20,000 small files over the socket."""
    return _add(daemon, "tree", number, bytes_archive(data.tree))


def dump_tree(daemon: Daemon, _data: Data, _round: int) -> float:
    """The archive of that tree over the socket."""
    return _dump(daemon, "tree")


def _add(daemon: Daemon, key: str, number: int, feed: Callable[[Write], None]) -> float:
    client = daemon.client()
    begun = time.perf_counter()
    daemon.paths[key] = client.add_archive(f"{key}-{number}", feed)
    seconds = time.perf_counter() - begun
    client.close()
    return seconds


def _dump(daemon: Daemon, key: str) -> float:
    client = daemon.client()
    size = client.archive_size(daemon.paths[key])
    seconds = timed(lambda: client.dump(daemon.paths[key], size))
    client.close()
    return seconds


def add_texts(daemon: Daemon, data: Data, number: int) -> float:
    """20,000 small texts, most with references to two earlier ones, one after the other."""
    client = daemon.client()
    paths: list[str] = []
    begun = time.perf_counter()
    for index in range(data.count(TEXTS)):
        references = {paths[-1], paths[index // 2]} if index > 10 else set()
        text = f"{index} {number} " + " ".join(references)
        paths.append(client.add_text(f"n{index}-{number}", text.encode(), references))
    seconds = time.perf_counter() - begun
    daemon.paths["texts"] = " ".join(paths)
    client.close()
    return seconds


def closure(daemon: Daemon, _data: Data, _round: int) -> float:
    """The closure of those 20,000 texts as a client finds it: one question for each path."""
    client = daemon.client()
    begun = time.perf_counter()
    walk(daemon.paths["texts"].split()[-1], client.references)
    seconds = time.perf_counter() - begun
    client.close()
    return seconds


def valid_rate(daemon: Daemon, _data: Data, _round: int) -> float:
    """IsValidPath, one after the other; daemon and client on a processor each."""
    requests = [is_valid_request(path) for path in daemon.paths["texts"].split()[:ROUND_TRIPS]]
    return len(requests) / _apart(daemon, lambda client: [client.is_valid(request) for request in requests])


def info_rate(daemon: Daemon, _data: Data, _round: int) -> float:
    """QueryPathInfo, one after the other; daemon and client on a processor each."""
    paths = daemon.paths["texts"].split()[:ROUND_TRIPS]
    return len(paths) / _apart(daemon, lambda client: [client.references(path) for path in paths])


def _apart(daemon: Daemon, work: Callable[[Client], object]) -> float:
    """Seconds of work with a connection, daemon and client on a processor each."""
    client = daemon.client()
    before = os.sched_getaffinity(0)
    processors = sorted(before)
    pids = daemon.processes()
    try:
        _pin(pids, {processors[-1]})
        os.sched_setaffinity(0, {processors[0]})
        return timed(lambda: work(client))
    finally:
        os.sched_setaffinity(0, before)
        _pin(pids, before)
        client.close()


def _pin(pids: Iterable[int], processors: set[int]) -> None:
    for pid in pids:
        with suppress(OSError):  # it has just ended
            for thread in os.listdir(f"/proc/{pid}/task"):
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread), processors)


ROWS: tuple[Row, ...] = (
    Row("startup", "start of the daemon to the first greeting", "ms", startup, grows=False),
    Row("connect", "connect and greet", "ms", connect, grows=False),
    Row("memory", "memory with one idle client", "MiB", memory, rounds=1, grows=False),
    Row("build", "one trivial sandboxed build", "ms", one_build, grows=False),
    Row("builds", "100 trivial builds, two jobs", "s", many_builds),
    Row("inputs", "a build that sees 500 inputs", "ms", many_inputs),
    Row("nothing", "nothing to do, 1 derivation", "ms", nothing_one, grows=False),
    Row("nothings", "nothing to do, 100 derivations", "ms", nothing_many),
    Row("output", "a build with an output of 256 MiB", "s", big_output, rounds=3),
    Row("texts", "add 20,000 small texts", "s", add_texts, rounds=2),
    Row("closure", "closure of 20,000 paths", "s", closure, rounds=3),
    Row("valid", "IsValidPath", "1/s", valid_rate, rate=True),
    Row("info", "QueryPathInfo", "1/s", info_rate, rate=True),
    Row("add-tree", "add a tree of 20,000 files", "s", add_tree, rounds=3),
    Row("dump-tree", "dump a tree of 20,000 files", "s", dump_tree, rounds=3),
    Row("add-file", "add a file of 1 GiB", "s", add_file, rounds=3),
    Row("dump-file", "dump a file of 1 GiB", "s", dump_file, rounds=3),
    *store_rows.ROWS,
    *people_rows.ROWS,
    *scale_rows.ROWS,
)
