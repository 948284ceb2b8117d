"""The choice among what binary caches offer.

For each path the caches are asked together, those whose answers are still known not at all. The
first offer in the order of priorities that is believed decides what the path is: its hash, size and
references. Archives are then taken from every cache that says the same of it, believed or not,
since an archive is judged by that hash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from fruix.dataclass import dataclass, field, replace
from fruix.errors import FormatError
from fruix.model import cacheinfo, narinfo
from fruix.model.build_options import Trust
from fruix.model.contentaddress import ContentAddress, path_for
from fruix.model.narinfo import Archive, NarInfo
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.substitutes.address import CacheAddress, Question
from fruix.substitutes.answers import FOUND, NOTHING, Answers

# Paths that are asked for at once; a sandbox is made for each such lot.
LOT = 512


@dataclass(frozen=True, slots=True)
class Offer:
    """A path that can be had.

    Attributes:
        info: as it will be registered.
        archives: with the caches that they are of, the best first.
    """

    info: PathInfo
    archives: tuple[tuple[CacheAddress, Archive], ...]

    @property
    def path(self) -> StorePath:
        """What is offered."""
        return self.info.path

    @property
    def url(self) -> str:
        """Where it comes from, for people."""
        return self.archives[0][0].url

    @property
    def size(self) -> int:
        """Bytes to fetch; 0: not known."""
        return self.archives[0][1].size


# Cache's URL, name, kind of the answer (`fetcher`), text.
Reply = tuple[str, str, str, str]
# Cache's URL and hash part → what it has. Of one query, whether or not it is remembered for others.
_Said = dict[tuple[str, str], NarInfo | None]


class Fetcher(Protocol):
    """What asks and fetches, in sandboxes."""

    def look(self, questions: Sequence[Question]) -> Iterable[Reply]:
        """Ask for small files.

        Raises:
            FruixError: nobody could be asked.
        """

    def fetch(self, offer: Offer) -> AbstractContextManager[tuple[PathInfo, Iterator[bytes]]]:
        """What an offer is, and its archive, unpacked.

        Raises:
            ImportMismatchError: what came was another archive.
            FruixError: no cache delivered it; says why of each.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """What is offered, and what people should know of caches that were no help."""

    offers: Mapping[StorePath, Offer] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Substituter:
    """Thread-safe."""

    def __init__(self, directory: str, answers: Answers) -> None:
        """`directory`: of the store whose paths are asked for."""
        self._directory = directory
        self._answers = answers

    def query(
        self,
        paths: Collection[StorePath],
        caches: Sequence[CacheAddress],
        trust: Trust,
        fetcher: Fetcher,
        addresses: Mapping[StorePath, ContentAddress] | None = None,
    ) -> Found:
        """What `caches` offer of `paths`.

        Args:
            paths: that are wanted.
            caches: in the order in which their addresses were given.
            trust: whose word is taken.
            fetcher: asks them.
            addresses: of paths whose contents are known, as fixed outputs are: these need no trust.
        """
        notes: list[str] = []
        said: _Said = {}
        wanted = sorted(paths)
        for begin in range(0, len(wanted), LOT):
            self._ask(wanted[begin : begin + LOT], caches, fetcher, said, notes)
        declared = {path: address for path, address in (addresses or {}).items() if path in paths}
        others = self._ask_others(declared, caches, fetcher, said, notes)
        usable = [cache for cache in caches if cache in others or not self._why_not(cache, notes)]
        usable.sort(key=self._priority)
        offers = {}
        for path in wanted:
            has = [(cache, found) for cache in usable if (found := said.get((cache.url, path.hash_part)))]
            offer = _choose(path, has, trust, (addresses or {}).get(path), notes)
            if offer is not None:
                offers[path] = offer
        return Found(offers, tuple(dict.fromkeys(notes)))

    def distrust(self, offer: Offer) -> None:
        """What was offered could not be had: ask again next time."""
        for cache, _ in offer.archives:
            self._answers.forget(cache.url, offer.path.hash_part)

    def _priority(self, cache: CacheAddress) -> int:
        info = self._answers.info(cache.url)
        return cache.priority if cache.priority is not None else info.priority if info else 0

    def _why_not(self, cache: CacheAddress, notes: list[str]) -> str:
        """Why nothing of a cache is taken; empty: it may be."""
        info = self._answers.info(cache.url)
        if info is None:
            return self._answers.why_down(cache.url) or "it wasn't asked"
        if info.directory == self._directory:
            return ""
        why = f"binary cache '{cache}' is for the store '{info.directory}', not '{self._directory}'"
        notes.append(f"warning: {why}: nothing of it is used")
        return why

    # Asking

    def _ask_others(
        self,
        addresses: Mapping[StorePath, ContentAddress],
        caches: Sequence[CacheAddress],
        fetcher: Fetcher,
        said: _Said,
        notes: list[str],
    ) -> Collection[CacheAddress]:
        """Ask those that are of another store for what has declared contents; which those are."""
        known = [(cache, info) for cache in caches if (info := self._answers.info(cache.url)) is not None]
        others = {cache: info.directory for cache, info in known if info.directory != self._directory}
        if not others or not addresses:
            return ()
        urls = {cache.url for cache in others}
        for key in [key for key in said if key[0] in urls]:
            del said[key]  # what they say of paths of this store
        from fruix.substitutes.other_stores import ask_other_stores  # noqa: PLC0415 - seldom needed

        ask_other_stores(addresses, list(others.items()), fetcher.look, said, notes)
        return others

    def _ask(
        self,
        paths: Sequence[StorePath],
        caches: Sequence[CacheAddress],
        fetcher: Fetcher,
        said: _Said,
        notes: list[str],
    ) -> None:
        """Fill `said` with an answer of each cache on each path, as far as it can be had."""
        questions = [question for cache in caches for question in self._questions(cache, paths, said)]
        problems: dict[str, str] = {}
        for url, name, kind, text in fetcher.look(questions) if questions else ():
            why = self._note(url, name, kind, text, said, notes)
            if why:
                problems.setdefault(url, why)
        for url, why in problems.items():
            self._answers.down(url, why)
            notes.append(f"warning: binary cache '{url}' is of no use now: {why}")

    def _questions(self, cache: CacheAddress, paths: Sequence[StorePath], said: _Said) -> Iterator[Question]:
        """Those to which no answer is remembered; the others' go into `said`."""
        if self._answers.why_down(cache.url):
            return
        info = self._answers.info(cache.url)
        if info is None:
            yield Question(cache, cacheinfo.NAME)
        elif info.directory != self._directory:
            return
        for path in paths:
            if (answer := self._answers.get(cache.url, path.hash_part)) is None:
                yield Question(cache, f"{path.hash_part}.narinfo")
            else:
                said[cache.url, path.hash_part] = answer.found

    def _note(self, url: str, name: str, kind: str, text: str, said: _Said, notes: list[str]) -> str:
        """Keep an answer; what is wrong with the cache as a whole."""
        if kind not in {FOUND, NOTHING}:
            return text
        data = text.encode("latin-1", "replace")
        if name == cacheinfo.NAME:
            if kind == NOTHING:
                return f"it has no {cacheinfo.NAME}, so it is none"
            try:
                self._answers.describe(url, cacheinfo.parse(data))
            except FormatError as error:
                return str(error)
            return ""
        part = name.partition(".")[0]
        try:
            found = narinfo.parse(data, self._directory) if kind == FOUND else None
            if found is not None and found.info.path.hash_part != part:
                raise FormatError(f"it is about '{found.info.path}'")
        except FormatError as error:
            notes.append(f"warning: '{name}' of binary cache '{url}' is of no use: {error}")
            found = None
        self._answers.put(url, part, found)
        said[url, part] = found
        return ""


