"""Archives that the daemon sends: what a client gets, and who it is that notices what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from daemon.serving import Running
from fruix.client import RemoteStore
from fruix.errors import DisconnectedError
from fruix.model.storepath import StorePath

SIZE = 3 << 20


@pytest.fixture
def path(daemon: Running, tmp_path: Path) -> StorePath:
    (tmp_path / "tree").mkdir()
    for name, size in (("a", 10), ("big", SIZE), ("z", 70_000)):
        (tmp_path / "tree" / name).write_bytes(os.urandom(size))
    return daemon.store.add_path("tree", str(tmp_path / "tree"))


def test_big_files_are_handed_over_by_the_kernel(daemon: Running, user: RemoteStore, path: StorePath) -> None:
    with (
        patch.object(os, "sendfile", wraps=os.sendfile) as sent,
        patch.object(os, "read", wraps=os.read) as read,
    ):
        archive = b"".join(user.nar(path))
    assert sum(each.args[3] for each in sent.call_args_list) == SIZE + 70_000
    assert read.call_count < 20
    assert archive == b"".join(daemon.store.nar(path))


def test_a_file_that_changed_ends_the_connection(daemon: Running, user: RemoteStore, path: StorePath) -> None:
    big = daemon.store.real(path) + "/big"
    os.chmod(big, 0o644)
    chunks = user.nar(path)
    with open(big, "ab") as file, patch.object(os, "sendfile", return_value=0):
        file.write(b"more")
        with pytest.raises(DisconnectedError):
            list(chunks)
    with daemon.connect() as other:
        assert other.is_valid(path)


def test_a_client_that_goes_away_within_an_archive(daemon: Running, path: StorePath) -> None:
    with daemon.connect() as user:
        next(iter(user.nar(path)))
    with daemon.connect() as other:
        assert b"".join(other.nar(path)) == b"".join(daemon.store.nar(path))
