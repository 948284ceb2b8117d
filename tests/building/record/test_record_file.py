from __future__ import annotations

from pathlib import Path

import pytest

from fruix.building.record.record_file import part_of, read_record, record_path, write_record
from fruix.errors import StoreError


def test_round_trip(tmp_path: Path) -> None:
    log = str(tmp_path / "abc-hello.drv.gz")
    assert read_record(log) is None
    write_record(log, part_of({"name": "hello", "message": "é\n"}), part_of({"kept": ""}))
    assert read_record(log) == {"version": 1, "name": "hello", "message": "é\n", "kept": ""}
    assert [path.name for path in tmp_path.iterdir()] == ["abc-hello.drv.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}'])
def test_broken_records_are_refused(tmp_path: Path, text: str) -> None:
    log = str(tmp_path / "x.drv.gz")
    Path(record_path(log)).write_text(text)
    with pytest.raises(StoreError, match=r"record"):
        read_record(log)