def _choose(
    path: StorePath,
    has: Iterable[tuple[CacheAddress, NarInfo]],
    trust: Trust,
    address: ContentAddress | None,
    notes: list[str],
) -> Offer | None:
    """The first that can be trusted, with all archives of the same contents; `has`: what each cache said."""
    said = [(cache, with_address(found, address)) for cache, found in has if found.info.path == path]
    chosen: NarInfo | None = None
    for cache, one in said:
        why = trust.objection(one)
        if not why:
            chosen = one
            break
        notes.append(f"warning: ignoring substitute for '{path}' from '{cache}', as {why}")
    if chosen is None:
        return None
    archives = []
    for cache, one in said:
        if _same(one, chosen):
            archives += [(cache, archive) for archive in _readable(one)]
    if not archives:
        names = ", ".join(sorted({archive.compression for _, one in said for archive in one.archives}))
        notes.append(f"warning: '{path}' is offered in compressions that can't be read here: {names}")
        return None
    return Offer(chosen.info, tuple(archives))


def with_address(said: NarInfo, address: ContentAddress | None) -> NarInfo:
    """With the contents that the path itself stands for, if it does."""
    info = said.info
    if address is None or info.content_address is not None or info.references:
        return said
    if path_for(address, info.path.name, info.path.directory) != info.path:
        return said
    return replace(said, info=replace(info, content_address=address))


def _same(one: NarInfo, other: NarInfo) -> bool:
    mine, said = one.info, other.info
    return (mine.nar_hash, mine.references) == (said.nar_hash, said.references)


def _readable(said: NarInfo) -> list[Archive]:
    """Those that can be unpacked here: the smallest first if sizes are known, else the quickest."""
    from fruix.substitutes.compression import ORDER, why_unreadable  # noqa: PLC0415 - seldom needed

    found = [archive for archive in said.archives if not why_unreadable(archive.compression)]
    if all(archive.size for archive in found):
        return sorted(found, key=lambda archive: archive.size)
    return sorted(found, key=lambda archive: ORDER.index(archive.compression))
