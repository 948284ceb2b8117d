"""`fruix build`: lower packages, show the plan, build, print the results' paths."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fruix.cli.output import build_metadata
from fruix.cli.output.batches import piece_sizes
from fruix.cli.output.chrome_trace import trace_file
from fruix.cli.output.display import (
    JsonDisplay,
    PlainDisplay,
    begun_anew_event,
    plan_event,
    result_event,
)
from fruix.cli.output.failure_report import Word, as_defined, build_error, explain
from fruix.cli.output.live_display import open_display
from fruix.cli.output.plan import headline, listing
from fruix.cli.output.progress import Failure
from fruix.cli.request import asked, build_flags
from fruix.cli.request.connect import layout, open_store
from fruix.cli.request.current_tools import Overtaken, Tell, show_anew, with_current_tools
from fruix.cli.request.names import shortest_word
from fruix.cli.request.remember import remember
from fruix.cli.request.root_links import check_links, link_names, make_links
from fruix.cli.request.signals import end_in_order
from fruix.cli.request.targets import Target, derivation_for, is_store_path, lowering, outputs_of
from fruix.client import RemoteStore
from fruix.daemon.status_signal import on_request
from fruix.errors import UsageError
from fruix.model.buildresult import BuildMode, BuildResult
from fruix.model.derivedpath import DerivedPath
from fruix.model.planned import BuildPlan
from fruix.model.storepath import StorePath
from fruix.packages.package import Package

if TYPE_CHECKING:
    from fruix.cli.output.host_changes import HostChanged

Results = Sequence[tuple[DerivedPath, BuildResult]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add what to build, how to build it, and what to show and to keep of it."""
    asked.configure(parser)
    parser.add_argument(
        "-s",
        "--system",
        metavar="SYSTEM",
        default="",
        help="what packages are built for, such as aarch64-linux (default: this machine's);"
        " here with an emulator, or on another machine (--builders)",
    )
    build_flags.configure(parser)
    _configure_display(parser)
    parser.add_argument(
        "--metadata",
        metavar="FILE",
        default=os.environ.get("METADATA_OUT") or None,
        help="write how the package was built, as key=value lines (also: METADATA_OUT)",
    )


def _configure_display(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="say what would be built or fetched, and why, and stop"
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="show the builders' output; twice: also what waits and how builders end",
    )
    parser.add_argument(
        "-r",
        "--root",
        metavar="FILE",
        help="make FILE a link to the result, which is kept as long as it is there",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per event and line (docs/events.md)"
    )
    parser.add_argument(
        "--trace",
        metavar="FILE",
        help="write what happened when, in Chrome's trace format (opens in Perfetto)",
    )


def run(options: argparse.Namespace) -> int:
    """Build, print the paths of the results; status 1 if a dry run finds what can't be built."""
    if not options.targets and not options.file and not options.expression:
        raise UsageError(
            "nothing to build",
            hint="name packages ('fruix packages' lists them), or use -f FILE or -e EXPRESSION",
        )
    if options.metadata:
        build_metadata.check_place(options.metadata)
    options.targets, packages = asked.definitions(options)
    overtaken = Overtaken()
    with open_store() as store:
        return with_current_tools(
            lambda: _from_the_beginning(store, packages, options, overtaken), _teller(options)
        )


def _from_the_beginning(
    store: RemoteStore, packages: Sequence[Package], options: argparse.Namespace, overtaken: Overtaken
) -> int:
    """Lower for the host's tools as they are now, and build that; the exit status."""
    work = lowering(store, options.system)
    targets = asked.targets(store, work, _words(store, options), packages)
    plan = store.plan([target.request for target in targets], build_flags.mode_of(options))
    changed = _host_changed(store, plan)
    if options.dry_run:
        return _dry_run(store, plan, changed, options)
    root = os.path.abspath(options.root) if options.root else None
    check_links([root] if root else [], store.directory)
    display = _display(plan, changed, piece_sizes(plan, work.sources), options)
    results = _build(store, [target.request for target in targets], display, options)
    failures = as_defined(display.status.failures, work.sources)
    if not all(result.success for _, result in results):
        overtaken.check(failures, (target.request.path for target in targets if target.lowered))
    _tell(results, failures, display, partial(shortest_word, store, work))
    outputs = [outputs_of(store, target.request) for target in targets]
    make_links(store, link_names(root, outputs) if root else {})
    if not options.json:
        for path in (path for found in outputs for path in found.values()):
            print(path)
    if options.metadata:
        _write_metadata(targets[0], options.metadata)
    by_words = not packages and not options.system and work.of_definitions_alone
    if by_words and build_flags.mode_of(options) is BuildMode.NORMAL:
        found = [path for named in outputs for path in named.values()]
        remember(store, options.targets, [target.request.path for target in targets], found)
    return 0


