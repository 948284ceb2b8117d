"""What is wrong with a store after a fault, and how many of all trials a run makes."""

from __future__ import annotations

import os
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing

from faults.work import GUIX_S, layout_of, told
from fruix.errors import FruixError
from fruix.model.finding import FindingKind
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.rebuilding.rebuild import rebuild

# `make fault` tries every so many of all trials (1: everything); without it a few are tried, others in
# each test.
EVERY = int(os.environ.get("FRUIX_FAULTS", "0"))

# What the running test has tried (`conftest` tells the sums).
counted = Counter[str]()

NOTHING: Mapping[str, str] = {}

# The disks here keep no times; damaged links are made anew where they would be used; collections find
# what is not registered.
HARMLESS = {FindingKind.METADATA, FindingKind.LINK, FindingKind.UNREGISTERED}

GUIX_COLUMNS = 6  # of its ValidPaths
KEPT = re.compile(r"db\.sqlite\.before-[0-9-]+")


def one_in(number: int) -> int:
    """The step between trials: `number` where only a few are tried."""
    return EVERY or number


def _is(store: LocalStore, path: str, known: str) -> bool:
    info = store.path_info(StorePath.parse(path, store.directory))
    return not known or (info is not None and told(info) == known)


def troubles(
    root: str,
    promised: Mapping[str, str] = NOTHING,
    *,
    deleted: Collection[str] = (),
    rebuilds: bool = False,
) -> Iterator[str]:
    """Open the store, which recovers it, and look at everything.

    Unregistered objects may lie in it, if a collection finds them: after it nothing but what is
    valid is there.

    Args:
        root: the directory of the store's parts.
        promised: the paths that have to be there, and what `told` must give; empty: anything.
        deleted: names of objects that somebody has deleted by hand: they may be missing.
        rebuilds: the database may have to be made anew before.
    """
    try:
        with _opened(root, rebuilds=rebuilds) as store:
            yield from _wrong(store, promised, deleted)
            store.collect(Keep(), Goal())
            valid = {str(path) for path in store.all_valid_paths()}
            expected = {os.path.basename(path) for path in valid} | store.database.kept()
            found = set(os.listdir(store.directory)) - {".links"}
            yield from (f"left over: {name}" for name in sorted(found - expected))
            if not store.is_valid(store.add_text("afterwards", b"x")):
                yield "can't go on"
    except FruixError as error:
        yield f"can't be opened: {error}"
    sessions = os.listdir(f"{root}/state/staging") + os.listdir(f"{root}/state/locks")
    yield from (f"left over: {name}" for name in sessions)


def _opened(root: str, *, rebuilds: bool) -> LocalStore:
    store = LocalStore(layout_of(root))
    try:
        return store.open()
    except FruixError:
        if not rebuilds:
            raise
        rebuild(store.layout)
        return store.open()


def _wrong(store: LocalStore, promised: Mapping[str, str], deleted: Collection[str]) -> Iterator[str]:
    for one in store.verify(contents=True):
        by_hand = one.kind is FindingKind.MISSING and _name(one.subject) in deleted
        if one.kind not in HARMLESS and not by_hand:
            yield str(one)
    for path in store.all_valid_paths():
        for other in sorted(_mentioned(store, path) - {str(path), *map(str, store.references(path))}):
            yield f"no reference: {path} to {other}"
    valid = {str(path) for path in store.all_valid_paths()}
    lost = sorted(path for path in promised.keys() - valid if _name(path) not in deleted)
    yield from (f"lost: {path}" for path in lost)
    kept = sorted(valid & promised.keys())
    yield from (f"as before: {path}" for path in kept if not _is(store, path, promised[path]))
    yield from _copies(os.path.dirname(store.database.file))


def _copies(directory: str) -> Iterator[str]:
    """Guix's database has to be kept when it is taken over; those on the way don't count."""
    if GUIX_S not in os.listdir(directory):
        return
    columns = set()
    for name in filter(KEPT.fullmatch, os.listdir(directory)):
        with closing(sqlite3.connect(f"{directory}/{name}")) as copy:
            try:
                (found,) = copy.execute("pragma integrity_check").fetchone()
                columns.add(len(copy.execute("pragma table_info(ValidPaths)").fetchall()))
            except sqlite3.Error as error:
                found = str(error)
        if found != "ok":
            yield f"{name}: {found}"
    if GUIX_COLUMNS not in columns:
        yield "Guix's database is not kept"


def _name(path: str) -> str:
    return os.path.basename(path)[33:]


def _mentioned(store: LocalStore, path: StorePath) -> set[str]:
    """The store paths whose names its files hold."""
    name = re.compile(re.escape(os.fsencode(store.directory)) + rb"/[0-9a-z]{32}-[a-z]+")
    files = [store.real(path)] if os.path.isfile(store.real(path)) else []
    files += [f"{above}/{file}" for above, _, names in os.walk(store.real(path)) for file in names]
    found: set[str] = set()
    for file in files:
        if not os.path.islink(file):
            with open(file, "rb") as stream:
                found.update(map(os.fsdecode, name.findall(stream.read())))
    return found
