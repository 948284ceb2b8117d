"""Packages are lowered for the host's tools: when those change meanwhile, a request begins anew."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from fruix.cli.output.terminal import harmless
from fruix.errors import BuildError, HostViewChangedError

if TYPE_CHECKING:
    from fruix.cli.output.progress import Failure
    from fruix.model.events import BuildFailed
    from fruix.model.storepath import StorePath

T = TypeVar("T")

# Seconds before each new beginning. An upgrade of the host may go on for minutes; what changes for
# longer than that is no upgrade.
PAUSES = (0, 1, 2, 5, 10, 20, 40, 80)

Tell = Callable[[int, str], None]


def with_current_tools(work: Callable[[], T], tell: Tell) -> T:
    """Call `work`, which lowers packages and has them built; again while the host changes.

    That is as often as `PAUSES` has numbers, while it raises `HostViewChangedError`.

    Args:
        work: from lowering to the end.
        tell: given the number of the new beginning, and why.

    Raises:
        HostViewChangedError: it changes for ever.
    """
    for number, pause in enumerate(PAUSES, 1):
        try:
            return work()
        except HostViewChangedError as error:
            tell(number, str(error))
            time.sleep(pause)
    return work()


def show_anew(number: int, why: str) -> None:
    """Tell a person that a request begins anew."""
    said = f"{why}; begun anew for the tools that are here now ({number} of {len(PAUSES)})"
    print(harmless(said, colour=False), file=sys.stderr)


class Overtaken:
    """What one request has failed by, over all its beginnings: is another one worth it?"""

    def __init__(self) -> None:
        self._refused: set[StorePath] = set()

    def check(self, failures: Sequence[Failure], lowered: Iterable[StorePath]) -> None:
        """See whether failed builds are worth a new beginning, and raise if they are.

        A derivation that nobody lowers is refused however often it is asked for.

        Args:
            failures: the causes.
            lowered: the derivations that were asked for and come of packages.

        Raises:
            HostViewChangedError: they failed for nothing but changes of the host's tools, and may
                succeed.
        """
        from fruix.cli.output.progress import OVERTAKEN_KINDS, REFUSED  # noqa: PLC0415 - after a build

        refused = {failure.path for failure in failures if failure.event.reason.get("kind") == REFUSED}
        hopeless = refused if not list(lowered) else refused & self._refused
        self._refused |= refused
        others = (failure for failure in failures if failure.event.reason.get("kind") not in OVERTAKEN_KINDS)
        if failures and not hopeless and not any(others):
            raise changed(failures[0].event)


def changed(failed: BuildFailed) -> HostViewChangedError:
    """The error for a build that the host's changes made fail; its exit code is any failure's."""
    from fruix.model.reasons import text_of  # noqa: PLC0415 - seldom needed

    why = text_of(failed.reason, failed.drv)
    error = HostViewChangedError(why, hint="let the upgrade of the host finish, then build again")
    error.exit_code = BuildError.exit_code
    return error
