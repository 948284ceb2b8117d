"""Taking outputs is part of the build: limits and cancelling end it, too.

The outputs here are sparse and would take a day to hash.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asking import UNSTEADY, Clock, options
from crashing import ask, clear_away, connected, exit_of, start_daemon
from fruix import failpoints
from fruix.building.outputs.modes import OutputSet
from fruix.building.settings import BuildSettings
from fruix.model.build_options import BuildOptions, Requester
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuilderExited, BuildFailed
from fruix.model.reasons import Reason
from fruix.model.storepath import StorePath
from fruix.store import Layout, LocalStore
from fruix.store.outputs.staged import Staged
from machine import Machine, machine, private_frx
from waiting import until

GIB = 1 << 30
HUGE = "mkdir $out; for i in $(seq 4000); do truncate -s 60G $out/$i; done"
SETTINGS = BuildSettings(max_jobs=2, cores=2, max_output_size=1 << 60, timeout=100_000)


@pytest.fixture(autouse=True)
def no_watcher() -> Iterator[None]:
    yield
    failpoints.watch(lambda _step: None)
    clear_away()


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine(SETTINGS) as one:
        yield one


def at(step: str, act: Callable[[], object]) -> None:
    """Do something when a build reaches a step for the first time.

    It holds for builds in this process and in those that are forked from now on.
    """
    left = [act]

    def tell(reached: str) -> None:
        if reached == step and left:
            left.pop()()

    failpoints.watch(tell)


def leave(here: Machine, gone: threading.Event) -> None:
    """Let the client go, and wait until its builds know."""
    gone.set()
    until(lambda: all(job.cancelled for job in here.builder._scheduler.jobs()), "the builds to know")


def ended(here: Machine) -> None:
    until(lambda: not here.builder.active(), "the end of all builds")


def nothing_left(here: Machine, drv: StorePath) -> None:
    """The build has ended by itself; the machine's end looks for everything else."""
    ended(here)
    assert not os.path.lexists(here.output(drv))


