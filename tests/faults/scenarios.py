"""The work of a store that is tried. A *scenario* is a function of `Work`."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from faults.work import GUIX_S, Work, layout_of, opened, told, tree
from fruix.model.garbage import Goal, Keep
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import LocalStore, flags, schema
from fruix.store.guix_database import give_back
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.outputs.staged import Staged
from fruix.store.rebuilding.rebuild import rebuild


def adds(work: Work) -> None:
    """Texts, trees and archives."""
    source = tree(f"{work.root}.sources", "tree", {"a": b"a" * 3000, "sub/b": b"b" * 9000})

    def do(store: LocalStore) -> None:
        last: StorePath | None = None
        for number in range(3):
            refs = work.known(last)
            last = work.add(partial(store.add_text, f"first-{number}", b"x" * 100 * number, refs))
        work.add(lambda: store.add_path("tree", source))
        work.add(lambda: store.add_path("link", f"{source}/link"))
        work.sync(store)
        for number in range(3):
            refs = work.known(last)
            last = work.add(partial(store.add_text, f"second-{number}", b"y" * 5000 * number, refs))
            if number == 1:
                work.step(store.database.checkpoint)
        archive = work.step(lambda: b"".join(store.nar(work.added[-1])) if work.added else b"")
        known = work.step(lambda: store.path_info(work.added[-1])) if work.added else None
        if archive and known is not None:
            info = PathInfo(
                path=StorePath.parse(f"{work.layout.store}/{'7' * 32}-archive", work.layout.store),
                nar_hash=known.nar_hash,
                nar_size=known.nar_size,
                references=tuple(work.known(last)),
            )
            work.add(lambda: (store.add_nar(info, [archive]), info.path)[1])
        work.sync(store)
        work.add(lambda: store.add_text("third", b"z" * 20000))
        work.step(store.database.checkpoint)
        work.add(lambda: store.add_text("last", b"last", work.known(last)))
        work.add(lambda: _quickly(store, "quick", b"q" * 3000, work.known(last)))

    opened(work, do)


def _quickly(store: LocalStore, name: str, contents: bytes, refs: Sequence[StorePath]) -> StorePath:
    """As the daemon adds what is asked for in one piece."""
    added = store.add_new_text(name, contents, sorted(path.text for path in refs))
    return store.add_text(name, contents, refs) if added is None else added.path


def _built(store: LocalStore, path: StorePath, contents: bytes, refs: Sequence[StorePath] = ()) -> Staged:
    """The output of a build that gave these contents and mentions these paths."""
    root = os.path.dirname(store.directory)
    mentioned = b"".join(os.fsencode(str(reference)) for reference in refs)
    source = tree(f"{root}/built", path.base, {"a": contents, "bin/b": contents + mentioned})
    return store.stage_output(source, path, OutputPolicy(build_uid=os.geteuid(), candidates=[*refs, path]))


def _register_both(store: LocalStore, first: StorePath, second: StorePath) -> bool:
    with store.lock_paths([first, second]):
        try:
            one, two = _built(store, first, b"one"), _built(store, second, b"two", [first])
            store.register([one.publish(), two.publish()])
        except BaseException:
            for path in (first, second):
                if not store.is_valid(path):
                    store.delete_unregistered(path)
            raise
    return True


def _build_again(store: LocalStore, path: StorePath, refs: Sequence[StorePath]) -> PathInfo:
    with store.lock_paths([path]):
        output = _built(store, path, b"other" * 4000, refs)
        signed = replace(output.info, signatures=("key:" + "A" * 86 + "==",))
        with store.replacing(signed):
            output.replace()
            store.register([signed])
    return signed


def _receive_again(store: LocalStore, path: StorePath) -> None:
    """Another client repairs a path with an archive of the same contents."""
    info = store.path_info(path)
    if info is not None:
        store.add_nar(info, [b"".join(store.nar(path))], repair=True)


def _keep_failed(store: LocalStore, failed: StorePath) -> None:
    with store.lock_paths([failed]):
        store.keep_result(_built(store, failed, b"bad"), "")
    store.remove_result(failed, "")


def outputs(work: Work) -> None:
    """Outputs of builds: registered together, built again with other contents, kept after a failure."""
    directory = work.layout.store
    first, second, failed = (
        StorePath.parse(f"{directory}/{digit * 32}-{name}", directory)
        for digit, name in (("1", "first"), ("2", "second"), ("3", "failed"))
    )

    def do(store: LocalStore) -> None:
        if work.step(lambda: _register_both(store, first, second)):
            work.added += [first, second]
            if work.strict:
                work.note(f"promised {first}")
                work.note(f"promised {second}")
        work.sync(store)
        if second in work.added:
            work.note(f"replaced {second}")
            other = work.add(lambda: store.add_text("other", b"o"))
            info = work.step(lambda: _build_again(store, second, work.known(first, other)))
            if info is not None:
                work.note(f"promised {second} {told(info)}")
            work.step(lambda: _receive_again(store, first))
            work.step(lambda: _receive_again(store, second))
        work.step(lambda: _keep_failed(store, failed))
        work.add(lambda: store.add_text("after", b"a", work.known(*work.added[-1:])))

    opened(work, do)


def collections(work: Work) -> None:
    """Garbage is collected, and some of it added again while the rest goes."""
    source = tree(f"{work.root}.sources", "tree", {"a": b"a" * 3000, "sub/b": b"b" * 9000})
    kept: list[StorePath] = []

    def fill(store: LocalStore) -> None:
        live = work.add(lambda: store.add_text("live", b"live"))
        top = work.add(lambda: store.add_text("top", b"top", work.known(live)))
        dead = work.add(lambda: store.add_path("dead", source))
        work.add(lambda: store.add_text("dead-top", b"d" * 9000, work.known(dead, live)))
        for path in work.known(top):
            work.step(partial(store.add_permanent_root, path, f"{work.root}/root"))
        kept.extend(work.known(live, top))

    def collect(store: LocalStore) -> None:
        for path in work.added:
            if path not in kept:
                work.note(f"gone {path}")
        work.added[:] = kept
        work.step(lambda: store.collect(Keep(), Goal()))
        work.add(lambda: store.add_text("dead-top", b"d" * 9000, work.known(*kept)))
        work.add(lambda: store.add_path("dead", source))
        work.sync(store)

    def empty(store: LocalStore) -> None:
        for path in work.added:
            work.note(f"gone {path}")
        work.added.clear()
        work.step(lambda: os.unlink(f"{work.root}/root"))
        work.step(lambda: store.collect(Keep(), Goal()))
        work.add(lambda: store.add_text("first-of-all", b"f" * 9000))

    opened(work, fill)
    opened(work, collect)
    opened(work, empty)


def deduplication(work: Work) -> None:
    """Equal files become one, then one of their paths is collected."""
    same = b"same" * 3000
    sources = [
        tree(f"{work.root}.sources", name, {"a": same, f"sub/{name}": same})
        for name in ("one", "two", "three")
    ]

    def fill(store: LocalStore) -> None:
        for source in sources:
            work.add(partial(store.add_path, os.path.basename(source), source))
        work.sync(store)
        work.step(store.optimise)
        work.add(lambda: store.add_text("after", same))
        work.step(store.optimise)

    def collect(store: LocalStore) -> None:
        for path in work.added:
            work.note(f"gone {path}")
        work.added.clear()
        work.add(lambda: store.add_path("one", sources[0]))
        work.step(lambda: store.collect(Keep(), Goal()))

    opened(work, fill, accept=True)
    opened(work, collect)


def repairs(work: Work) -> None:
    """What was deleted by hand is added again, or forgotten and then made again."""
    source = tree(f"{work.root}.sources", "tree", {"a": b"a" * 3000, "sub/b": b"b" * 9000})

    def text(store: LocalStore, name: str) -> StorePath:
        return store.add_text(name, name.encode() * 3000)

    def do(store: LocalStore) -> None:
        work.add(partial(text, store, "kept"))
        deleted = [work.add(partial(text, store, name)) for name in ("text", "lost")]
        deleted.append(work.add(lambda: store.add_path("tree", source)))
        work.sync(store)
        for path in work.known(*deleted):
            work.step(partial(work.delete_by_hand, path))
        work.replace(lambda: text(store, "text"))
        work.replace(lambda: store.add_path("tree", source))
        for path in work.step(lambda: store.forget_missing(work.known(deleted[1]))) or ():
            work.note(f"gone {path}")
            work.add(lambda: text(store, "lost"))
        work.add(lambda: store.add_text("after", b"a"))

    opened(work, do)


# Names of objects that somebody deletes by hand: that they are gone is no fault.
DELETED: Mapping[str, Collection[str]] = {"repairs": ("text", "lost", "tree")}


def _add(work: Work, name: str, contents: bytes, store: LocalStore) -> None:
    work.add(lambda: store.add_text(name, contents))


def rebuilding(work: Work) -> None:
    """The database is made anew from what lies in the store, some of which was never synced."""

    def fill(store: LocalStore) -> None:
        first = work.add(lambda: store.add_text("first", b"f" * 9000))
        work.add(lambda: store.add_text("second", b"s" * 100, work.known(first)))

    def die(store: LocalStore) -> None:
        work.step(lambda: store.add_text("unsynced", b"u" * 9000))
        store._syncer.abandon()

    opened(work, fill)
    opened(work, die)
    work.note("rebuilding")
    if work.step(lambda: rebuild(work.layout)) is not None:
        work.note("rebuilt")
    opened(work, partial(_add, work, "after", b"a"))


def put_back(work: Work) -> None:
    """A text that was deleted by hand is added again."""

    def do(store: LocalStore) -> None:
        work.add(lambda: store.add_text("kept", b"k"))  # an empty store would look as if it weren't mounted
        add = partial(store.add_text, "text", b"t" * 9000)
        paths = work.known(work.add(add))
        work.sync(store)
        for path in paths:
            work.step(partial(work.delete_by_hand, path))
            work.replace(add)

    opened(work, do)


def beside_a_sync(work: Work) -> None:
    """A path is added after the newest row was noted, and before the files are synced."""
    sync = flags.sync_file_system

    def do(store: LocalStore) -> None:
        def meanwhile(descriptor: int) -> bool:
            flags.sync_file_system = sync
            done = sync(descriptor)
            work.step(lambda: store.add_text("meanwhile", b"m" * 9000))
            return done

        work.add(lambda: store.add_text("before", b"b" * 100))
        flags.sync_file_system = meanwhile
        work.sync(store)
        work.step(store.database.checkpoint)

    opened(work, do)


def recovery(work: Work) -> None:
    """Opening a store after a power cut; `prepare_recovery` was there before.

    What was damaged is added again. Then the store is opened for nothing.
    """
    opened(work, partial(_add, work, "replaced", b"r" * 100))
    opened(work, lambda _store: None)


def prepare_recovery(root: str) -> list[StorePath]:
    """A store as a power cut leaves it.

    Of what came after the mark one path is empty. Of those before it one was just replaced, and
    another was away for that.

    Returns:
        What has to be there afterwards: all but the empty one and what refers to it.
    """
    with LocalStore(layout_of(root)) as store:
        kept = store.add_text("kept", b"k" * 100)
        replaced = store.add_text("replaced", b"r" * 100)
        needing = store.add_text("needing", b"n" * 100, [replaced])
        moved = store.add_text("moved", b"m" * 100)
        other = store.path_info(store.add_text("other", b"o" * 100))
        store.sync()
        store.database.checkpoint()
    with LocalStore(layout_of(root)) as store:
        emptied = store.add_text("emptied", b"e" * 100, [kept])
        store.add_text("lost", b"l", [emptied])
        whole = store.add_text("whole", b"w", [kept])
        with store.database.writing() as connection:
            assert other is not None
            for path in (replaced, moved):
                row = (str(path), other.nar_hash.prefixed16, other.nar_size)
                connection.execute(schema.INSERT_REPLACING, row)
        shutil.copytree(root, f"{root}.crashed", symlinks=True)
    shutil.rmtree(root)
    os.rename(f"{root}.crashed", root)
    _rewrite(f"{root}/store/{emptied.base}", b"")
    for path in (replaced, moved):
        _rewrite(f"{root}/store/{path.base}", b"o" * 100)
    os.rename(f"{root}/store/{moved.base}", f"{root}/store/.tmp-{'0' * 16}")
    return [kept, whole, replaced, needing, moved]


def prepare_guix_store(root: str) -> list[StorePath]:
    """A store of a guix-daemon that was killed: its write-ahead log is still there.

    Returns:
        What is in the store; all of it is on disk.
    """
    with LocalStore(layout_of(root)) as store:
        first = store.add_text("first", b"1" * 100)
        paths = [first, store.add_text("second", b"2" * 100, [first])]
    given = give_back(layout_of(root))
    os.unlink(given)
    with open(f"{os.path.dirname(given)}/{GUIX_S}", "wb"):
        pass
    with closing(sqlite3.connect(layout_of(root).database)) as database:
        database.execute("insert into FailedPaths values (?, 1)", (str(first),))
        database.commit()
        _as_it_is_now(root)
    return paths


def _as_it_is_now(root: str) -> None:
    """Have everything below `root` be as if who has it open were killed at this moment."""
    shutil.copytree(root, f"{root}.crashed", symlinks=True)
    shutil.rmtree(root)
    os.rename(f"{root}.crashed", root)


def _rewrite(file: str, contents: bytes) -> None:
    os.chmod(file, 0o600)
    with open(file, "wb") as stream:
        stream.write(contents)
    os.chmod(file, 0o444)


# In both modes of durability.
SCENARIOS: Mapping[str, Callable[[Work], None]] = {
    "adds": adds,
    "outputs": outputs,
    "collections": collections,
    "deduplication": deduplication,
    "repairs": repairs,
    "rebuilding": rebuilding,
}
ALL: Mapping[str, Callable[[Work], None]] = {
    **SCENARIOS,
    "put_back": put_back,
    "beside_a_sync": beside_a_sync,
    "recovery": recovery,
}
