"""Builds asked for in other ways: checked, repeated, repaired, kept when they fail."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fruix.build.logs import read_log
from fruix.build.records import read_record
from fruix.build.recovery import recover_builds
from fruix.build.settings import Asker, BuildOptions, BuildSettings
from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.derivation import DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import BuildFailed, BuildFinished, BuildStarted, LogLine, Note
from fruix.model.storepath import StorePath
from fruix.sandbox import faults
from machine import OTHER_USERS, Machine, machine

pytestmark = pytest.mark.usefixtures("each_back_end")

FIXED = {"out": DerivationOutput(None, "sha256", "0" * 64)}
# Two builds never give the same, in several ways.
UNSTEADY = """
mkdir -p $out/bin
head -c 100000 /dev/zero > $out/bin/tool
head -c 16 /dev/urandom | md5sum >> $out/bin/tool
echo same > $out/same
head -c 16 /dev/urandom | md5sum > $out/id
ln -s $(cat $out/id) $out/link
touch $out/only-$(cat $out/id)
"""


@pytest.fixture
def here() -> Iterator[Machine]:
    with machine() as one:
        yield one


@pytest.fixture
def shell(here: Machine, tmp_path: Path) -> StorePath:
    return here.shell(tmp_path)


def options(mode: BuildMode = BuildMode.NORMAL, **more: Any) -> BuildOptions:
    return BuildOptions(more.pop("contract", "fruix"), mode, **more)


def last(here: Machine, kind: type[Any]) -> Any:
    return next(event for event in reversed(here.events) if isinstance(event, kind))


def notes(here: Machine) -> list[str]:
    return [event.text for event in here.events if isinstance(event, Note)]


# Check


def test_a_check_that_agrees_changes_nothing(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("steady", "mkdir $out; echo x > $out/f", shell)
    here.build(drv)
    log_file = here.store.layout.log_file(drv)
    before = (here.output(drv).stat(), read_record(log_file), Path(log_file).stat())
    (result,) = here.build(drv, options=options(BuildMode.CHECK))
    assert result.status is BuildStatus.BUILT, result.message
    assert (here.output(drv).stat(), read_record(log_file), Path(log_file).stat()) == before
    assert last(here, BuildStarted).purpose == "check"
    assert last(here, BuildFinished).checked
    record = read_record(here.store.layout.log_file(drv, check=True))
    assert record is not None
    assert (record["purpose"], record["differences"]) == ("check", [])


@pytest.mark.parametrize("contract", ["fruix", "guix"])
def test_a_check_that_differs_tells_where(here: Machine, shell: StorePath, contract: str) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    here.build(drv, options=options(contract=contract))
    (path,) = here.store.derivation_outputs(drv).values()
    info = here.store.path_info(path)
    (result,) = here.build(drv, options=options(BuildMode.CHECK, contract=contract))
    assert (result.status, result.non_deterministic) == (BuildStatus.NOT_DETERMINISTIC, True)
    kept = f"{path}{'-check' if contract == 'guix' else '.check'}"
    assert f"derivation '{drv}' may not be deterministic: output '{path}' differs from '{kept}'" in (
        result.message
    )
    assert "bytes differ, first at offset 100" in result.message
    assert "link: link to '" in result.message
    assert "only in the first (file of 0 bytes)" in result.message
    assert "only in the second (file of 0 bytes)" in result.message
    assert "same:" not in result.message
    failed = last(here, BuildFailed)
    assert failed.reason == {"kind": "check-differs-kept", "path": str(path), "kept": kept}
    log_file = here.store.layout.log_file(drv, check=True)
    log = b"".join(read_log(log_file)).decode()
    assert f"first: {path}\nsecond: {kept}\n  bin/tool: " in log
    record = read_record(log_file)
    assert record is not None
    (found,) = record["differences"]
    assert (found["output"], found["first"], found["second"]) == (str(path), str(path), kept)
    assert {"bin/tool", "id", "link"} <= {place["path"] for place in found["places"]}
    # Both are there, canonical; nothing else changed.
    other = Path(here.store.real(path) + kept.removeprefix(str(path)))
    assert (other / "id").read_text() != (here.output(drv) / "id").read_text()
    assert stat.S_IMODE((other / "id").stat().st_mode) == 0o444
    assert here.store.path_info(path) == info
    assert not here.store.is_valid(StorePath.parse(kept, here.store.directory))


def test_of_others_a_differing_result_is_kept_on_demand_only(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    here.build(drv)
    (result,) = here.build(drv, options=options(BuildMode.CHECK, contract="nix", keep_differing=False))
    assert "' differs." in result.message
    assert "bytes differ" in result.message
    assert not any(name.endswith(".check") for name in os.listdir(here.store.directory))
    here.build(drv, options=options(BuildMode.CHECK, contract="nix", keep_differing=False, keep_failed=True))
    assert any(name.endswith("unsteady.check") for name in os.listdir(here.store.directory))


def test_a_check_that_agrees_removes_what_an_earlier_one_kept(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("steady", "echo x > $out", shell)
    here.build(drv)
    old = Path(f"{here.output(drv)}.check")
    old.write_text("of yesterday")
    assert here.build(drv, options=options(BuildMode.CHECK))[0].success
    assert not old.exists()


def test_there_must_be_something_to_check(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("new", "echo x > $out", shell)
    (result,) = here.build(drv, options=options(BuildMode.CHECK))
    assert not result.success
    assert "some outputs of" in result.message
    assert "checking is not possible" in result.message
    assert not os.path.exists(here.store.layout.log_file(drv, check=True))
    assert not any(isinstance(event, BuildStarted) for event in here.events)


def test_inputs_of_what_is_checked_are_not_built_again(here: Machine, shell: StorePath) -> None:
    inner = here.derivation("inner", "head -c 16 /dev/urandom | md5sum > $out", shell)
    outer = here.derivation("outer", "echo x > $out", shell, inputs=[inner])
    here.build(outer)
    here.events.clear()
    assert here.build(outer, options=options(BuildMode.CHECK))[0].success
    assert [event.drv for event in here.events if isinstance(event, BuildStarted)] == [outer]


# Rounds


def test_rounds_that_agree(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("steady", "echo x > $out", shell)
    (result,) = here.build(drv, options=options(rounds=3))
    assert (result.status, result.times_built) == (BuildStatus.BUILT, 3)
    started = [event for event in here.events if isinstance(event, BuildStarted)]
    assert [(event.round, event.rounds) for event in started] == [(1, 3), (2, 3), (3, 3)]
    assert sum(isinstance(event, BuildFinished) for event in here.events) == 1
    assert here.output(drv).read_text() == "x\n"


def test_rounds_that_differ_keep_both(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    (result,) = here.build(drv, options=options(rounds=5))
    assert (result.status, result.times_built) == (BuildStatus.NOT_DETERMINISTIC, 2)
    (path,) = here.store.derivation_outputs(drv).values()
    assert f"output '{path}' of '{drv}' differs from '{path}.check' from previous round" in result.message
    assert "bytes differ, first at offset 100" in result.message
    assert not here.store.is_valid(path)
    first, second = (Path(here.store.real(path) + end) / "id" for end in (".check", ""))
    assert first.read_text() != second.read_text()
    # What is left there is no hindrance.
    assert here.build(drv)[0].success


def test_rounds_that_differ_leave_nothing_if_nobody_wants_it(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    (result,) = here.build(drv, options=options(rounds=2, contract="guix", keep_differing=False))
    assert f"of '{drv}' differs from previous round" in result.message
    assert not any("unsteady" in name for name in os.listdir(here.store.directory) if "drv" not in name)


def test_fixed_outputs_have_one_round(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("fixed", "echo x > $out", shell, outputs=FIXED)
    (result,) = here.build(drv, options=options(rounds=2))
    assert result.times_built == 1


# Repair


def test_whole_outputs_are_not_built_again(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("whole", "echo x > $out", shell)
    here.build(drv)
    here.events.clear()
    (result,) = here.build(drv, options=options(BuildMode.REPAIR))
    assert result.status is BuildStatus.ALREADY_VALID
    assert not any(isinstance(event, BuildStarted) for event in here.events)


@pytest.mark.parametrize("damage", ["changed", "missing", "mode", "replaced"])
def test_damaged_outputs_are_replaced(here: Machine, shell: StorePath, damage: str) -> None:
    script = "mkdir $out $lib; echo x > $out/f; echo $out > $lib/g"
    outputs = {"out": DerivationOutput(None), "lib": DerivationOutput(None)}
    drv = here.derivation("two", script, shell, outputs=outputs, env={"outputs": "out lib"})
    assert here.build(drv)[0].success
    out, lib = here.output(drv), here.output(drv, "lib")
    (path, _) = (here.store.derivation_outputs(drv)[name] for name in ("out", "lib"))
    info, lib_inode = here.store.path_info(path), lib.stat().st_ino
    match damage:
        case "changed":
            (out / "f").chmod(0o644)
            (out / "f").write_text("y")
        case "mode":
            (out / "f").chmod(0o755)
        case "missing" | "replaced":
            (out / "f").unlink()
            out.rmdir()
            if damage == "replaced":
                out.symlink_to("/etc")
    (result,) = here.build(drv, options=options(BuildMode.REPAIR))
    assert result.status is BuildStatus.BUILT, result.message
    assert (out / "f").read_text() == "x\n"
    assert not out.is_symlink()
    assert here.store.path_info(path) == info
    assert lib.stat().st_ino == lib_inode, "a whole output stays"
    assert f"path '{path}' is corrupted or missing!" in notes(here)


def test_a_repair_that_gives_something_else_is_registered_as_it_is(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("unsteady", UNSTEADY, shell)
    here.build(drv)
    (path,) = here.store.derivation_outputs(drv).values()
    before = here.store.path_info(path)
    (here.output(drv) / "id").unlink()
    assert here.build(drv, options=options(BuildMode.REPAIR))[0].success
    after = here.store.path_info(path)
    assert before is not None
    assert after is not None
    assert after.nar_hash != before.nar_hash
    assert here.store.is_whole(path)


# Keep


SPOILS = """
mkdir -p deep/er; echo object > deep/x.o; chmod 755 deep/x.o; ln -s /etc/shadow deep/link; mkfifo deep/fifo
ln deep/x.o deep/same; echo there > /tmp/there; echo half > $out; touch -d @1000 deep/x.o; exit 7
"""


@OTHER_USERS
def test_what_a_failed_build_left_is_kept_for_who_asked(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("spoils", SPOILS, shell, env={"GREETING": "it's"})
    (result,) = here.build(drv, options=options(keep_failed=True, asker=Asker(1234, 2345)))
    assert result.status is BuildStatus.PERMANENT_FAILURE
    (note, without) = notes(here)
    kept = Path(note.removeprefix("note: keeping build directory '").removesuffix("'"))
    assert kept.parent == Path(here.store.layout.kept, "1234")
    assert without.startswith("note: without 1 special file")
    assert (stat.S_IMODE(kept.parent.stat().st_mode), kept.parent.stat().st_uid) == (0o700, 1234)
    assert stat.S_IMODE(Path(here.store.layout.kept).stat().st_mode) == 0o711
    file = kept / "build" / "deep" / "x.o"
    assert file.read_text() == "object\n"
    status = file.stat()
    assert (status.st_uid, status.st_gid, status.st_nlink) == (1234, 2345, 1)
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o755, 1000)
    assert os.readlink(kept / "build" / "deep" / "link") == "/etc/shadow"
    assert (kept / "build" / "deep" / "link").lstat().st_uid == 1234
    assert (kept / "build" / "deep" / "er").is_dir()
    assert not (kept / "build" / "deep" / "fifo").exists()
    assert (kept / "tmp" / "there").read_text() == "there\n"
    assert not (kept / "build" / "deep" / "same").samefile(file)
    (output,) = (kept / "store").iterdir()
    assert output.read_text() == "half\n"
    assert "export GREETING='it'\"'\"'s'\n" in (kept / "environment").read_text()
    record = read_record(here.store.layout.log_file(drv))
    assert record is not None
    assert record["kept"] == str(kept)


def test_a_copy_that_a_crash_left_is_removed(here: Machine) -> None:
    unfinished = Path(here.store.layout.kept, ".new-frx-x", "build")
    unfinished.mkdir(parents=True)
    assert recover_builds(here.store) == ["unfinished copy .new-frx-x"]
    assert os.listdir(here.store.layout.kept) == []


def test_without_asking_nothing_is_kept(here: Machine, shell: StorePath) -> None:
    here.build(here.derivation("spoils", SPOILS, shell))
    assert os.listdir(here.store.layout.kept) == []
    assert here.build(here.derivation("good", "echo x > $out", shell), options=options(keep_failed=True))
    assert os.listdir(here.store.layout.kept) == []


def test_rejected_outputs_are_kept_too(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("loose", "echo x > $out; chmod 666 $out", shell)
    here.build(drv, options=options(keep_failed=True))
    assert "keeping build directory" in notes(here)[0]


def test_somebody_elses_place_is_not_used(here: Machine, shell: StorePath) -> None:
    place = Path(here.store.layout.kept, "1234")
    place.symlink_to("/etc")
    drv = here.derivation("spoils", SPOILS, shell)
    here.build(drv, options=options(keep_failed=True, asker=Asker(1234, 2345)))
    assert "could not be kept" in notes(here)[0]
    assert os.listdir(here.store.layout.kept) == ["1234"]


def test_nothing_is_kept_that_would_fill_the_disk(tmp_path: Path) -> None:
    # A sparse file claims more room than there is.
    with machine(BuildSettings(max_file_size=0)) as here:
        drv = here.derivation("sparse", "truncate -s 4000G big; exit 1", here.shell(tmp_path))
        here.build(drv, options=options(keep_failed=True))
        assert notes(here) == [
            "note: the build directory could not be kept: there is not enough room for it on the disk"
        ]
        assert os.listdir(here.store.layout.kept) == []


def test_a_deep_tree_is_kept_as_far_as_people_go(here: Machine, shell: StorePath) -> None:
    script = "i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; exit 1"
    here.build(here.derivation("deep", script, shell), options=options(keep_failed=True))
    assert notes(here)[1].startswith("note: without 1 special file")


# Failures that are remembered


def test_failures_are_remembered_if_the_operator_wants_that(tmp_path: Path) -> None:
    with machine(BuildSettings(cache_failures=True)) as here:
        shell = here.shell(tmp_path)
        drv = here.derivation("bad", "echo no; exit 3", shell)
        (path,) = here.store.derivation_outputs(drv).values()
        assert here.build(drv)[0].status is BuildStatus.PERMANENT_FAILURE
        assert here.store.failures.all() == [path]
        here.events.clear()
        (result,) = here.build(drv)
        assert result.status is BuildStatus.CACHED_FAILURE
        assert f"the build of '{path}' failed previously (cached)" in result.message
        assert not any(isinstance(event, BuildStarted) for event in here.events)
        log_file = here.store.layout.log_file(drv)
        record = read_record(log_file)
        assert record is not None
        assert record["status"] == "PERMANENT_FAILURE", "what tells of the failure stays"
        here.store.failures.clear([path])
        assert here.build(drv)[0].status is BuildStatus.PERMANENT_FAILURE
        here.store.failures.clear(None)
        assert here.store.failures.all() == []


def test_what_may_come_right_is_not_remembered(tmp_path: Path) -> None:
    with machine(BuildSettings(cache_failures=True, timeout=1)) as here:
        shell = here.shell(tmp_path)
        fixed = here.derivation("fixed", "exit 1", shell, outputs=FIXED)
        slow = here.derivation("slow", "sleep 1000", shell)
        statuses = [result.status for result in here.build(fixed, slow, options=options(keep_going=True))]
        assert statuses == [BuildStatus.TRANSIENT_FAILURE, BuildStatus.TIMED_OUT]
        assert here.store.failures.all() == []


def test_by_default_nothing_is_remembered(here: Machine, shell: StorePath) -> None:
    here.build(here.derivation("bad", "exit 3", shell))
    assert here.store.failures.all() == []


# Repair of what else is needed


def spoil(output: Path) -> None:
    output.chmod(0o644)
    output.write_text("spoilt")


def test_what_the_result_needs_is_repaired_with_it(here: Machine, shell: StorePath) -> None:
    inner = here.derivation("inner", "echo inner > $out", shell)
    (inner_path,) = here.store.derivation_outputs(inner).values()
    outer = here.derivation("outer", f"cat {inner_path}; echo {inner_path} > $out", shell, inputs=[inner])
    here.build(outer)
    spoil(here.output(inner))
    here.events.clear()
    (result,) = here.build(outer, options=options(BuildMode.REPAIR))
    assert result.success, result.message
    assert here.output(inner).read_text() == "inner\n"
    started = [(event.drv, event.purpose) for event in here.events if isinstance(event, BuildStarted)]
    assert started == [(inner, "repair")], "the outer one is whole"


def test_no_damage_is_built_in(here: Machine, shell: StorePath) -> None:
    """Both are damaged, and the result doesn't refer to its input: that is repaired first all the same."""
    inner = here.derivation("inner", "echo inner > $out", shell)
    (inner_path,) = here.store.derivation_outputs(inner).values()
    outer = here.derivation("outer", f"tr a-z A-Z < {inner_path} > $out", shell, inputs=[inner])
    here.build(outer)
    spoil(here.output(inner))
    spoil(here.output(outer))
    assert here.build(outer, options=options(BuildMode.REPAIR))[0].success
    assert here.output(outer).read_text() == "INNER\n"


