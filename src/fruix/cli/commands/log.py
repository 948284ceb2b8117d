"""`fruix log`: a build's log, finished or running, by derivation, output or package name."""

from __future__ import annotations

import argparse
import json
import sys
import time

from fruix.building.record.log_reading import find_log, follow_log, read_log
from fruix.building.record.record_file import read_record
from fruix.cli.output import build_metadata
from fruix.cli.output.standard_streams import write_bytes
from fruix.cli.request.connect import connect_running, layout, open_store, see_store
from fruix.cli.request.targets import derivation_for
from fruix.errors import BadStorePathError, FruixError, UnreachableError
from fruix.model.activity import State
from fruix.model.storepath import StorePath

# Seconds between looks at a log that is being followed; a running build writes it out once a
# second.
PAUSE = 0.2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add whose log, of which build, and how it is printed."""
    parser.add_argument(
        "target", metavar="DRV|PATH|PACKAGE", help="a derivation, an output, or a package of the catalogue"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the build ends")
    parser.add_argument("--record", action="store_true", help="print the build record (JSON) instead")
    parser.add_argument(
        "--metadata",
        action="store_true",
        help="print what 'fruix build --metadata' writes, whichever client had it built",
    )
    parser.add_argument(
        "--check", action="store_true", help="of the last check ('fruix build --check') instead of the build"
    )
    parser.add_argument("--raw", action="store_true", help="print the log's bytes as they are")


def run(options: argparse.Namespace) -> int:
    """Print the log, as it grows with `--follow`, the build record or the metadata."""
    drv = _derivation(options.target)
    see_store()
    log_file = layout().log_file(drv, check=options.check)
    missing = f"no log of '{drv}'"
    hint = f"it was never {'checked' if options.check else 'built'} on this machine"
    if options.record:
        record = read_record(log_file)
        if record is None:
            raise FruixError(missing.replace("log", "build record"), hint=hint)
        print(json.dumps(record, indent=1))
        return 0
    if options.metadata:
        return _print_metadata(drv, log_file)
    if options.follow:
        _wait_for_start(drv)
    if find_log(log_file) is None:
        raise FruixError(missing, hint=hint)
    chunks = follow_log(log_file, _pause) if options.follow else read_log(log_file)
    write_bytes(chunks, raw=options.raw)
    return 0


def _print_metadata(drv: StorePath, log_file: str) -> int:
    with open_store() as store:
        derivation = store.read_derivation(drv)
        source = build_metadata.declared_source(store, derivation)
    program = derivation.env.get("pname", "")
    print("\n".join(build_metadata.lines(drv, log_file, source, program)))
    return 0


def _derivation(text: str) -> StorePath:
    """The derivation that is meant; one that is named needs no store to be found."""
    try:
        path = StorePath.parse(text, layout().store)
    except BadStorePathError:
        path = None
    if path is not None and path.is_derivation:
        return path
    with open_store() as store:
        return derivation_for(store, text)


def _wait_for_start(drv: StorePath) -> None:
    """Wait until a queued build begins: until then there is no log, or that of an earlier build."""
    try:
        store = connect_running()
    except UnreachableError:
        return  # an embedded daemon's build, or an old one: the log is all there is
    told = False
    with store:
        while any(
            build.drv == drv and build.state in {State.QUEUED, State.PREPARING}
            for build in store.active_builds()
        ):
            if not told:
                print(f"'{drv.name}' waits for its turn", file=sys.stderr)
            told = True
            time.sleep(PAUSE)


def _pause() -> None:
    sys.stdout.flush()
    time.sleep(PAUSE)
