"""A build as `fruix build` shows it: what is to be done, what happens, how it ended.

A request is sent before what shows its events is loaded: the daemon works meanwhile.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from fruix.cli.output.plan import headline
from fruix.cli.request import build_flags
from fruix.cli.request.signals import end_in_order, heard
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.derivedpath import DerivedPath
from fruix.model.planned import BuildPlan
from fruix.threads import on_request

if TYPE_CHECKING:
    from fruix.cli.output.display import PlainDisplay
    from fruix.cli.output.host_changes import HostChanged
    from fruix.cli.output.progress import Failure
    from fruix.client import RemoteStore
    from fruix.model.events import Event
    from fruix.model.storepath import StorePath
    from fruix.packages.lower import Lowering
    from fruix.packages.sources import Source

Results = Sequence[tuple[DerivedPath, BuildResult]]


def show(lines: Iterable[str]) -> None:
    """All at once: each write to a terminal, or a pipe, is a call, and there may be tens of thousands."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def show_head(store: RemoteStore, plan: BuildPlan, mode: BuildMode, said: str = "") -> None:
    """What is to be done, at once; then what of the host is the reason, which takes questions.

    `said`: what is on the screen already.
    """
    if (line := headline(plan, mode)) != said:
        print(line, file=sys.stderr)
    changed = _host_changed(store, plan)
    if changed is not None:
        print(changed.text(), file=sys.stderr)


def _host_changed(store: RemoteStore, plan: BuildPlan) -> HostChanged | None:
    if not plan.builds:
        return None
    from fruix.cli.output.host_changes import host_changed  # noqa: PLC0415 - seldom needed
    from fruix.cli.request.store_reader import StoreReader  # noqa: PLC0415

    return host_changed(plan.builds, StoreReader(store))


def json_display(store: RemoteStore, plan: BuildPlan) -> PlainDisplay:
    """A display of JSON lines, which has said what is to be done."""
    from fruix.cli.output.display import JsonDisplay, plan_event  # noqa: PLC0415 - not for people

    display = JsonDisplay(sys.stderr, plan, sys.stdout)
    display.put(plan_event(plan, _host_changed(store, plan)))
    return display


class LateDisplay:
    """A display that is loaded when something happens: the daemon works meanwhile."""

    def __init__(self, make: Callable[[], PlainDisplay]) -> None:
        self._make = make
        self._lock = Lock()
        self.opened: PlainDisplay | None = None

    def open(self) -> PlainDisplay:
        """The display itself. May be called from any thread."""
        with self._lock:
            if self.opened is None:
                self.opened = self._make()
            return self.opened

    def event(self, event: Event) -> None:
        """Show it."""
        self.open().event(event)

    def failures(self, sources: Mapping[StorePath, Source]) -> Sequence[Failure]:
        """What failed, in the words of the definitions."""
        from fruix.cli.output.failure_report import as_defined  # noqa: PLC0415 - only then

        return as_defined(self.open().status.failures, sources)

    def close(self) -> None:
        """Take away what was drawn."""
        if self.opened is not None:
            self.opened.close()


def open_late(
    store: RemoteStore, plan: BuildPlan, work: Lowering, options: argparse.Namespace
) -> PlainDisplay:
    """The display that a build's options ask for."""
    if options.json:
        return json_display(store, plan)
    from fruix.cli.output.batches import piece_sizes  # noqa: PLC0415 - see `LateDisplay`
    from fruix.cli.output.live_display import open_display  # noqa: PLC0415

    return open_display(plan, verbosity=options.verbose, sizes=piece_sizes(plan, work.sources))


def build(
    store: RemoteStore, requests: Sequence[DerivedPath], display: LateDisplay, options: argparse.Namespace
) -> Results:
    """Have it built, told to the display, which is closed then."""
    on_request(lambda: display.open().dump())
    end_in_order()
    with _trace_file(options.trace, display), heard(store):
        try:
            return store.build(requests, build_flags.build_options(options), display.event)
        finally:
            display.close()


def _trace_file(file: str | None, display: LateDisplay) -> AbstractContextManager[None]:
    if file is None:
        return nullcontext()
    from fruix.cli.output.chrome_trace import trace_file  # noqa: PLC0415 - seldom needed

    return trace_file(file, display.open().status)


def tell(
    results: Results, display: LateDisplay, options: argparse.Namespace, work: Lowering, store: RemoteStore
) -> None:
    """Report how it ended, and raise if something failed."""
    failed = [(request, result) for request, result in results if not result.success]
    if options.json:
        from fruix.cli.output.display import JsonDisplay, result_event  # noqa: PLC0415 - not for people

        shown = display.open()
        assert isinstance(shown, JsonDisplay)
        shown.put(result_event(results))
    if failed:
        from fruix.cli.output.failure_report import build_error, explain  # noqa: PLC0415 - only then
        from fruix.cli.request.names import shortest_word  # noqa: PLC0415

        failures = display.failures(work.sources)
        if not options.json:
            explain(failures)
        raise build_error(failed, failures, partial(shortest_word, store, work))
