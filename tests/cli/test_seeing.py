"""Builds seen from the command line, against a live daemon.

ps, log -f, JSON lines, traces, roots, signals.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.terminals import on_terminal
from machine import private_frx
from waiting import line_with, until

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_", "METADATA"))
}
COMMAND = [sys.executable, "-m", "fruix"]
FILE = """
def made(name, script, *inputs):
    arguments = {"script": script}
    return Package(name=name, version="1", build_system="trivial", arguments=arguments, inputs=list(inputs))
base = made("base", "echo '@ fruix phase first'; echo hello from base; echo base > $out")
top = made("top", "echo top > $out", base)
bad = made("bad", "echo '@ fruix phase doomed'; echo oops; exit 3")
above = made("above", "echo above > $out", bad)
endless = made("endless", "echo '@ fruix phase spin'; while :; do echo round and round; sleep 0.2; done")
nasty = made("nasty", r"printf '%b' '\\033]52;c;ZWNobw==\\007 \\033[2J \\033[8mhidden \\033[6n \\033c "
    r"\\0302\\0233\\nover\\rwrite \\033[31mred\\n'; exit 1")
brief = made("brief", "sleep 1; echo x > $out")
short = made("short", "i=0; while [ $i -lt 8 ]; do echo step $i; sleep 0.25; i=$((i+1)); done; echo x > $out")
"""


def fruix(*words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, env={**ENVIRONMENT, **more}, check=False
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    log = tmp_path_factory.mktemp("daemon") / "log"
    with private_frx(), log.open("w") as stream:
        process = subprocess.Popen([*COMMAND, "daemon"], env=ENVIRONMENT, stderr=stream, text=True)
        try:
            fruix("daemon", "--ping", "--wait", "60")
            yield process, log
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0
        assert [name for name in os.listdir("/frx/var/fruix/builds") if name.startswith("frx-")] == []


@pytest.fixture
def package(daemon: object, tmp_path: Path) -> Any:
    """A file that defines one package of FILE."""

    def write(*names: str) -> str:
        file = tmp_path / "packages.py"
        file.write_text(f"{FILE}\npackages = [{', '.join(names)}]\n")
        return str(file)

    return write


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_roots_and_traces(package: Any, tmp_path: Path) -> None:
    result, trace = tmp_path / "result", tmp_path / "trace"
    done = fruix(
        "build", "-f", package("top", "base"), "--json", "--root", str(result), "--trace", str(trace)
    )
    events = events_of(done.stdout)
    assert {event["version"] for event in events} == {1}
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("plan", "result")
    assert [len(row["needs"]) for row in events[0]["builds"]] == [0, 1]
    assert kinds.count("build-queued") == kinds.count("build-started") == kinds.count("build-finished") == 2
    assert kinds.count("builder-exited") == 2
    assert "hello from base" in [event.get("line") for event in events]
    assert events[-1]["success"]
    assert done.stderr == ""
    outputs = [result_["outputs"]["out"] for result_ in events[-1]["results"]]
    assert [os.readlink(link) for link in (result, tmp_path / "result-2")] == outputs
    roots = {
        os.readlink(f"/frx/var/fruix/gcroots/auto/{name}")
        for name in os.listdir("/frx/var/fruix/gcroots/auto")
    }
    assert roots == {str(result), str(tmp_path / "result-2")}
    slices = [event for event in json.loads(trace.read_text())["traceEvents"] if event["ph"] == "X"]
    assert {event["name"] for event in slices} >= {"base-1", "top-1", "first", "outputs"}
    # Again: nothing to do, the link is replaced, the time it took is known.
    again = fruix("build", "-f", package("base"), "--root", str(result))
    assert "everything is valid" in again.stderr
    assert os.readlink(result) == outputs[1]


def test_dry_run_says_why(package: Any) -> None:
    fruix("build", "-f", package("base"))
    shown = fruix("build", "-n", "-f", package("above")).stderr
    assert shown.startswith("2 to build, longest path bad-1 -> above-1\n") or "→ above-1\n" in shown
    assert (
        "build  bad-1  (never done here)\n       missing: output 'out'\n       needed by: above-1\n" in shown
    )
    (plan,) = events_of(fruix("build", "-n", "--json", "-f", package("above")).stdout)
    assert [row["missing"] for row in plan["builds"]] == [["out"], ["out"]]


def test_the_cause_of_a_failure_comes_first(package: Any) -> None:
    shown = fruix("build", "-k", "-f", package("above", "top"), code=100).stderr
    report = shown[shown.index("-bad-1.drv:\n") :]
    assert (
        report.index("not built because of it: above-1") < report.index("\n> oops") < report.index("error:")
    )
    assert re.search(
        r"fruix: error: bad-1 failed in phase doomed after \S+: 'exit 3' ended with exit code 3 "
        r"\(1 that needs it was not built\)\n"
        r"hint: fruix log \S+; fruix enter \S+ \(a shell in its sandbox\)\n$",
        shown,
    )
    assert "above-1 failed" not in shown


@pytest.mark.parametrize("way", ["file", "no directory"])
def test_roots_that_are_refused(package: Any, tmp_path: Path, way: str) -> None:
    target = tmp_path / "precious" if way == "file" else tmp_path / "none" / "link"
    if way == "file":
        target.write_text("mine")
    shown = fruix(
        "build", "-f", package("endless"), "-r", str(target), code=2
    ).stderr  # before anything is built
    assert "no link into the store" in shown or "no such directory" in shown
    assert way != "file" or target.read_text() == "mine"


def test_a_trace_that_cannot_be_written_is_refused_first(package: Any, tmp_path: Path) -> None:
    shown = fruix("build", "-f", package("endless"), "--trace", f"{tmp_path}/none/trace", code=1).stderr
    assert "none/trace" in shown
    assert "building" not in shown


@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_running_builds_are_listed_followed_and_asked_about(
    package: Any, daemon: tuple[subprocess.Popen[str], Path], tmp_path: Path, how: signal.Signals, status: int
) -> None:
    # The build of the case before is being cleaned up.
    until(lambda: "nothing is being built" in fruix("ps").stdout, "the end of the build before")
    trace = tmp_path / "trace"
    build = subprocess.Popen(
        [*COMMAND, "build", "-f", package("endless"), "--trace", str(trace)],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert build.stderr is not None
    try:
        line_with(build.stderr, "phase spin")
        (row,) = events_of(fruix("ps", "--json").stdout)
        assert (row["version"], row["name"], row["state"], row["phase"]) == (
            1,
            "endless-1",
            "running",
            "spin",
        )
        assert [client["pid"] for client in row["clients"]] == [build.pid]
        assert row["memory"] > 0
        table = fruix("ps").stdout
        assert "endless-1" in table
        assert "1 build running, 0 queued" in table
        follower = subprocess.Popen(
            [*COMMAND, "log", "-f", row["drv"]], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        )
        assert follower.stdout is not None
        line_with(follower.stdout, "round and round")
        process, log = daemon
        process.send_signal(signal.SIGUSR1)
        until(
            lambda: process.poll() is not None or f"{row['drv']} is running, phase spin" in log.read_text(),
            "the daemon's answer to SIGUSR1 in its log",
        )
        assert process.poll() is None
        build.send_signal(signal.SIGUSR1)
        line_with(build.stderr, "endless-1  spin")
    finally:
        build.send_signal(how)
    assert build.wait() == status
    assert follower.wait() == 0  # it ended with the build
    assert "round and round" in follower.stdout.read()
    build.stderr.close()
    follower.stdout.close()
    slices = [event for event in json.loads(trace.read_text())["traceEvents"] if event.get("cat") == "build"]
    assert [event["args"]["result"] for event in slices] == ["unfinished"]


def test_following_to_a_good_end(package: Any) -> None:
    build = subprocess.Popen(
        [*COMMAND, "build", "--json", "-f", package("short")],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert build.stdout is not None
    while json.loads(line := build.stdout.readline())["event"] != "build-started":
        pass
    followed = fruix("log", "-f", json.loads(line)["drv"]).stdout
    assert [text for text in followed.splitlines() if text.startswith("step")] == [
        f"step {number}" for number in range(8)
    ]
    assert build.stdout.read()
    build.stdout.close()
    assert build.wait() == 0


def test_following_what_was_never_built(daemon: object) -> None:
    shown = fruix("log", "-f", f"/frx/store/{'z' * 32}-never.drv", code=1).stderr
    assert "no log of" in shown


def test_entering(package: Any) -> None:
    fruix("build", "-f", package("bad"), code=100)
    (plan,) = events_of(fruix("build", "-n", "--json", "-f", package("bad")).stdout)
    drv = plan["builds"][0]["drv"]
    done = fruix("enter", drv, "--", "sh", "-c", "echo $pname in $PWD; exit 6", code=6)
    assert done.stdout == "bad in /build\n"
    assert "nothing that is done there is kept" in done.stderr
    again = fruix("enter", drv, "--", "/etc/fruix-builder", code=3)  # the builder, as it failed
    assert "oops\n" in again.stdout
    piped = subprocess.run(
        [*COMMAND, "enter", drv],
        input="echo $((6*7))\nexit 5\n",
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert piped.returncode == 5
    assert "42\n" in piped.stdout
    assert not os.path.lexists(fruix("show", drv).stdout.split()[-1])


def test_entering_builds_the_inputs_first(package: Any) -> None:
    (plan,) = events_of(fruix("build", "-n", "--json", "-f", package("above")).stdout)
    above = plan["builds"][-1]["drv"]
    failed = fruix("enter", above, code=100).stderr
    assert "error: bad-1 failed in phase doomed" in failed


def shown_on(term: str, *words: str) -> bytes:
    """All that a command writes to a terminal of that kind."""
    return on_terminal([*COMMAND, *words], {**ENVIRONMENT, "TERM": term})[1]


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_no_builder_talks_to_the_terminal(package: Any, term: str) -> None:
    file = package("nasty")
    built = shown_on(term, "build", "-v", "-f", file)
    (plan,) = events_of(fruix("build", "-n", "--json", "-f", file).stdout)
    logged = shown_on(term, "log", plan["builds"][0]["drv"])
    followed = shown_on(term, "log", "-f", plan["builds"][0]["drv"])
    for written in (built, logged, followed):
        assert b"ZWNobw==" in written  # shown, but as text
        for sequence in (
            b"\x1b]",
            b"\x07",
            b"\x1b[2J",
            b"\x1b[8m",
            b"\x1b[6n",
            b"\x1bc",
            b"\xc2\x9b",
            b"over\rwrite",
        ):
            assert sequence not in written
        assert (b"\x1b[31m" in written) is (term != "dumb")
    assert (
        b"\x1b]" in fruix("log", "--raw", plan["builds"][0]["drv"]).stdout.encode()
    )  # who asks gets all of it


def test_a_live_terminal_is_left_clean(package: Any) -> None:
    written = shown_on("xterm", "build", "-f", package("brief")).decode()
    # Lines as a terminal has them in the end: what was drawn over is gone.
    assert "0 of 1 done, 1 " in re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h")  # the cursor is back
    assert re.search(r"\r?/frx/store/\S+-brief-1\s*$", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written))
    again = shown_on("xterm", "build", "-f", package("brief")).decode()
    assert "\x1b" not in again  # nothing to show
