"""Binary caches of stores in another directory: what they have of paths whose contents are declared.

A fixed output has another path there, and the same contents. So it is asked for under that path, and
what is said of it is taken for the path here, as far as it refers to nothing. Nobody's word counts
but that of the contents, which are checked like those of any other fixed output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from fruix.dataclass import replace
from fruix.errors import BadStorePathError, FormatError
from fruix.model import narinfo
from fruix.model.contentaddress import ContentAddress, path_for
from fruix.model.narinfo import NarInfo
from fruix.model.storepath import StorePath
from fruix.substitutes.address import CacheAddress, Question
from fruix.substitutes.answers import FOUND, NOTHING

Said = dict[tuple[str, str], NarInfo | None]


def ask_other_stores(
    wanted: Mapping[StorePath, ContentAddress],
    caches: Sequence[tuple[CacheAddress, str]],
    look: Callable[[Sequence[Question]], Iterable[tuple[str, str, str, str]]],
    said: Said,
    notes: list[str],
) -> None:
    """Put what caches of other stores say of paths into `said`, as if they had the paths of this one.

    Args:
        wanted: paths, and what their contents are.
        caches: each with the directory of its store.
        look: asks them.
        said: by address and hash part.
        notes: for people.
    """
    asked: dict[tuple[str, str], tuple[StorePath, StorePath]] = {}
    questions = []
    for cache, directory in caches:
        for path, address in wanted.items():
            if path_for(address, path.name, path.directory) != path:
                continue  # it refers to others, so its path there is not known
            there = path_for(address, path.name, directory)
            name = f"{there.hash_part}.narinfo"
            asked[cache.url, name] = path, there
            questions.append(Question(cache, name))
    for url, name, kind, text in look(questions) if questions else ():
        if (url, name) not in asked or kind not in {FOUND, NOTHING}:
            continue
        path, there = asked[url, name]
        try:
            said[url, path.hash_part] = _as_here(text, path, there, wanted[path]) if kind == FOUND else None
        except (FormatError, BadStorePathError) as error:
            notes.append(f"warning: '{name}' of binary cache '{url}' is of no use: {error}")


def _as_here(text: str, path: StorePath, there: StorePath, address: ContentAddress) -> NarInfo:
    found = narinfo.parse(text.encode("latin-1", "replace"), there.directory)
    if found.info.path != there:
        raise FormatError(f"it is about '{found.info.path}'")
    if found.info.references:
        raise FormatError("it refers to paths of another store")
    info = replace(found.info, path=path, deriver=None, signatures=(), content_address=address)
    return replace(found, info=info, guix_signature=b"", signed=b"")
