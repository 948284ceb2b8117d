"""What failed builds left is kept for those who want it."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from asking import notes, options
from fruix.building.record.record_file import read_record
from fruix.building.recovery import recover_builds
from fruix.building.settings import BuildSettings
from fruix.model.build_options import Requester
from fruix.model.buildresult import BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import LogLine
from fruix.model.storepath import StorePath
from machine import OTHER_USERS, Machine, machine, machines

pytestmark = pytest.mark.usefixtures("each_back_end")
here, shell = machines()


SPOILS = """
mkdir -p deep/er; echo object > deep/x.o; chmod 755 deep/x.o; ln -s /etc/shadow deep/link; mkfifo deep/fifo
ln deep/x.o deep/same; echo there > /tmp/there; echo half > $out; touch -d @1000 deep/x.o; exit 7
"""


@OTHER_USERS
def test_what_a_failed_build_left_is_kept_for_who_asked(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("spoils", SPOILS, shell, env={"GREETING": "it's"})
    (result,) = here.build(drv, options=options(keep_failed=True, requester=Requester(1234, 2345)))
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
    here.build(drv, options=options(keep_failed=True, requester=Requester(1234, 2345)))
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


def test_a_deep_tree_is_kept_whole(here: Machine, shell: StorePath) -> None:
    script = "i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; exit 1"
    here.build(here.derivation("deep", script, shell), options=options(keep_failed=True))
    (note,) = notes(here)
    (place,) = re.findall(r"/[^\s']+", note)
    assert Path(place, "build", *["d"] * 300).is_dir()


@OTHER_USERS
def test_who_joins_a_build_can_have_it_kept(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("slow", "echo up; sleep 1000", shell)
    request, up = [DerivedPath(drv, ALL)], threading.Event()

    def first(event: object) -> None:
        if isinstance(event, LogLine):
            up.set()

    alone = options(timeout=2, requester=Requester(1, 1))
    thread = threading.Thread(target=lambda: here.builder.realise(request, alone, first, threading.Event()))
    thread.start()
    assert up.wait(60)
    wanting = options(timeout=3, keep_failed=True, requester=Requester(1234, 2345))
    ((_, result),) = here.builder.realise(request, wanting, here.events.append, threading.Event())
    thread.join()
    assert "timed out after 3 seconds" in result.message
    assert os.listdir(here.store.layout.kept) == ["1234"]
    assert "keeping build directory" in notes(here)[0]