def _host_changed(store: RemoteStore, plan: BuildPlan) -> HostChanged | None:
    if not plan.builds:
        return None
    from fruix.cli.commands.why_rebuild import StoreReader  # noqa: PLC0415 - seldom needed
    from fruix.cli.output.host_changes import host_changed  # noqa: PLC0415

    return host_changed(plan.builds, StoreReader(store))


def _teller(options: argparse.Namespace) -> Tell:
    """What says that a request begins anew: to a person or, with `--json`, to a program."""

    def tell(number: int, why: str) -> None:
        if options.json:
            JsonDisplay(sys.stderr, BuildPlan(), sys.stdout).put(begun_anew_event(number, why))
        else:
            show_anew(number, why)

    return tell


def _words(store: RemoteStore, options: argparse.Namespace) -> list[str]:
    """What was named; of an output, what can be built again is its derivation."""
    if not options.check:
        return list(options.targets)
    return [
        str(derivation_for(store, word)) if is_store_path(store, word) else word for word in options.targets
    ]


def _dry_run(
    store: RemoteStore, plan: BuildPlan, changed: HostChanged | None, options: argparse.Namespace
) -> int:
    """What would be done; status 1 if it can't be."""
    if options.json:
        JsonDisplay(sys.stderr, plan, sys.stdout).put(plan_event(plan, changed))
    else:
        mode = build_flags.mode_of(options)
        _show_head(plan, changed, mode)
        from fruix.cli.commands.why_rebuild import reasons  # noqa: PLC0415 - seldom needed

        _show(listing(plan, mode, reasons(store, plan.builds)))
    return 1 if plan.problems else 0


def _show(lines: Iterable[str]) -> None:
    """All at once: each write to a terminal, or a pipe, is a call, and there may be tens of thousands."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def _show_head(plan: BuildPlan, changed: HostChanged | None, mode: BuildMode) -> None:
    print(headline(plan, mode), file=sys.stderr)
    if changed is not None:
        print(changed.text(), file=sys.stderr)


def _display(
    plan: BuildPlan, changed: HostChanged | None, sizes: Mapping[StorePath, int], options: argparse.Namespace
) -> PlainDisplay:
    if options.json:
        display = JsonDisplay(sys.stderr, plan, sys.stdout)
        display.put(plan_event(plan, changed))
        return display
    mode = build_flags.mode_of(options)
    if plan.builds or mode is BuildMode.NORMAL:
        _show_head(plan, changed, mode)
    if options.verbose >= 2:
        _show(listing(plan, mode))
    return open_display(plan, verbosity=options.verbose, sizes=sizes)


def _build(
    store: RemoteStore, requests: Sequence[DerivedPath], display: PlainDisplay, options: argparse.Namespace
) -> Results:
    on_request(display.dump)
    end_in_order()
    with trace_file(options.trace, display.status):
        try:
            return store.build(requests, build_flags.build_options(options), display.event)
        finally:
            display.close()


def _tell(results: Results, failures: Sequence[Failure], display: PlainDisplay, word: Word) -> None:
    """Report how it ended, and raise if something failed; `word`: the name of a derivation."""
    failed = [(request, result) for request, result in results if not result.success]
    if isinstance(display, JsonDisplay):
        display.put(result_event(results))
    elif failed:
        explain(failures)
    if failed:
        raise build_error(failed, failures, word)


def _write_metadata(target: Target, file: str) -> None:
    """Write that of the first thing asked for; others have records too (`fruix log --record`)."""
    drv, program = target.request.path, target.package.name if target.package else ""
    source = target.lowered.source if target.lowered else None
    build_metadata.write(file, drv, layout().log_file(drv), source, program)
