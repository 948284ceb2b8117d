"""Work of a store, step by step, for trials in which something happens in its midst.

A *scenario* is a function of `Work`. Steps that fail are noted and the work goes on, as a daemon's
does: each of them says what it needs of those before.
"""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from fruix.errors import FruixError
from fruix.model.garbage import Goal, Keep
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import LocalStore, schema
from fruix.store.layout import Layout
from fruix.store.local import Durability
from fruix.store.outputs.import_tree import OutputPolicy
from fruix.store.outputs.staged import Staged

T = TypeVar("T")


@dataclass(slots=True)
class Work:
    """A store that is worked on, and what is told of it."""

    root: str
    strict: bool
    note: Callable[[str], None]
    failures: list[str] = field(default_factory=list)
    added: list[StorePath] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return layout_of(self.root)

    def step(self, do: Callable[[], T]) -> T | None:
        """One step; None when it has failed as it may: with an error that says what and why."""
        try:
            return do()
        except (FruixError, OSError) as error:
            self.failures.append(str(error))
        except Exception:  # noqa: BLE001 (the trial reports it)
            self.failures.append("UNEXPECTED " + traceback.format_exc())
        return None

    def add(self, do: Callable[[], StorePath]) -> StorePath | None:
        """A step that makes a path valid."""
        path = self.step(do)
        if path is not None:
            self.added.append(path)
            if self.strict:
                self.note(f"promised {path}")
        return path

    def sync(self, store: LocalStore) -> None:
        """All that was added is promised from now on."""
        added = list(self.added)

        def sync() -> None:
            store.sync()
            for path in added:
                self.note(f"promised {path}")

        self.step(sync)

    def known(self, *paths: StorePath | None) -> list[StorePath]:
        """Those that were made."""
        return [path for path in paths if path is not None]


def layout_of(root: str) -> Layout:
    return Layout(f"{root}/store", f"{root}/state", f"{root}/log")


def opened(work: Work, do: Callable[[LocalStore], None], *, accept: bool = False) -> None:
    """Work with the store open, from its opening to its closing."""
    durability: Durability = "strict" if work.strict else "background"

    def all_of_it() -> None:
        with LocalStore(work.layout, durability=durability, accept=accept) as store:
            do(store)

    work.step(all_of_it)
    if not any(failure.startswith("UNEXPECTED") for failure in work.failures) and not work.failures:
        for path in work.added:
            work.note(f"promised {path}")


def tree(root: str, name: str, files: Mapping[str, bytes], mode: int = 0o755) -> str:
    """A directory to add."""
    top = f"{root}/{name}"
    for file, contents in files.items():
        path = f"{top}/{file}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as opened_file:
            opened_file.write(contents)
        os.chmod(path, mode)
    if not os.path.lexists(f"{top}/link"):
        os.symlink("a", f"{top}/link")
    return top


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

    opened(work, do)


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


def _build_again(store: LocalStore, first: StorePath, second: StorePath) -> PathInfo:
    with store.lock_paths([second]):
        output = _built(store, second, b"other" * 4000, [first])
        with store.replacing(output.info):
            store.register([output.replace()])
    return output.info


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
            info = work.step(lambda: _build_again(store, first, second))
            if info is not None:
                work.note(f"promised {second} {info.nar_hash.prefixed16}")
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

    opened(work, fill)
    opened(work, collect)


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


def recovery(work: Work) -> None:
    """Opening a store after a power cut; `prepare_recovery` was there before."""
    opened(work, lambda _store: None)


def prepare_recovery(root: str) -> list[StorePath]:
    """A store as a power cut leaves it.

    Of what came after the mark one path is empty. One before it was just replaced.

    Returns:
        What has to be there afterwards: all but the empty one and what refers to it.
    """
    with LocalStore(layout_of(root)) as store:
        kept = store.add_text("kept", b"k" * 100)
        replaced = store.add_text("replaced", b"r" * 100)
        needing = store.add_text("needing", b"n" * 100, [replaced])
        other = store.path_info(store.add_text("other", b"o" * 100))
        store.sync()
        store.database.checkpoint()
    with LocalStore(layout_of(root)) as store:
        emptied = store.add_text("emptied", b"e" * 100, [kept])
        store.add_text("lost", b"l", [emptied])
        whole = store.add_text("whole", b"w", [kept])
        with store.database.writing() as connection:
            assert other is not None
            row = (str(replaced), other.nar_hash.prefixed16, other.nar_size)
            connection.execute(schema.INSERT_REPLACING, row)
        shutil.copytree(root, f"{root}.crashed", symlinks=True)
    shutil.rmtree(root)
    os.rename(f"{root}.crashed", root)
    _rewrite(f"{root}/store/{emptied.base}", b"")
    _rewrite(f"{root}/store/{replaced.base}", b"o" * 100)
    return [kept, whole, replaced, needing]


def _rewrite(file: str, contents: bytes) -> None:
    os.chmod(file, 0o600)
    with open(file, "wb") as stream:
        stream.write(contents)
    os.chmod(file, 0o444)


SCENARIOS: Mapping[str, Callable[[Work], None]] = {
    "adds": adds,
    "outputs": outputs,
    "collections": collections,
    "deduplication": deduplication,
}
ALL: Mapping[str, Callable[[Work], None]] = {**SCENARIOS, "recovery": recovery}
