"""What is wrong with a store after a fault, and how many of all trials a run makes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from faults.work import layout_of
from fruix.errors import FruixError
from fruix.model.finding import FindingKind
from fruix.model.garbage import Goal, Keep
from fruix.model.storepath import StorePath
from fruix.store import LocalStore

# `make fault` tries everything; without it every so many are tried, others in each test.
FULL = os.environ.get("FRUIX_FAULTS") == "full"

NOTHING: Mapping[str, str] = {}

# The disks here keep no times; damaged links are made anew where they would be used; collections find
# what is not registered.
HARMLESS = {FindingKind.METADATA, FindingKind.LINK, FindingKind.UNREGISTERED}


def one_in(number: int) -> int:
    """The step between trials."""
    return 1 if FULL else number


def _is(store: LocalStore, path: str, known: str) -> bool:
    info = store.path_info(StorePath.parse(path, store.directory))
    return not known or (info is not None and info.nar_hash.prefixed16 == known)


def troubles(root: str, promised: Mapping[str, str] = NOTHING) -> Iterator[str]:
    """Open the store, which recovers it, and look at everything.

    Unregistered objects may lie in it, if a collection finds them: after it nothing but what is
    valid is there.
    """
    try:
        with LocalStore(layout_of(root)) as store:
            found_bad = store.verify(contents=True)
            yield from (str(one) for one in found_bad if one.kind not in HARMLESS)
            valid = {str(path) for path in store.all_valid_paths()}
            yield from (f"lost: {path}" for path in sorted(promised.keys() - valid))
            yield from (
                f"as before: {path}"
                for path in valid & promised.keys()
                if not _is(store, path, promised[path])
            )
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
