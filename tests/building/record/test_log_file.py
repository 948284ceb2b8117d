"""The files of logs: plain while they are written, packed afterwards, read in every form."""

from __future__ import annotations

import bz2
import errno
import fcntl
import gzip
import os
from pathlib import Path

import pytest

from fruix.building.record import log_file
from fruix.building.record.log_file import LogFile, add_log, log_name, pack_left_over
from fruix.building.record.log_reading import ENDINGS, bare_name, find_log, follow_log, read_log
from fruix.errors import StoreError

UNPACK = {"none": lambda data: data, "bzip2": bz2.decompress, "gzip": gzip.decompress}


@pytest.mark.parametrize("compression", ENDINGS)
def test_a_log_is_plain_while_it_is_written_and_then_packed(tmp_path: Path, compression: str) -> None:
    bare = tmp_path / "x" / "log"
    path = Path(log_name(str(bare), compression))
    log = LogFile(str(path))
    log.write(b"so far\n")
    log.flush()
    assert bare.read_bytes() == b"so far\n"
    assert b"".join(read_log(str(path))) == b"so far\n"
    log.write(b"\xff\x00\x1b[31mred\r\nno end")
    log.close()
    assert os.listdir(path.parent) == [path.name]
    assert UNPACK[compression](path.read_bytes()) == b"so far\n\xff\x00\x1b[31mred\r\nno end"
    assert b"".join(read_log(str(bare))) == UNPACK[compression](path.read_bytes())
    assert find_log(str(bare)) == str(path)
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("new", ENDINGS)
@pytest.mark.parametrize("old", ENDINGS)
def test_a_new_log_takes_the_place_of_one_in_another_form(tmp_path: Path, old: str, new: str) -> None:
    bare = str(tmp_path / "log")
    for compression, text in ((old, b"old"), (new, b"new")):
        log = LogFile(log_name(bare, compression))
        log.write(text)
        log.close()
    assert os.listdir(tmp_path) == [os.path.basename(log_name(bare, new))]
    assert b"".join(read_log(bare)) == b"new"


@pytest.mark.parametrize("compression", ENDINGS)
def test_an_empty_log_is_packed_once_for_all(
    tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [log_name(str(tmp_path / name), compression) for name in ("one", "other")]
    LogFile(names[0]).close()
    monkeypatch.setattr(log_file, "_packing", None)
    LogFile(names[1]).close()
    assert sorted(os.listdir(tmp_path)) == [os.path.basename(name) for name in names]
    for name in names:
        assert UNPACK[compression](Path(name).read_bytes()) == b""
        assert Path(name).stat().st_mode & 0o777 == 0o644


def test_an_empty_log_that_cant_be_packed_stays_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    log = LogFile(str(tmp_path / "log.bz2"))
    log.begin()
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        log.close()
    assert os.listdir(tmp_path) == ["log"]


def test_without_bzip2_logs_are_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "find_spec", lambda _name: None)
    assert log_name(str(tmp_path / "log"), "bzip2") == str(tmp_path / "log")


def test_packed_logs_depend_on_their_text_alone(tmp_path: Path) -> None:
    for ending in (".gz", ".bz2"):
        one, other = tmp_path / f"one{ending[1:]}{ending}", tmp_path / f"other{ending[1:]}{ending}"
        add_log(str(one), [b"text"])
        log = LogFile(str(other))
        log.write(b"te")
        log.flush()
        log.write(b"xt")
        log.close()
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("compression", ENDINGS)
def test_a_log_that_is_there_stays_in_whatever_form(tmp_path: Path, compression: str) -> None:
    bare = str(tmp_path / "log")
    add_log(log_name(bare, compression), [b"one\n", b"two"])
    for other in ENDINGS:
        add_log(log_name(bare, other), iter([b"another"]))
    assert os.listdir(tmp_path) == [os.path.basename(log_name(bare, compression))]
    assert b"".join(read_log(bare)) == b"one\ntwo"


