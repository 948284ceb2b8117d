"""A store that is worked on step by step, for trials in which something happens in its midst.

Steps that fail are noted and the work goes on, as a daemon's does: each of them says what it needs
of those before. `scenarios` has the work itself.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fruix.errors import FruixError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.store import LocalStore
from fruix.store.layout import Layout
from fruix.store.local import Durability

T = TypeVar("T")

# A file beside a database that guix-daemon might have made: it has to be kept when it is taken over.
GUIX_S = "guix-s"


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

    def replace(self, do: Callable[[], StorePath]) -> StorePath | None:
        """The same for a path that is valid already: in either mode it is on disk afterwards."""
        path = self.add(do)
        if path is not None:
            self.note(f"promised {path}")
        return path

    def delete_by_hand(self, path: StorePath) -> None:
        """Move a path's files away, as somebody does who doesn't know better."""
        self.note(f"damaged {path}")
        os.rename(f"{self.root}/store/{path.base}", f"{self.root}/{path.base}")

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


def told(info: PathInfo) -> str:
    """What is known of a path, in a word of a note."""
    return ",".join((info.nar_hash.prefixed16, *info.signatures))


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
