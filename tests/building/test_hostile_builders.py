"""Builders that take more than they may: ended with the reason, cleaned up, unnoticed by others."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from building.hostile import UID, end_of, settings
from fruix.building.limits import Limits, passed
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import LogLine, Note
from fruix.sandbox.back_ends import Usage
from fruix.sandbox.linux.processes import processes_of
from machine import left_over, machine
from waiting import until

NOTE = "note: the builder may have run into the limit"
pytestmark = pytest.mark.usefixtures("each_back_end")

CONTRACTS = ("fruix", "guix")  # with the build user's own ids, and in a user namespace


@pytest.mark.parametrize("contract", CONTRACTS)
def test_processes_without_end(tmp_path: Path, contract: str) -> None:
    with machine(settings(max_processes=40)) as here:
        # What it gets is bounded by the kernel; it stays, so that the daemon sees it.
        script = "trap '' TERM HUP INT; mkfifo p; sh -c 'while sleep 1000 & do :; done'; read x < p"
        result = end_of(here, tmp_path, script, contract)
        assert "killed when it had more than 40 processes and threads" in result.message
        assert result.status is BuildStatus.TRANSIENT_FAILURE


def test_a_bomb_that_gives_up_by_itself_has_its_suspect_named(tmp_path: Path) -> None:
    with machine(settings(max_processes=20)) as here:
        result = end_of(here, tmp_path, "while sleep 1000 & do :; done")
        assert not result.success
        said = [event.text for event in here.events if isinstance(event, Note)]
        assert "killed when it had" in result.message or any("limit of 20 processes" in text for text in said)


def test_a_bomb_next_to_an_honest_build(tmp_path: Path) -> None:
    with machine(settings(max_processes=300, max_jobs=2)) as here:
        shell = here.shell(tmp_path)
        bomb = here.derivation("bomb", "b() { b | b & }; b; sleep 2; exit 1", shell)
        honest = here.derivation(
            "honest", "i=0; while [ $i -lt 50 ]; do sleep 0.02; i=$((i+1)); done; echo x > $out", shell
        )
        results = here.build(bomb, honest, options=BuildOptions("fruix", keep_going=True, timeout=60))
        assert [result.success for result in results] == [False, True]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_memory_without_end(tmp_path: Path, contract: str) -> None:
    with machine(settings(max_memory=100 << 20)) as here:
        # Doubles a text that the shell holds, and then keeps it.
        script = (
            "x=0123456789abcdef; i=0; while [ $i -lt 23 ]; do x=$x$x; i=$((i+1)); done;"
            " while :; do sleep 1; done"
        )
        result = end_of(here, tmp_path, script, contract)
        assert f"killed for using more than {100 << 20} bytes of memory" in result.message


@pytest.mark.parametrize("start", ["exec ", "", "true; "])
def test_files_without_end(tmp_path: Path, start: str, each_back_end: str) -> None:
    """The first process of a namespace gets an error for it; others, and those of a jail, a signal."""
    with machine(settings(max_file_size=1 << 20)) as here:
        end = "; exit $?" if start == "true; " else ""
        result = end_of(here, tmp_path, f"{start}dd if=/dev/zero of=big bs=4096 count=1000{end}")
        died = "due to signal 25" if each_back_end == "freebsd-jail" and not end else "with exit code"
        assert f"builder failed {died}" in result.message
        said = [event.text for event in here.events if isinstance(event, Note)]
        assert said == [f"{NOTE} of 1048576 bytes for a file (setting max-file-size)"]


@pytest.mark.parametrize("text", ["sh: 1: Cannot fork", "sh: can't fork: Resource temporarily unavailable"])
def test_a_shell_that_could_not_fork(tmp_path: Path, text: str) -> None:
    with machine(settings(max_processes=20)) as here:
        end_of(here, tmp_path, f'echo "{text}" >&2; exit 2')
        said = [event.text for event in here.events if isinstance(event, Note)]
        assert said == [f"{NOTE} of 20 processes and threads (setting max-processes)"]


def test_too_many_files_in_outputs(tmp_path: Path) -> None:
    with machine(settings(max_output_files=100)) as here:
        script = "mkdir $out; i=0; while [ $i -lt 100 ]; do : > $out/$i; i=$((i+1)); done"
        result = end_of(here, tmp_path, script)
        assert "its outputs hold more than 100 files and directories" in result.message
        assert result.status is BuildStatus.OUTPUT_REJECTED
        assert end_of(here, tmp_path, script.replace("100", "99")).success


def test_an_output_that_claims_more_than_there_is(tmp_path: Path) -> None:
    with machine(settings(max_output_size=1 << 20)) as here:
        script = "mkdir $out; for i in 1 2 3; do truncate -s 500K $out/$i; done"
        result = end_of(here, tmp_path, script)
        assert result.status is BuildStatus.OUTPUT_REJECTED
        assert f"more than {1 << 20} bytes of contents" in result.message


@pytest.mark.parametrize(
    "script",
    ["yes", "cat /dev/zero", "while :; do printf x; done", "tr '\\0' '\\n' < /dev/zero"],
    ids=["lines", "one endless line", "small writes", "empty lines"],
)
def test_logs_without_end(tmp_path: Path, script: str) -> None:
    with machine(settings(max_log_size=300_000)) as here:
        result = end_of(here, tmp_path, script)
        assert result.status is BuildStatus.LOG_LIMIT_EXCEEDED
        assert "killed after writing more than 300000 bytes of log output" in result.message
        assert len(result.message) < 25 * 16384 + 5000


def test_a_client_may_ask_for_less_log_but_not_for_more(tmp_path: Path) -> None:
    allowed = settings(max_log_size=5000)
    assert Limits.of(BuildOptions(max_log_size=100), allowed).max_log_size == 100
    assert Limits.of(BuildOptions(max_log_size=9000), allowed).max_log_size == 5000
    assert Limits.of(BuildOptions(), allowed).max_log_size == 5000
    assert Limits.of(BuildOptions(max_log_size=100), settings(max_log_size=0)).max_log_size == 100
    with machine(allowed) as here:
        drv = here.derivation("loud", "yes", here.shell(tmp_path))
        (result,) = here.build(drv, options=BuildOptions("fruix", max_log_size=100))
        assert "more than 100 bytes" in result.message


def test_silence_is_not_broken_by_closing_the_output(tmp_path: Path) -> None:
    with machine(settings()) as here:
        drv = here.derivation(
            "mute", "exec >/dev/null 2>&1; trap '' TERM INT HUP; sleep 1000", here.shell(tmp_path)
        )
        (result,) = here.build(drv, options=BuildOptions("fruix", max_silent_time=1))
        assert result.status is BuildStatus.TIMED_OUT
        assert "timed out after 1 seconds of silence" in result.message


def test_a_slow_listener_is_no_silence(tmp_path: Path) -> None:
    """The builder's thread waits for a client; that isn't the builder's fault."""
    with machine(settings(max_log_size=40_000_000)) as here:
        drv = here.derivation(
            "loud",
            "yes 0123456789012345678901234567890123456789 | head -n 30000; echo x > $out",
            here.shell(tmp_path),
        )

        def slowly(_event: object) -> None:
            time.sleep(0.0001)

        request = [DerivedPath(drv, ALL)]
        ((_, result),) = here.builder.realise(
            request, BuildOptions("fruix", max_silent_time=3), slowly, threading.Event()
        )
        assert result.success, result.message


