"""`fruix build`: lower packages, show the plan, build, print the results' paths."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fruix.cli.output.plan import listing
from fruix.cli.request import asked, build_flags, watched
from fruix.cli.request.connect import layout, open_store
from fruix.cli.request.current_tools import Overtaken, Tell, show_anew, with_current_tools
from fruix.cli.request.targets import Target, derivation_for, is_store_path, lowering, outputs_of
from fruix.errors import UsageError
from fruix.model.buildresult import BuildMode
from fruix.model.planned import BuildPlan

if TYPE_CHECKING:
    from fruix.client import RemoteStore
    from fruix.model.derivedpath import DerivedPath
    from fruix.model.storepath import StorePath
    from fruix.packages.package import Package


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
    parser.set_defaults(begun=None)  # a `client.question.Begun`
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
        from fruix.cli.output import build_metadata  # noqa: PLC0415 - seldom needed

        build_metadata.check_place(options.metadata)
    options.targets, packages = asked.definitions(options)
    overtaken = Overtaken()
    with open_store(options.begun) as store:
        return with_current_tools(
            lambda: _from_the_beginning(store, packages, options, overtaken), _teller(options)
        )


def _from_the_beginning(
    store: RemoteStore, packages: Sequence[Package], options: argparse.Namespace, overtaken: Overtaken
) -> int:
    """Lower for the host's tools as they are now, and build that; the exit status."""
    work = lowering(store, options.system)
    targets = asked.targets(store, work, _words(store, options), packages)
    requests = [target.request for target in targets]
    mode = build_flags.mode_of(options)
    plan = store.plan(requests, mode)
    if options.dry_run:
        return _dry_run(store, plan, options)
    said = options.begun.said if options.begun else ""
    options.begun = None  # another plan has its own line
    links = _links(store, options)
    display = watched.LateDisplay(lambda: watched.open_late(store, plan, work, options))
    if options.json:
        display.open()
    elif plan.builds or mode is BuildMode.NORMAL:
        watched.show_head(store, plan, mode, said)
    if options.verbose >= 2 and not options.json:
        watched.show(listing(plan, mode))
    results = watched.build(store, requests, display, options)
    if not all(result.success for _, result in results):
        lowered = (target.request.path for target in targets if target.lowered)
        overtaken.check(display.failures(work.sources), lowered)
    watched.tell(results, display, options, work, store)
    outputs = [outputs_of(store, target.request) for target in targets]
    links(outputs)
    if not options.json:
        for path in (path for found in outputs for path in found.values()):
            print(path)
    if options.metadata:
        _write_metadata(targets[0], options.metadata)
    if not packages and not options.system and work.of_definitions_alone and mode is BuildMode.NORMAL:
        _remember(store, options.targets, requests, outputs)
    return 0


def _links(
    store: RemoteStore, options: argparse.Namespace
) -> Callable[[Sequence[Mapping[str, StorePath]]], None]:
    """What makes the links that are asked for, once there is something to link to."""
    if not options.root:
        return lambda _outputs: None
    from fruix.cli.request.root_links import check_links, link_names, make_links  # noqa: PLC0415 - seldom needed

    root = os.path.abspath(options.root)
    check_links([root], store.directory)
    return lambda outputs: make_links(store, link_names(root, outputs))


def _remember(
    store: RemoteStore,
    words: Sequence[str],
    requests: Sequence[DerivedPath],
    outputs: Sequence[Mapping[str, StorePath]],
) -> None:
    from fruix.cli.request.remember import remember  # noqa: PLC0415 - only then

    found = [path for named in outputs for path in named.values()]
    remember(store, words, [request.path for request in requests], found)


def _teller(options: argparse.Namespace) -> Tell:
    """What says that a request begins anew: to a person or, with `--json`, to a program."""

    def tell(number: int, why: str) -> None:
        if options.json:
            from fruix.cli.output.display import JsonDisplay, begun_anew_event  # noqa: PLC0415 - seldom needed

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


def _dry_run(store: RemoteStore, plan: BuildPlan, options: argparse.Namespace) -> int:
    """What would be done; status 1 if it can't be."""
    if options.json:
        watched.json_display(store, plan)
    else:
        mode = build_flags.mode_of(options)
        watched.show_head(store, plan, mode)
        from fruix.cli.commands.why_rebuild import reasons  # noqa: PLC0415 - seldom needed

        watched.show(listing(plan, mode, reasons(store, plan.builds)))
    return 1 if plan.problems else 0


def _write_metadata(target: Target, file: str) -> None:
    """Write that of the first thing asked for; others have records too (`fruix log --record`)."""
    drv, program = target.request.path, target.package.name if target.package else ""
    source = target.lowered.source if target.lowered else None
    from fruix.cli.output import build_metadata  # noqa: PLC0415 - seldom needed

    build_metadata.write(file, drv, layout().log_file(drv), source, program)
