"""Binary caches asked and read in sandboxes (`substitutes.fetcher`), as the planner and builds want it.

A sandbox of its own for each lot of questions and for each archive: a build user, no store, one
writable directory, the network of fixed outputs if a cache is a server's; a cache on this machine
is shown read-only. Cost: that of a sandbox, some 10 to 100 ms, most of it for the network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from fruix.building.builders.entry_sandbox import network_of_servers, opened, run_entry
from fruix.building.builders.loopback import refusal
from fruix.building.builders.sandbox_spec import BUILD
from fruix.building.resources import Resources
from fruix.building.workspace import Workspace
from fruix.dataclass import dataclass, replace
from fruix.downloads import progress
from fruix.downloads.undelivered import Undelivered, read_report, wrong_contents
from fruix.errors import FormatError, FruixError, ImportMismatchError
from fruix.model.pathinfo import PathInfo
from fruix.model.storepath import StorePath
from fruix.sandbox import Bind, Entry
from fruix.sandbox.network_files import CERTIFICATES, host_files
from fruix.sandbox.networks import NONE
from fruix.store.tree.interruption import check_interrupt
from fruix.substitutes.address import CacheAddress, Question
from fruix.substitutes.answers import LONGEST, PROBLEM
from fruix.substitutes.substituter import Offer, Reply

_CHUNK = 1 << 18
# Bytes of a line of answers: JSON may take six for one.
_LONGEST_LINE = 6 * LONGEST + 1000
OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class CacheFetcher:
    """For one request or one path; it looks for interruption (`store.tree.interruption`) meanwhile.

    `on_progress`: told of bytes done, bytes in all (0: not known), and the URL.
    """

    resources: Resources
    on_progress: OnProgress = lambda _done, _total, _url: None

    def look(self, questions: Sequence[Question]) -> Iterable[Reply]:
        """Ask for small files; see `substituter.Fetcher`."""
        caches = list(dict.fromkeys(question.cache for question in questions))
        shown = _Shown.of(caches)
        network = self._network(shown)
        lacking = {cache: why for cache in caches if (why := self._lacking(cache, shown, network))}
        for cache, why in lacking.items():
            yield cache.url, "", PROBLEM, why
        asked = [
            [caches.index(one.cache), one.name, one.cache.place(one.name, shown.name(one.cache))]
            for one in questions
            if one.cache not in lacking
        ]
        if not asked:
            return
        path = StorePath.of(self.resources.store.directory, "0" * 32 + "-substitutes")
        arguments = {"questions": asked, "answers": f"{BUILD}/answers"}
        with self._run(path, "look", arguments, shown, network) as (area, ended):
            if ended:
                raise FruixError(f"binary caches can't be asked: {ended}")
            for number, name, kind, text in _answers(f"{area.build}/answers"):
                if isinstance(number, int) and 0 <= number < len(caches):
                    yield caches[number].url, str(name), str(kind), str(text)

    @contextmanager
    def fetch(self, offer: Offer) -> Iterator[tuple[PathInfo, Iterator[bytes]]]:
        """An offer's archive; see `substituter.Fetcher`."""
        shown = _Shown.of([cache for cache, _ in offer.archives])
        network = self._network(shown)
        archives, problems = [], []
        for cache, archive in offer.archives:
            try:
                place = cache.place(archive.url, shown.name(cache))
                self._check_place(place, network)
            except FormatError as error:
                problems.append(str(error))
                continue
            digest = archive.hash.sri if archive.hash else ""
            archives.append([place, archive.compression, archive.size, digest])
        arguments = {
            "archives": archives,
            "destination": f"{BUILD}/archive",
            "report": f"{BUILD}/undelivered.json",
            "nar_hash": offer.info.nar_hash.sri,
            "size": offer.info.nar_size,
            "max_size": self.resources.settings.max_download_size,
        }
        with self._run(offer.path, "fetch", arguments, shown, network) as (area, ended):
            if ended:
                raise _undelivered(offer, read_report(f"{area.build}/undelivered.json"), problems, ended)
            with opened(f"{area.build}/archive") as descriptor:
                # Old servers leave the size out: the hash decides.
                size = offer.info.nar_size or os.fstat(descriptor).st_size
                yield replace(offer.info, nar_size=size), iter(lambda: os.read(descriptor, _CHUNK), b"")

    def _network(self, shown: _Shown) -> str:
        """How servers are reached; nothing, if all caches are on this machine.

        Raises:
            IsolationUnavailableError: there is no way.
        """
        return network_of_servers(self.resources.settings) if shown.remote else NONE

    def _lacking(self, cache: CacheAddress, shown: _Shown, network: str) -> str:
        """Why a cache can't be asked; empty if it can."""
        if cache in shown.absent:
            return "there is no such directory"
        try:
            self._check_place(cache.url, network)
        except FormatError as error:
            return str(error)
        return ""

    def _check_place(self, place: str, network: str) -> None:
        """Refuse servers of this machine itself whose ports the operator hasn't listed.

        Raises:
            FormatError: says why.
        """
        ports = self.resources.settings.loopback_ports
        if not place.startswith(("/", "file:")) and (why := refusal(urlsplit(place), ports, network)):
            raise FormatError(f"'{place}' {why}")

    @contextmanager
    def _run(
        self, path: StorePath, function: str, arguments: Mapping[str, Any], shown: _Shown, network: str
    ) -> Iterator[tuple[Workspace, str]]:
        """Run an entry point to its end; its workspace, and how it failed, or nothing."""
        ca_file = f"/etc/{CERTIFICATES}" if network != NONE and CERTIFICATES in host_files(network) else ""
        program = Entry(
            f"fruix.substitutes.fetcher:{function}",
            {**arguments, "ca_file": ca_file, "proxies": getproxies()},
        )
        with run_entry(path, program, self.resources, network, shown.binds, on_line=self._hear) as ended:
            yield ended

    def _hear(self, line: bytes) -> None:
        if (told := progress.parse(line)) is not None:
            self.on_progress(*told)


def _undelivered(
    offer: Offer, found: Sequence[Undelivered], problems: Sequence[str], ended: str
) -> FruixError:
    """Why there is no archive: another one came from everywhere, or what is said of each place."""
    wanted = offer.info.nar_hash
    wrong = wrong_contents(found, wanted)
    if wrong is not None and len(found) == 1 and not problems:
        return ImportMismatchError(str(offer.path), expected=wanted.prefixed, got=wrong[1].prefixed)
    return FruixError("; ".join([*problems, *(f"{one.url}: {one.why}" for one in found)]) or ended)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Caches of this machine as a sandbox sees them; `absent` are those that aren't there."""

    binds: tuple[Bind, ...]
    absent: tuple[CacheAddress, ...]
    remote: bool

    @classmethod
    def of(cls, caches: Sequence[CacheAddress]) -> _Shown:
        local = list(dict.fromkeys(cache.directory for cache in caches if cache.directory))
        there = [directory for directory in local if os.path.isdir(directory)]
        return cls(
            tuple(Bind(os.path.realpath(name), f"/caches{name}") for name in there),
            tuple(cache for cache in caches if cache.directory and cache.directory not in there),
            any(cache.is_remote for cache in caches),
        )

    def name(self, cache: CacheAddress) -> str:
        """The directory of a cache, as seen inside."""
        return f"/caches{cache.directory}"


def _answers(name: str) -> Iterator[list[Any]]:
    """The lines that the sandbox has written; what is none is passed over."""
    with opened(name) as descriptor, open(descriptor, "rb", closefd=False) as file:
        while line := file.readline(_LONGEST_LINE):
            check_interrupt()
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, list) and len(row) == 4:
                yield row
