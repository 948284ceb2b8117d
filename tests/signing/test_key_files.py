from __future__ import annotations

import os
from pathlib import Path

import pytest

from fruix.errors import NotPermittedError, UsageError
from fruix.signing.key_files import PUBLIC_MODE, SECRET_MODE, read_public, read_secret, write_new


def test_a_pair_is_made_with_its_modes_whatever_the_umask(tmp_path: Path) -> None:
    secret, public = tmp_path / "key", tmp_path / "key.pub"
    before = os.umask(0o077)
    try:
        write_new({str(public): ("public\n", PUBLIC_MODE), str(secret): ("secret\n", SECRET_MODE)})
    finally:
        os.umask(before)
    assert (public.stat().st_mode & 0o777, secret.stat().st_mode & 0o777) == (0o444, 0o400)
    assert (read_public(str(public)), read_secret(str(secret))) == (b"public\n", b"secret\n")


def test_nothing_is_written_over_and_half_a_pair_is_taken_back(tmp_path: Path) -> None:
    secret, public = tmp_path / "key", tmp_path / "key.pub"
    secret.write_text("old")
    with pytest.raises(UsageError, match="a file of that name is there"):
        write_new({str(public): ("public", PUBLIC_MODE), str(secret): ("secret", SECRET_MODE)})
    assert secret.read_text() == "old"
    assert not public.exists()


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o420, 0o600 | 0o040, 0o777])
def test_what_others_can_reach_is_no_secret(tmp_path: Path, mode: int) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(mode)
    with pytest.raises(NotPermittedError, match="should be secret") as caught:
        read_secret(str(key))
    assert caught.value.hint == f"chmod 0400 {key}"


def test_links_and_other_things_are_not_followed(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o400)
    (tmp_path / "link").symlink_to(key)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("link", "fifo", "nothing"):
        with pytest.raises(UsageError):
            read_secret(str(tmp_path / name))
    with pytest.raises(UsageError, match="plain file"):
        read_public(str(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: only root can give files away")
def test_somebody_else_s_file_is_no_secret(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o400)
    os.chown(key, 12345, 12345)
    with pytest.raises(NotPermittedError, match="belongs to user 12345"):
        read_secret(str(key))
