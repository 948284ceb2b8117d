"""Paths from binary caches instead of builds: whom a request asks, and fetching what they offer.

A path is fetched by a job of the scheduler like any other work: once for all who want it, after
what it refers to. The archive comes unpacked out of a sandbox (`builders.cache_fetcher`) and is
added like any other archive from outside: hashed, compared, and registered, or nothing of it stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from fruix.building.plan.offers import Offers
from fruix.building.plan.unresolved import CONTENT_ADDRESSED
from fruix.building.queue.job import Job
from fruix.building.resources import Resources
from fruix.dataclass import replace
from fruix.errors import FruixError, ImportMismatchError, UsageError, of_system
from fruix.model.build_options import BuildOptions, Trust
from fruix.model.buildresult import BuildMode, BuildResult, BuildStatus
from fruix.model.contentaddress import ContentAddress
from fruix.model.events import (
    Event,
    Message,
    Progress,
    SubstitutionFailed,
    SubstitutionFinished,
    SubstitutionStarted,
)
from fruix.model.realisation import Realisation
from fruix.model.reasons import Reason, reason, text_of
from fruix.model.storepath import StorePath
from fruix.store.tree.interruption import interruptible
from fruix.substitutes.address import CacheAddress
from fruix.substitutes.answers import Answers
from fruix.substitutes.helper import HelperOffers, is_helpers
from fruix.substitutes.substituter import Found, Offer, Substituter

_WARNING = 1


class Substitution:
    """Of one daemon. Thread-safe."""

    def __init__(self, resources: Resources, trust: Trust) -> None:
        settings = resources.settings
        self._resources = resources
        self._trust = trust
        answers = Answers(settings.narinfo_cache_positive_ttl, settings.narinfo_cache_negative_ttl)
        self._answers = answers
        self._substituter = Substituter(resources.store.directory, answers)
        self._helper = HelperOffers(resources.store.directory, answers)

    def resolved(self, options: BuildOptions) -> BuildOptions:
        """With the operator's choice where the client has none."""
        wishes, settings = options.substitutes, self._resources.settings
        fallback = settings.fallback if wishes.fallback is None else wishes.fallback
        fallback = fallback or options.mode is BuildMode.REPAIR
        allowed = wishes.allowed and settings.substitute
        return replace(options, substitutes=replace(wishes, fallback=fallback, allowed=allowed))

    def offers(
        self,
        options: BuildOptions,
        refused: Collection[StorePath],
        on_event: Callable[[Event], None],
        told: set[str],
    ) -> Offers:
        """What looks for offers on behalf of a request.

        `refused`: paths that are not to be offered. `told`: notes that it has been told; it grows.
        """

        def tell(notes: Collection[str]) -> None:
            for note in dict.fromkeys(note for note in notes if note not in told):
                told.add(note)
                on_event(Message(_WARNING, note))

        def query(paths: Collection[StorePath], addresses: Mapping[StorePath, ContentAddress]) -> Found:
            found = self.query(paths, options, addresses)
            tell(found.notes)
            return found

        def locate(ids: Collection[str]) -> Mapping[str, Realisation]:
            found, notes = self._locate(ids, options)
            tell(notes)
            return found

        unclear: list[str] = []
        nobody = not (self._caches(options, unclear) or unclear or self._may_help(options))
        offers = Offers(self._resources.store, query, refused, nobody=nobody)
        if CONTENT_ADDRESSED in self._resources.settings.experimental_features:
            offers.locate = locate
        return offers

    def _locate(
        self, ids: Collection[str], options: BuildOptions
    ) -> tuple[Mapping[str, Realisation], Collection[str]]:
        """Where the caches of a request say outputs are, by their ids."""
        notes: list[str] = []
        caches = self._caches(options, notes)
        if not caches:
            return {}, ()
        from fruix.building.builders.cache_fetcher import CacheFetcher  # noqa: PLC0415 - seldom needed
        from fruix.substitutes.locator import Locator  # noqa: PLC0415 - as above

        trust = options.substitutes.trust or self._trust
        locator = Locator(self._resources.store.directory, self._answers)
        try:
            return locator.realisations(ids, caches, trust, CacheFetcher(self._resources))
        except (FruixError, OSError):  # which is told when they are asked for paths
            return {}, ()

    def query(
        self,
        paths: Collection[StorePath],
        options: BuildOptions,
        addresses: Mapping[StorePath, ContentAddress] | None = None,
    ) -> Found:
        """What the caches of a request, and the helper, offer of paths; looks for interruption meanwhile."""
        notes: list[str] = []
        caches, known = self._caches(options, notes), addresses or {}
        try:
            found = Found()
            if caches and paths:
                from fruix.building.builders.cache_fetcher import CacheFetcher  # noqa: PLC0415 - seldom needed

                trust = options.substitutes.trust or self._trust
                found = self._substituter.query(paths, caches, trust, CacheFetcher(self._resources), known)
            others = [path for path in paths if path not in found.offers]
            more = Found()
            if others and self._may_help(options):
                from fruix.building.builders.helper_fetcher import HelperFetcher  # noqa: PLC0415 - seldom needed

                more = self._helper.query(others, HelperFetcher(self._resources).ask, known)
        except (FruixError, OSError) as error:  # then there is nothing to be had
            return Found(notes=(*notes, f"warning: binary caches can't be asked: {error}"))
        return Found({**found.offers, **more.offers}, (*notes, *found.notes, *more.notes))

    def _may_help(self, options: BuildOptions) -> bool:
        """Whether the helper is asked: not for clients that name the servers themselves."""
        wishes, settings = options.substitutes, self._resources.settings
        return bool(
            settings.substitute_helper and settings.substitute and wishes.allowed and wishes.caches is None
        )

    def _caches(self, options: BuildOptions, notes: list[str]) -> list[CacheAddress]:
        wishes, settings = options.substitutes, self._resources.settings
        if not (wishes.allowed and settings.substitute):
            return []
        texts = settings.substituters if wishes.caches is None else wishes.caches
        found = []
        for text in dict.fromkeys((*texts, *wishes.more)):
            try:
                found.append(CacheAddress.parse(text))
            except UsageError as error:
                notes.append(f"warning: {error}")
        return found

    # Fetching

    def run(self, job: Job, offer: Offer) -> BuildResult:
        """Fetch one path; what it refers to is here. No exception leaves but bugs."""
        store, began = self._resources.store, time.time()
        outputs = {"out": offer.path}
        try:
            with store.temp_roots.session(), interruptible(lambda: _why_stop(job)):
                store.add_temp_root(offer.path)
                if store.is_there(offer.path) and not self._is_damaged(job, offer):
                    return BuildResult(BuildStatus.ALREADY_VALID, outputs=outputs)
                self._fetch(job, offer, began)
        except (FruixError, OSError) as error:
            self._substituter.distrust(offer)
            return _failed(job, offer, of_system(error) if isinstance(error, OSError) else error, began)
        job.emit(SubstitutionFinished(offer.path, round(time.time() - began, 3)))
        return BuildResult(
            BuildStatus.SUBSTITUTED, start_time=int(began), stop_time=int(time.time()), outputs=outputs
        )

    def _is_damaged(self, job: Job, offer: Offer) -> bool:
        """Whether a path that is here was asked for because it is not what it should be."""
        return job.options.mode is not BuildMode.NORMAL and not self._resources.store.is_whole(offer.path)

    def _fetch(self, job: Job, offer: Offer, began: float) -> None:
        store, info = self._resources.store, offer.info
        store.check_room()
        job.emit(SubstitutionStarted(offer.path, offer.url, offer.size, info.nar_size, round(began, 3)))
        from fruix.building.builders.cache_fetcher import CacheFetcher  # noqa: PLC0415 - seldom needed
        from fruix.building.builders.helper_fetcher import HelperFetcher  # noqa: PLC0415 - seldom needed

        fetcher = (HelperFetcher if is_helpers(offer) else CacheFetcher)(
            self._resources, lambda done, total, url: job.emit(Progress(offer.path, done, total, url))
        )
        with fetcher.fetch(offer) as (fetched, chunks):
            store.add_nar(fetched, chunks, repair=store.is_valid(offer.path))


def _why_stop(job: Job) -> FruixError | None:
    return FruixError("cancelled") if job.cancelled else None


def _failed(job: Job, offer: Offer, error: FruixError, began: float) -> BuildResult:
    why = _reason(offer, error)
    text = text_of(why, offer.path)
    job.emit(SubstitutionFailed(offer.path, text, round(time.time() - began, 3), why))
    return BuildResult(BuildStatus.TRANSIENT_FAILURE, text, start_time=int(began), stop_time=int(time.time()))


def _reason(offer: Offer, error: FruixError) -> Reason:
    path = str(offer.path)
    if isinstance(error, ImportMismatchError) and error.kind == "hash":
        return reason("substitute-mismatch", path=path, url=offer.url, expected=error.expected, got=error.got)
    return reason("substitute", path=path, text=str(error))
