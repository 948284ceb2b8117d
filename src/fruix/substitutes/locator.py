"""Where outputs are that their contents name, as binary caches say: `realisations/ID.doi`, in JSON.

Nothing but a signature speaks for such a word, which is that of whoever built it: without one of a
trusted key it isn't taken, unless no signatures are required.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from fruix.errors import BadStorePathError, FormatError
from fruix.model import cacheinfo
from fruix.model.build_options import Trust
from fruix.model.realisation import Realisation
from fruix.substitutes.address import CacheAddress, Question
from fruix.substitutes.answers import FOUND
from fruix.substitutes.substituter import LOT, Fetcher, Substituter


class Locator(Substituter):
    """A substituter that is asked for realisations too."""

    def realisations(
        self, ids: Collection[str], caches: Sequence[CacheAddress], trust: Trust, fetcher: Fetcher
    ) -> tuple[dict[str, Realisation], tuple[str, ...]]:
        """Where outputs are, by their ids, as far as a cache says so and is believed; and notes for people.

        No answer is remembered.
        """
        said: dict[tuple[str, str], Realisation] = {}
        notes: list[str] = []
        for begin in range(0, len(ids), LOT):
            lot = {f"realisations/{one}.doi": one for one in sorted(ids)[begin : begin + LOT]}
            questions = [Question(cache, name) for cache in caches for name in self._names(cache, lot)]
            for url, name, kind, text in fetcher.look(questions) if questions else ():
                if name not in lot:
                    self._note(url, name, kind, text, {}, notes)
                elif kind == FOUND:
                    self._hear(url, lot[name], text, said, notes)
        found: dict[str, Realisation] = {}
        usable = [cache for cache in caches if not self._why_not(cache, notes)]
        for cache in sorted(usable, key=self._priority):
            for one in ids:
                if one in found or (answer := said.get((cache.url, one))) is None:
                    continue
                if trust.believes(answer):
                    found[one] = answer
                else:
                    notes.append(
                        f"warning: ignoring realisation '{one}' from '{cache}': no trusted key signed it"
                    )
        return found, tuple(dict.fromkeys(notes))

    def _names(self, cache: CacheAddress, names: Iterable[str]) -> Iterator[str]:
        if self._answers.why_down(cache.url):
            return
        info = self._answers.info(cache.url)
        if info is None:
            yield cacheinfo.NAME
        if info is None or info.directory == self._directory:
            yield from names

    def _hear(
        self, url: str, wanted: str, text: str, said: dict[tuple[str, str], Realisation], notes: list[str]
    ) -> None:
        try:
            found = Realisation.parse(text, self._directory)
            if found.id != wanted:
                raise FormatError(f"it is about '{found.id}'")
        except (FormatError, BadStorePathError) as error:
            notes.append(f"warning: realisation '{wanted}' of binary cache '{url}' is of no use: {error}")
        else:
            said[url, wanted] = found
