"""Guix's way of asking for substitutes: a helper process that is spoken to in lines, `guix substitute`.

`HELPER --query` reads `info PATH…` and says of each path that it can fetch, a line each: the path,
its deriver or nothing, the number of its references, these, the bytes to fetch, those of the
archive; an empty line ends the answer. `HELPER --substitute` reads `substitute PATH DESTINATION`,
makes the tree there, and says `success HASH SIZE`, `hash-mismatch ALGORITHM EXPECTED GOT` or
`not-found`.

Only the texts are here, and what was answered lately; the process is `building`'s. Which servers it
asks and whose signatures count are the helper's affair: its word on references is taken, and what
it fetched is hashed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from fruix.dataclass import dataclass, replace
from fruix.errors import BadHashError, BadStorePathError, FormatError, FruixError, ImportMismatchError
from fruix.model.contentaddress import ContentAddress
from fruix.model.hashes import Hash
from fruix.model.narinfo import Archive, NarInfo
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.model.text import printable
from fruix.substitutes.address import CacheAddress
from fruix.substitutes.answers import Answers
from fruix.substitutes.substituter import LOT, Found, Offer, with_address

ADDRESS = CacheAddress("substitute-helper")
"""Stands for the helper where caches have an address."""
# In the place of what the helper says once it has fetched a path.
_UNSAID = Hash("sha256", bytes(32))
_MOST_DIGITS = 18  # less than 2**63

# Asks for paths: the whole answer, and what people should know.
Ask = Callable[[Sequence[StorePath]], tuple[bytes, Sequence[str]]]


def is_helpers(offer: Offer) -> bool:
    """Whether the helper has to fetch it."""
    return offer.archives[0][0] == ADDRESS


@dataclass(frozen=True, slots=True)
class HelperOffers:
    """What the helper offers. Thread-safe.

    `directory`: of the store whose paths are asked for.
    """

    directory: str
    answers: Answers

    def query(
        self, paths: Collection[StorePath], ask: Ask, addresses: Mapping[StorePath, ContentAddress]
    ) -> Found:
        """What it offers of `paths`; `addresses`: of those whose contents are known."""
        notes: list[str] = []
        known = {path: self.answers.get(ADDRESS.url, path.hash_part) for path in sorted(paths)}
        found = {path: answer.found for path, answer in known.items() if answer is not None}
        try:
            self._ask([path for path in known if path not in found], ask, found, notes)
        except FruixError as error:
            self.answers.down(ADDRESS.url, str(error))
            notes.append(f"warning: the substitute helper is of no use now: {error}")
        offers = {
            path: Offer(with_address(said, addresses.get(path)).info, ((ADDRESS, said.archives[0]),))
            for path, said in found.items()
            if said is not None and said.info.path == path
        }
        return Found(offers, tuple(dict.fromkeys(notes)))

    def _ask(
        self, paths: Sequence[StorePath], ask: Ask, found: dict[StorePath, NarInfo | None], notes: list[str]
    ) -> None:
        """Fill `found` with what it says, lot by lot, unless it could not be asked lately."""
        if self.answers.why_down(ADDRESS.url):
            return
        for begin in range(0, len(paths), LOT):
            lot = paths[begin : begin + LOT]
            text, warnings = ask(lot)
            notes += warnings
            said = {one.info.path: one for one in parse_infos(text, lot, self.directory)}
            for path in lot:
                found[path] = said.get(path)
                self.answers.put(ADDRESS.url, path.hash_part, said.get(path))


def info_request(paths: Sequence[StorePath]) -> bytes:
    """The question about some paths."""
    return f"info {' '.join(map(str, paths))}\n".encode()


def parse_infos(data: bytes, asked: Collection[StorePath], directory: str) -> list[NarInfo]:
    """The answer to it.

    Raises:
        FormatError: it isn't one, or not about what was asked.
    """
    *lines, rest = data.decode("utf-8", "replace").split("\n")
    if rest or not lines or lines[-1]:
        raise FormatError("its answer has no end")
    rows, found = iter(lines[:-1]), []
    for path in rows:
        info = _info(path, rows, directory)
        if info.info.path not in asked:
            raise FormatError(f"it speaks of '{info.info.path}', which wasn't asked for")
        found.append(info)
    return found


def _info(path: str, rows: Iterator[str], directory: str) -> NarInfo:
    deriver, count = _row(rows), _number(_row(rows))
    try:
        references = sorted({StorePath.parse(_row(rows), directory) for _ in range(count)})
        info = PathInfo(
            StorePath.parse(path, directory),
            _UNSAID,
            0,
            tuple(references),
            StorePath.parse(deriver, directory) if deriver else None,
        )
    except BadStorePathError as error:
        raise FormatError(f"its answer can't be read: {error.message}") from error
    archive = Archive("", "none", _number(_row(rows)))
    return NarInfo(replace(info, nar_size=_number(_row(rows))), (archive,))


def _row(rows: Iterator[str]) -> str:
    for row in rows:
        return row
    raise FormatError("its answer ends in the middle")


def _number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS:
        return int(text)
    raise FormatError(f"'{printable(text)}' in its answer is no number")


def substitute_request(path: StorePath, destination: str) -> bytes:
    """The wish for a path."""
    return f"substitute {path} {destination}\n".encode()


def parse_result(data: bytes, offer: Offer) -> PathInfo:
    """What was fetched, as the answer to it says.

    Raises:
        ImportMismatchError: something else came.
        FruixError: nothing came, or the answer is none.
    """
    text = data.decode("utf-8", "replace")
    match text.removesuffix("\n").split(" ") if text.endswith("\n") else ():
        case ["success", digest, size]:
            try:
                return replace(offer.info, nar_hash=Hash.parse(digest), nar_size=_number(size))
            except BadHashError as error:
                raise FormatError(f"its answer can't be read: {error.message}") from error
        case ["hash-mismatch", algorithm, expected, got]:
            raise ImportMismatchError(
                str(offer.path), expected=f"{algorithm}:{expected}", got=f"{algorithm}:{got}"
            )
        case ["not-found"]:
            raise FruixError("the substitute helper hasn't found it")
    raise FormatError(f"the substitute helper's answer can't be read: '{printable(text[:200])}'")
