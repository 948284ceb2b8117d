"""Words that name a file with package definitions: `./x.py` means `-f ./x.py`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fruix.cli.request.connect import layout


def separate(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that name no file, and the files; each in their order."""
    files = [word for word in words if is_definition_file(word)]
    return [word for word in words if word not in files], files


def is_definition_file(word: str) -> bool:
    """Whether it names a Python file, there or not, outside of the store.

    What lies in the store, or is a link to it, is a store path.
    """
    if not word.endswith(".py") or not ("/" in word or os.path.exists(word)):
        return False
    return not os.path.realpath(word).startswith(layout().store + "/")
