"""Packages that a command is about to use: built where needed, and where their outputs are."""

from __future__ import annotations

from collections.abc import Sequence

from fruix.cli.request import asked
from fruix.cli.request.connect import open_store
from fruix.cli.request.current_tools import Overtaken, show_anew, with_current_tools
from fruix.cli.request.realise import realise
from fruix.cli.request.signals import end_in_order
from fruix.cli.request.targets import Target, anything_known, lowering, outputs_of
from fruix.client import RemoteStore
from fruix.dataclass import dataclass
from fruix.model.derivedpath import DerivedPath
from fruix.packages.package import Package


@dataclass(frozen=True, slots=True)
class Ready:
    """One thing asked for: names of its outputs, and of the outputs of what it propagates."""

    target: Target
    outputs: tuple[str, ...]
    propagated: tuple[str, ...]


def make_ready(words: Sequence[str], packages: Sequence[Package]) -> list[Ready]:
    """Build them where needed, and find their outputs.

    This process sees the store at its place then, also without root; no connection is left.

    Raises:
        FruixError: a name or a definition is wrong, or something can't be built.
    """
    overtaken = Overtaken()
    with open_store() as store:
        end_in_order()
        return with_current_tools(lambda: _made_ready(store, words, packages, overtaken), show_anew)


def _made_ready(
    store: RemoteStore, words: Sequence[str], packages: Sequence[Package], overtaken: Overtaken
) -> list[Ready]:
    work = lowering(store)
    targets = asked.targets(store, work, words, packages, anything_known)
    needed = [(target, _propagated(target)) for target in targets]
    requests = [request for target, more in needed for request in (target.request, *more)]
    lowered = [target.request.path for target in targets if target.lowered]
    realise(store, requests, work, check=lambda failures: overtaken.check(failures, lowered))
    return [Ready(target, _paths(store, [target.request]), _paths(store, more)) for target, more in needed]


def _propagated(target: Target) -> list[DerivedPath]:
    found = target.lowered.propagated if target.lowered else ()
    return [DerivedPath(lowered.drv, tuple(lowered.derivation.outputs)) for lowered in found]


def _paths(store: RemoteStore, requests: Sequence[DerivedPath]) -> tuple[str, ...]:
    return tuple(path.text for request in requests for path in outputs_of(store, request).values())