def test_what_cannot_be_made_again_is_named(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("given")
    source = here.store.add_path("source", str(tmp_path / "source"))
    drv = here.derivation("copy", f"echo {source} > $out", shell, sources=[source])
    here.build(drv)
    spoil(Path(here.store.real(source)))
    spoil(here.output(drv))
    (result,) = here.build(drv, options=options(BuildMode.REPAIR))
    assert not result.success
    assert f"path '{source}' is corrupted or missing, and nothing on this machine can make it again" in (
        result.message
    )
    assert here.output(drv).read_text() == f"{source}\n", "what can be repaired is"
    # So that the fixture's own check finds a sound store.
    Path(here.store.real(source)).write_text("given")
    Path(here.store.real(source)).chmod(0o444)
    os.utime(here.store.real(source), (1, 1))


def test_a_path_is_repaired_by_its_deriver(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("plain", "echo x > $out", shell)
    here.build(drv)
    spoil(here.output(drv))
    (path,) = here.store.derivation_outputs(drv).values()
    request = DerivedPath(path, None)
    results = here.builder.realise(
        [request], options(BuildMode.REPAIR), here.events.append, threading.Event()
    )
    assert [(request, result.status) for _, result in results] == [(request, BuildStatus.BUILT)]
    assert here.output(drv).read_text() == "x\n"


@pytest.mark.parametrize("fault", ["replace", "register-again"])
def test_a_repair_that_fails_half_way_can_be_done_again(here: Machine, shell: StorePath, fault: str) -> None:
    drv = here.derivation("plain", UNSTEADY, shell)
    here.build(drv)
    (here.output(drv) / "id").unlink()
    with faults.armed(fault):
        assert not here.build(drv, options=options(BuildMode.REPAIR))[0].success
    assert [name for name in os.listdir(here.store.layout.builds) if name != "journal"] == []
    assert here.build(drv, options=options(BuildMode.REPAIR))[0].success
    assert here.store.is_whole(here.store.derivation_outputs(drv)["out"])


@OTHER_USERS
def test_who_joins_a_build_can_have_it_kept(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("slow", "echo up; sleep 1000", shell)
    request, up = [DerivedPath(drv, ALL)], threading.Event()

    def first(event: object) -> None:
        if isinstance(event, LogLine):
            up.set()

    alone = options(timeout=2, asker=Asker(1, 1))
    thread = threading.Thread(target=lambda: here.builder.realise(request, alone, first, threading.Event()))
    thread.start()
    assert up.wait(60)
    wanting = options(keep_failed=True, asker=Asker(1234, 2345))
    ((_, result),) = here.builder.realise(request, wanting, here.events.append, threading.Event())
    thread.join()
    assert "timed out after 2 seconds" in result.message
    assert os.listdir(here.store.layout.kept) == ["1234"]
    assert "keeping build directory" in notes(here)[0]