def test_a_trickle_ends_in_time(tmp_path: Path) -> None:
    with machine(settings()) as here:
        script = "trap '' TERM INT HUP; while :; do echo .; sleep 0.1; done"
        drv = here.derivation("trickle", script, here.shell(tmp_path))
        (result,) = here.build(drv, options=BuildOptions("fruix", max_silent_time=60, timeout=2))
        assert "timed out after 2 seconds." in result.message


def test_orphans_that_rewrite_the_output(tmp_path: Path) -> None:
    with machine(settings()) as here:
        writer = "trap '' TERM HUP; while :; do echo evil > $out; done"
        script = (
            f'for i in 1 2 3 4 5 6 7 8; do setsid sh -c "{writer}" >/dev/null 2>&1 & done; sleep 0.2; exit 0'
        )
        drv = here.derivation("orphans", script, here.shell(tmp_path))
        (result,) = here.build(drv, options=BuildOptions("fruix"))
        assert processes_of(UID) == []
        if result.success:
            assert here.store.is_whole(here.store.derivation_outputs(drv)["out"])


def test_figures_that_pass_a_limit() -> None:
    limits = Limits(max_processes=5, max_memory=100)
    assert passed(limits, None) is None
    assert passed(limits, Usage(0, 100, 5)) is None
    assert passed(limits, Usage(0, 101, 4)) == {"kind": "memory", "limit": 100}
    assert passed(limits, Usage(0, 0, 6)) == {"kind": "processes", "limit": 5}
    assert passed(Limits(), Usage(0, 1 << 60, 1 << 20)) is None


def test_a_client_that_leaves_two_that_stay(tmp_path: Path) -> None:
    """When one of two clients goes the build goes on; when the last one goes it ends."""
    with machine(settings()) as here:
        drv = here.derivation(
            "shared", "echo up; while [ ! -e /build/x ]; do sleep 0.05; done", here.shell(tmp_path)
        )
        leave = [threading.Event(), threading.Event()]
        heard = [threading.Event(), threading.Event()]
        results: list[BuildResult | None] = [None, None]

        def client(number: int) -> None:
            def on_event(event: object) -> None:
                if isinstance(event, LogLine) or number:
                    heard[number].set()

            request = [DerivedPath(drv, ALL)]
            ((_, results[number]),) = here.builder.realise(
                request, BuildOptions("fruix"), on_event, leave[number]
            )

        threads = [threading.Thread(target=client, args=(number,)) for number in (0, 1)]
        threads[0].start()
        assert heard[0].wait(60)
        threads[1].start()
        assert heard[1].wait(60)
        leave[0].set()
        threads[0].join()
        assert [row.state for row in here.builder.active()] == ["running"]
        leave[1].set()
        threads[1].join()
        until(lambda: not here.builder.active(), "the end of the build")
        assert processes_of(UID) == []


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("mkdir $out; mkfifo \"$out/$(printf 'a\\nb')\"", "unsupported type"),
        ("truncate -s 4000P $out || exit 9", "exit code 9"),
    ],
    ids=["a fifo with a line end in its name", "a file of petabytes"],
)
def test_traps_for_who_reads_the_output(tmp_path: Path, script: str, why: str) -> None:
    with machine(settings()) as here:
        result = end_of(here, tmp_path, script)
        assert not result.success
        assert why in result.message
        assert left_over(here.store) == []


@pytest.mark.parametrize(
    "script",
    [
        "mkdir $out; n=$(printf '\\033[31m\\377%0240d' 0); : > \"$out/$n\"",
        "mkdir $out; cd $out; i=0; while [ $i -lt 1000 ]; do mkdir d; cd d; i=$((i+1)); done",
    ],
    ids=["a name at its longest and strange", "a deep tree"],
)
def test_what_is_no_trap(tmp_path: Path, script: str) -> None:
    with machine(settings()) as here:
        result = end_of(here, tmp_path, script)
        assert result.success, result.message