@pytest.mark.parametrize("compression", ENDINGS)
def test_following_goes_on_until_the_build_ends(tmp_path: Path, compression: str) -> None:
    path = log_name(str(tmp_path / "log"), compression)
    log = LogFile(path)
    log.write(b"one\n")
    log.flush()
    waited = 0

    def pause() -> None:
        nonlocal waited
        waited += 1
        if waited == 2:
            log.write(b"two\n")  # not flushed: not to be seen yet
        elif waited == 3:
            log.flush()
        elif waited == 4:
            log.write(b"three")
            log.close()

    chunks = follow_log(path, pause)
    assert [next(chunks), next(chunks), *chunks] == [b"one\n", b"two\n", b"three"]
    assert waited == 4
    assert list(follow_log(path, lambda: pytest.fail("it has ended"))) == [b"one\ntwo\nthree"]


@pytest.mark.parametrize("compression", ENDINGS)
def test_a_long_log_is_packed_while_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setattr(log_file, "_LONG", 10)
    bare = str(tmp_path / "log")
    log = LogFile(log_name(bare, compression))
    for text in (b"one\n", b"two, and more\n", b"three\n"):
        log.write(text)
        assert os.path.exists(f"{bare}.packing") == (text != b"one\n" and compression != "none")
    log.close()
    assert os.listdir(tmp_path) == [os.path.basename(log_name(bare, compression))]
    assert b"".join(read_log(bare)) == b"one\ntwo, and more\nthree\n"


def test_a_log_that_can_not_be_packed_stays_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "injected")

    path = str(tmp_path / "log.bz2")
    log = LogFile(path)
    log.write(b"text")
    with monkeypatch.context() as patch:
        patch.setattr(log_file, "_packing", full)
        with pytest.raises(OSError, match="injected"):
            log.close()
    assert os.listdir(tmp_path) == ["log"]
    assert b"".join(read_log(path)) == b"text"
    assert pack_left_over(path)
    assert os.listdir(tmp_path) == ["log.bz2"]
    assert b"".join(read_log(path)) == b"text"
    assert not pack_left_over(path)


def test_following_ends_with_a_daemon_that_dies(tmp_path: Path) -> None:
    path = str(tmp_path / "log.bz2")
    log = LogFile(path)
    log.write(b"so far\n")
    log.flush()
    followed = follow_log(path, log.begin().close)  # as the kernel closes a dead process' files
    assert list(followed) == [b"so far\n"]
    assert find_log(path) == bare_name(path), "what is whole as far as it goes"
    log.close()


def test_a_locked_log_keeps_nobody_from_building(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"the last build's")
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        log = LogFile(f"{path}.bz2")
        log.write(b"new")
        log.close()
    assert b"".join(read_log(str(path))) == b"new"


@pytest.mark.parametrize("ending", [".gz", ".bz2"])
def test_what_is_no_log(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"log{ending}"
    path.write_bytes(b"plain text")
    with pytest.raises(StoreError, match="not a build log"):
        list(read_log(str(path)))
    with pytest.raises(FileNotFoundError):
        list(read_log(str(tmp_path / "other")))


@pytest.mark.parametrize("compression", ["bzip2", "gzip"])
def test_half_a_log_is_read_as_far_as_it_goes(tmp_path: Path, compression: str) -> None:
    path = Path(log_name(str(tmp_path / "log"), compression))
    text = b"".join(b"%d\n" % number for number in range(300_000))
    add_log(str(path), [text])
    path.write_bytes(path.read_bytes()[:-1000])
    found = b"".join(read_log(str(path)))
    assert 500_000 < len(found) < len(text)
    assert text.startswith(found)


@pytest.mark.parametrize("first", ["begin", "flush", "close"])
def test_its_file_is_made_by_what_comes_first(tmp_path: Path, first: str) -> None:
    path = str(tmp_path / "log.bz2")
    add_log(path, [b"of the build before"])
    log = LogFile(path)
    assert b"".join(read_log(path)) == b"of the build before"
    getattr(log, first)()
    assert os.listdir(tmp_path) == ["log.bz2" if first == "close" else "log"]
    assert b"".join(read_log(path)) == b""
    log.close()
    assert os.listdir(tmp_path) == ["log.bz2"]
