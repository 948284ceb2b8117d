"""What a command needs before it does its own work: build it, with the display of `fruix build`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from fruix.cli.output.batches import piece_sizes
from fruix.cli.output.failure_report import as_defined, build_error, failure_report
from fruix.cli.output.live_display import open_display
from fruix.cli.output.plan import headline
from fruix.cli.output.progress import Failure
from fruix.cli.request.names import shortest_word
from fruix.cli.request.signals import heard
from fruix.client import RemoteStore
from fruix.model.build_options import BuildOptions
from fruix.model.derivedpath import DerivedPath
from fruix.packages.lower import Lowering


def realise(
    store: RemoteStore,
    requests: Sequence[DerivedPath],
    work: Lowering,
    intro: str = "",
    check: Callable[[Sequence[Failure]], None] = lambda _failures: None,
) -> None:
    """Make the requests valid; where they are already, nothing is said.

    Args:
        store: where.
        requests: what is needed.
        work: what lowered the packages that they come of: it knows names and sources for what is
            said of failures.
        intro: stands before the line that says how much is to be built.
        check: looks at what failed before it is told, and may raise another error instead.

    Raises:
        BuildError: something can't be built.
    """
    plan = store.plan(requests)
    if not plan.builds and not plan.problems:
        return
    print(f"{intro}{headline(plan)}", file=sys.stderr)
    display = open_display(plan, verbosity=0, sizes=piece_sizes(plan, work.sources))
    try:
        with heard(store):
            results = store.build(requests, BuildOptions(), display.event)
    finally:
        display.close()
    failed = [(request, result) for request, result in results if not result.success]
    if failed:
        failures = as_defined(display.status.failures, work.sources)
        check(failures)
        failure_report(failures, display)
        raise build_error(failed, failures, partial(shortest_word, store, work))
