"""`fruix build`: lower packages, show the plan, build, print the results' paths."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fruix.build.fetch.local import find_source
from fruix.build.settings import BuildOptions
from fruix.cli import metadata
from fruix.cli.connect import layout, open_store
from fruix.cli.display import PlainDisplay, failure_report, open_display
from fruix.cli.resolve import Target, lowering, named_targets, package_target
from fruix.cli.text import plural
from fruix.client import RemoteStore
from fruix.errors import BuildError, UsageError
from fruix.model.buildresult import BuildResult, BuildStatus
from fruix.model.contentaddress import Method
from fruix.model.derivedpath import DerivedPath
from fruix.packages.load import from_expression, from_file
from fruix.packages.lower import Lowering

EXIT_OF_STATUS = {
    BuildStatus.TIMED_OUT: 101,
    BuildStatus.LOG_LIMIT_EXCEEDED: 101,
    BuildStatus.OUTPUT_REJECTED: 102,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument(
        "targets", nargs="*", metavar="PACKAGE|DRV|PATH", help="packages of the catalogue, or store paths"
    )
    parser.add_argument(
        "-f", "--file", action="append", default=[], help="build the packages that a Python file defines"
    )
    parser.add_argument(
        "-e",
        "--expression",
        action="append",
        default=[],
        metavar="EXPR",
        help="build the package that a Python expression gives",
    )
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="after a failure, build what does not depend on it"
    )
    parser.add_argument(
        "-c", "--cores", type=int, help="processors that each build may use (default: the daemon's setting)"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be built, and stop")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the builders' output")
    parser.add_argument(
        "--metadata",
        metavar="FILE",
        default=os.environ.get("METADATA_OUT") or None,
        help="write how the package was built, as key=value lines (also: METADATA_OUT)",
    )


def run(options: argparse.Namespace) -> int:
    """Build."""
    if not options.targets and not options.file and not options.expression:
        raise UsageError(
            "nothing to build",
            hint="name packages ('fruix packages' lists them), or use -f FILE or -e EXPRESSION",
        )
    with open_store() as store:
        work = lowering(store)
        targets = _targets(store, work, options)
        _use_local_sources(store, work)
        requests = [target.request for target in targets]
        missing = store.missing(requests)
        _print_plan(missing.will_build, options.dry_run)
        if not options.dry_run:
            _build(store, requests, len(missing.will_build), options)
            _print_results(store, requests)
            if options.metadata:
                _write_metadata(targets, options.metadata)
    return 0


def _targets(store: RemoteStore, work: Lowering, options: argparse.Namespace) -> list[Target]:
    packages = [package for file in options.file for package in from_file(file)]
    packages += [from_expression(text) for text in options.expression]
    return [
        *named_targets(store, work, options.targets),
        *(package_target(work, package) for package in packages),
    ]


def _use_local_sources(store: RemoteStore, work: Lowering) -> None:
    """Add sources that are at hand already (`FRUIX_SOURCES`, directories separated by colons): then they need no download."""
    directories = [directory for directory in os.environ.get("FRUIX_SOURCES", "").split(":") if directory]
    for origin in work.origins if directories else ():
        if store.is_valid(origin.output):
            continue
        path = find_source(directories, origin.hash, origin.file_names)
        if path is not None:
            added = store.add_path(origin.output.name, path, Method.FLAT, origin.hash.algorithm)
            print(f"taken from {path}: {added}", file=sys.stderr)


def _print_plan(will_build: Sequence[object], dry_run: bool) -> None:
    if not will_build:
        print("nothing to be done: everything is valid", file=sys.stderr)
        return
    verb = "would be built" if dry_run else "to build"
    print(f"{plural(len(will_build), 'derivation')} {verb}:", file=sys.stderr)
    for path in sorted(map(str, will_build)):
        print(f"  {path}", file=sys.stderr)


def _build(
    store: RemoteStore, requests: Sequence[DerivedPath], planned: int, options: argparse.Namespace
) -> None:
    if not planned and all(store.is_valid(request.path) for request in requests):
        return
    display = open_display(verbose=options.verbose, planned=planned)
    try:
        results = store.build(
            requests, BuildOptions(keep_going=options.keep_going, cores=options.cores), display.event
        )
    finally:
        display.close()
    failed = [(request, result) for request, result in results if not result.success]
    if failed:
        failure_report(display.status.failures, PlainDisplay(sys.stderr, verbose=False))
        raise _failure(failed, explained=bool(display.status.failures))


def _failure(failed: Sequence[tuple[DerivedPath, BuildResult]], *, explained: bool) -> BuildError:
    request, result = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    reason = "" if explained else f": {result.message}"
    error = BuildError(
        f"'{request.path}'{more} could not be built{reason}",
        hint="look at the log, correct the cause, build again",
    )
    error.exit_code = EXIT_OF_STATUS.get(result.status, BuildError.exit_code)
    return error


def _print_results(store: RemoteStore, requests: Sequence[DerivedPath]) -> None:
    for request in requests:
        if request.outputs is None:
            print(request.path)
            continue
        outputs = store.derivation_outputs(request.path)
        for name in sorted(outputs):
            if "*" in request.outputs or name in request.outputs:
                print(outputs[name])


def _write_metadata(targets: Sequence[Target], file: str) -> None:
    """Of the first package; the others, if any, have records too (`fruix log --record`)."""
    target = targets[0]
    lowered, package = target.lowered, target.package
    source = lowered.source if lowered else None
    values = metadata.collect(
        target.request.path,
        (source.output, source.hash.base16) if source else None,
        layout(),
        package.name if package else "",
    )
    with open(file, "w", encoding="utf-8") as out:
        out.write(metadata.render(values))