def test_the_daemon_is_stopped(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    Path("/frx").mkdir(exist_ok=True)
    with private_frx():
        at("take", lambda: os.write(writing, b"x"))
        Path("/frx/etc").mkdir()
        Path("/frx/etc/fruix.toml").write_text(f"max-output-size = {1 << 60}\n")
        pid = start_daemon()
        os.close(writing)
        heard: list[tuple[int, dict[str, str]]] = []
        with connected(pid) as store:
            remote = Machine(store, None)  # type: ignore[arg-type]
            drv = remote.derivation("huge", HUGE, remote.shell(tmp_path))
            client = threading.Thread(target=lambda: heard.append(ask(drv)))
            client.start()
            assert os.read(reading, 1) == b"x"
            os.kill(pid, signal.SIGTERM)
            assert exit_of(pid) == 0
            client.join()
        os.close(reading)
        assert "shutting down" in heard[0][1]["message"]
        with LocalStore(Layout()) as after:
            assert not os.path.lexists(after.real(after.derivation_outputs(drv)["out"]))
            assert {*os.listdir(after.layout.builds)} <= {"journal", "journal-spare", "spare"}
            assert os.listdir(f"{after.layout.builds}/journal") == []


@pytest.mark.usefixtures("either_back_end")
def test_the_client_goes(tmp_path: Path) -> None:
    with machine(SETTINGS) as here:
        drv, gone = here.derivation("huge", HUGE, here.shell(tmp_path)), threading.Event()
        at("take", lambda: leave(here, gone))
        ((_, result),) = here.builder.realise(
            [DerivedPath(drv, ALL)], BuildOptions("fruix"), here.events.append, gone
        )
        assert result.message == "cancelled"
        nothing_left(here, drv)


def end_of(here: Machine, drv: StorePath, chosen: BuildOptions | None = None) -> BuildResult:
    (result,) = here.build(drv, options=chosen)
    nothing_left(here, drv)
    return result


def test_the_time_is_up(here: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    at("take", clock.jump)
    drv = here.derivation("huge", HUGE, here.shell(tmp_path))
    result = end_of(here, drv, options(timeout=40_000))
    assert result.status is BuildStatus.TIMED_OUT
    assert "timed out after 40000 seconds" in result.message
    (exited,) = [event for event in here.events if isinstance(event, BuilderExited)]
    assert exited.code == 0, "the builder was in time"
    (failed,) = [event for event in here.events if isinstance(event, BuildFailed)]
    assert failed.reason == {"kind": "timeout", "limit": 40_000}


def test_the_daemon_s_work_is_no_silence_of_the_builder(
    here: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    at("take", clock.jump)
    drv = here.derivation("small", "echo x > $out", here.shell(tmp_path))
    assert here.build(drv, options=options(max_silent_time=40_000))[0].success


@pytest.mark.parametrize("why", ["time", "client"])
def test_comparing_with_what_is_there(
    here: Machine, tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fresh output was hashed and differs; where, is looked for until it is too much."""
    clock, gone = Clock(monkeypatch), threading.Event()
    drv = here.derivation("unsteady", UNSTEADY, here.shell(tmp_path))
    assert here.build(drv)[0].success
    compare = OutputSet.checked

    def checked(outputs: OutputSet, output: Staged) -> Reason:
        if why == "time":
            clock.jump()
        else:
            leave(here, gone)
        return compare(outputs, output)

    monkeypatch.setattr(OutputSet, "checked", checked)
    request, chosen = DerivedPath(drv, ALL), options(BuildMode.CHECK, timeout=40_000)
    ((_, result),) = here.builder.realise([request], chosen, here.events.append, gone)
    assert ("timed out" if why == "time" else "cancelled") in result.message
    ended(here)
    assert here.output(drv).exists()
    assert not os.path.lexists(f"{here.output(drv)}.check")


def test_looking_for_damage(here: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair reads what is there, before anything is built."""
    drv = here.derivation("small", "echo x > $out", here.shell(tmp_path))
    assert here.build(drv)[0].success
    gone = threading.Event()
    gone.set()
    ((_, result),) = here.builder.realise(
        [DerivedPath(drv, ALL)], options(BuildMode.REPAIR), here.events.append, gone
    )
    assert result.message == "cancelled"
    clock = Clock(monkeypatch)
    whole = here.store.is_whole
    calls: list[StorePath] = []

    def is_whole(path: StorePath) -> bool:
        calls.append(path)
        if threading.current_thread().name.startswith("build"):
            clock.jump()
        return whole(path)

    monkeypatch.setattr(here.store, "is_whole", is_whole)
    (result,) = here.build(drv, options=options(BuildMode.REPAIR, timeout=40_000))
    assert calls
    assert result.status is BuildStatus.TIMED_OUT, result.message
    assert here.output(drv).read_text() == "x\n"


def test_keeping_what_failed(here: Machine, tmp_path: Path) -> None:
    """A client that goes wants no copy; a build that took too long is kept all the same."""
    shell, gone = here.shell(tmp_path), threading.Event()
    drv = here.derivation("failed", "i=0; while [ $i -lt 99 ]; do echo > $i; i=$((i+1)); done; exit 3", shell)
    at("keep", lambda: leave(here, gone))
    wanting = options(keep_failed=True, requester=Requester(os.getuid(), os.getgid()))
    here.builder.realise([DerivedPath(drv, ALL)], wanting, here.events.append, gone)
    nothing_left(here, drv)
    assert os.listdir(here.store.layout.kept) == []
    slow = here.derivation("slow", "echo x > built; sleep 1000", shell)
    (result,) = here.build(slow, options=options(keep_failed=True, timeout=1))
    assert result.status is BuildStatus.TIMED_OUT
    assert [path.read_text() for path in Path(here.store.layout.kept).rglob("built")] == ["x\n"]


def test_a_sparse_file_counts_by_its_size_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contents(*_arguments: object, **_more: object) -> Iterator[bytes]:
        raise AssertionError("an output is read")

    with machine(BuildSettings(max_output_size=GIB)) as here:
        shell = here.shell(tmp_path)
        drv = here.derivation("sparse", "mkdir $out; echo x > $out/a; truncate -s 40G $out/b", shell)
        module = importlib.import_module("fruix.store.tree.dump")  # the package has a function of that name
        for name in ("contents", "at_once"):
            monkeypatch.setattr(module, name, contents)
        result = end_of(here, drv)
        monkeypatch.undo()
        assert result.status is BuildStatus.OUTPUT_REJECTED
        assert f"claim to hold more than {GIB} bytes of contents (setting max-output-size)" in result.message


def test_all_outputs_have_one_limit(tmp_path: Path) -> None:
    with machine(BuildSettings(max_output_size=1 << 20)) as here:
        shell = here.shell(tmp_path)
        outputs = dict.fromkeys(("out", "dev"), DerivationOutput(None))
        script = "head -c 600000 /dev/zero > $out; head -c {} /dev/zero > $dev"
        both = here.derivation("both", script.format(600_000), shell, outputs=outputs)
        result = end_of(here, both)
        assert result.status is BuildStatus.OUTPUT_REJECTED
        assert f"more than {1 << 20} bytes of contents" in result.message
        fits = here.derivation("fits", script.format((1 << 20) - 600_000), shell, outputs=outputs)
        assert here.build(fits)[0].success


def test_files_of_all_outputs_are_counted_together(tmp_path: Path) -> None:
    with machine(BuildSettings(max_output_files=100)) as here:
        outputs = dict.fromkeys(("out", "dev"), DerivationOutput(None))
        script = "for o in $out $dev; do mkdir $o; for i in $(seq {}); do : > $o/$i; done; done"
        shell = here.shell(tmp_path)
        assert not here.build(here.derivation("many", script.format(50), shell, outputs=outputs))[0].success
        assert here.build(here.derivation("few", script.format(49), shell, outputs=outputs))[0].success


def test_a_file_at_hand_is_looked_for_and_copied_in_time(tmp_path: Path) -> None:
    """The operator's directories of sources are searched by hash: their files may be big, too."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for number in range(100):
        with (sources / str(number)).open("wb") as file:
            file.truncate(60 * GIB)
    with machine(BuildSettings(sources=(str(sources),), fixed_output_network="none")) as here:
        outputs = {"out": DerivationOutput(None, "sha256", "0" * 64)}
        drv = here.derivation(
            "file",
            "",
            here.shell(tmp_path),
            builder="builtin:fetchurl",
            env={"url": "http://x/y"},
            outputs=outputs,
        )
        gone = threading.Event()
        at("log", lambda: leave(here, gone))
        ((_, result),) = here.builder.realise([DerivedPath(drv, ALL)], options(), here.events.append, gone)
        assert result.message == "cancelled"
        nothing_left(here, drv)
