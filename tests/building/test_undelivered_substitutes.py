"""Archives of binary caches that are not what was said of them, and what is damaged here."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fruix.model.buildresult import BuildMode, BuildStatus
from fruix.model.derivedpath import DerivedPath
from fruix.model.events import BuildStarted
from fruix.model.guix_signature import public_key
from fruix.model.sexp import find, parse
from fruix.model.storepath import StorePath
from fruix.signing.path_signatures import PathTrust
from fruix.signing.substitute_trust import SubstituteTrust
from fruix.store.tree.delete import delete_tree
from golden_data import GOLDEN
from machine import Machine
from substitutes.caches import Cache, Packed, as_gzip, as_xz, plain
from substitutes.offered import archive_of, build, chain, failures, forget, move, said, started, wishes

GUIX_SECRET = (GOLDEN / "keys/guix-signing-key.sec").read_bytes()


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


# What an archive is made to be, how it is packed; what is said.
BAD: Mapping[str, tuple[Callable[[Path], object], Callable[[bytes], Packed], str]] = {
    "gone": (lambda file: file.unlink(), plain, "No such file or directory"),
    "truncated": (_truncate, plain, "ends after"),
    "too long": (_lengthen, plain, "longer than"),
    "another": (lambda file: file.write_bytes(bytes(file.stat().st_size)), plain, "hash mismatch"),
    "no gzip": (lambda file: file.write_bytes(bytes(file.stat().st_size)), as_gzip, "damaged (gzip)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_archives(here: Machine, shell: StorePath, cache: Cache, name: str) -> None:
    """Each ends with a reason, and is built only if that is wished; nothing of it stays."""
    spoil, pack, expected = BAD[name]
    drv = here.derivation(f"thing-{name.replace(' ', '-')}", "echo 1 > $out", shell)
    (info,) = move(here, cache, drv)
    cache.add(info, b"".join(archive_of(b"1\n")), pack)
    spoil(cache.archive(info))
    (result,) = build(here, drv, options=wishes(cache.url))
    assert result.status is BuildStatus.TRANSIENT_FAILURE
    assert result.message.startswith(f"some substitutes for the outputs of derivation '{drv}' failed")
    assert expected in result.message
    assert expected in failures(here)[0]
    assert not here.store.has_files(info.path)
    (result,) = build(here, drv, options=wishes(cache.url, fallback=True))
    assert result.status is BuildStatus.BUILT, result.message


def test_an_archive_whose_file_is_as_said_and_whose_contents_are_not(
    here: Machine, shell: StorePath, cache: Cache
) -> None:
    """The description is believed, the archive never."""
    drv = here.derivation("thing-1", "echo 1 > $out", shell)
    (info,) = move(here, cache, drv)
    cache.add(info, b"".join(archive_of(b"2\n")))
    assert not build(here, drv, options=wishes(cache.url))[0].success
    (message,) = failures(here)
    assert message.startswith(f"hash mismatch importing path '{info.path}' from '{cache.url}'")
    assert info.nar_hash.prefixed in message


def test_an_archive_that_another_cache_has(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    """Of a cache whose word isn't taken, since the hash is what somebody else vouches for."""
    tmp_path.chmod(0o755)
    one, other = Cache(tmp_path / "one"), Cache(tmp_path / "other")
    drv = here.derivation("thing-2", "echo 1 > $out", shell)
    (info,) = move(here, one, drv)
    archive = b"".join(archive_of(b"1\n"))
    other.add(info, archive, key=None)
    one.archive(info).unlink()
    (result,) = build(here, drv, options=wishes(one.url, other.url))
    assert result.status is BuildStatus.SUBSTITUTED, result.message


def test_damage_is_repaired_from_a_cache(here: Machine, shell: StorePath, cache: Cache) -> None:
    first, second = chain(here, shell)
    infos = move(here, cache, first, second)
    options = wishes(cache.url)
    assert build(here, second, options=options)[0].success
    file = here.output(first) / "x"
    file.chmod(0o644)
    file.write_text("damaged\n")
    here.events.clear()
    request = [DerivedPath(infos[1].path, None)]
    repairing = wishes(cache.url, mode=BuildMode.REPAIR)
    ((_, result),) = here.builder.realise(request, repairing, here.events.append, threading.Event())
    assert result.status is BuildStatus.SUBSTITUTED, result.message
    assert file.read_text() == "1\n"
    assert started(here) == [infos[0].path]
    delete_by_hand(here, infos[0].path)
    (result,) = build(here, first, options=options)
    assert result.status is BuildStatus.SUBSTITUTED, result.message
    assert not [event for event in here.events if isinstance(event, BuildStarted)]


def delete_by_hand(here: Machine, path: StorePath) -> None:
    descriptor = os.open(here.store.directory, os.O_RDONLY | os.O_DIRECTORY)
    delete_tree(descriptor, os.fsencode(path.base))
    os.close(descriptor)


def test_guix_s_form(here: Machine, shell: StorePath, cache: Cache) -> None:
    """Several archives, of which the smallest is taken, and a key of the access control list."""
    private = find(parse(GUIX_SECRET), b"private-key")
    assert private is not None
    trust = SubstituteTrust(PathTrust(), lambda: [public_key(private)])
    drv = here.derivation("thing-3", "echo 1 > $out", shell)
    (info,) = move(here, cache, drv)
    archive = b"".join(archive_of(b"1\n"))
    cache.add_as_guix(info, archive, [plain, as_gzip, as_xz], private)
    options = wishes(cache.url)
    for chosen, status in (
        (SubstituteTrust(), BuildStatus.BUILT),
        (trust, BuildStatus.SUBSTITUTED),
    ):
        result = build(
            here, drv, options=replace(options, substitutes=replace(options.substitutes, trust=chosen))
        )[0]
        assert result.status is status, result.message
        forget(here, [info])
    assert "its key isn't in the access control list" in said(here)[0]
