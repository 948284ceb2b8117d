"""`fruix doctor`: what isolation needs of this machine, a line each, and what to do about it.

With `--try` it goes through one jail step by step, on FreeBSD, and prints every system call. With
`--selftest` it builds on a scratch store instead, tries to break out, crashes and recovers; a line
for each check.
"""

from __future__ import annotations

import argparse
import sys

from fruix.cli.output.amounts import duration
from fruix.cli.output.terminal import styled, wants_colour
from fruix.cli.request.signals import end_in_order
from fruix.sandbox.back_ends import current
from fruix.sandbox.capabilities import Capability, probe, python_probes

MARKS = {True: ("ok", "green"), False: ("missing", "red")}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the two tests, which need root."""
    parser.add_argument(
        "--try",
        action="store_true",
        dest="trial",
        help="on FreeBSD: go through one sandbox step by step and print each system call's result, errno and "
        "message (root)",
    )
    parser.add_argument(
        "--selftest",
        action="store_true",
        help="build on a scratch store of its own, try to break out, crash and recover (root; takes minutes)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the table; status 1 if something that builds need is missing."""
    if options.selftest or options.trial:
        return _selftest() if options.selftest else _trial()
    found = probe(python_probes())
    if found[0].available:  # else nothing more can be imported
        found += [*probe(current().probes()), *_offers()]
    colour = wants_colour(sys.stdout)
    for capability in found:
        print(_line(capability, colour=colour))
    lacking = [capability.name for capability in found if capability.needed and not capability.available]
    if lacking:
        print(f"builds can't be isolated here: {', '.join(lacking)}", file=sys.stderr)
        return 1
    return 0


def _offers() -> list[Capability]:
    """What derivations may ask for here, without the operator's settings."""
    from fruix.building.builders import platforms  # noqa: PLC0415 - nothing else needs it
    from fruix.this_machine import local_system  # noqa: PLC0415

    here = local_system()
    systems = Capability("systems", True, ", ".join((here, *platforms.ALSO_RUNS.get(here, ()))))
    if not here.endswith("-linux"):
        return [systems]
    usable = platforms.kvm_groups() is not None
    detail = (
        f"{platforms.KVM_DEVICE} for builds that require 'kvm'" if usable else "builders can't open /dev/kvm"
    )
    remedy = "give the device to a group: chgrp kvm /dev/kvm; chmod 660 /dev/kvm"
    return [systems, Capability("kvm", usable, detail, needed=False, remedy=remedy)]


def _line(capability: Capability, *, colour: bool) -> str:
    mark, style = MARKS[capability.available]
    if not capability.available and not capability.needed:
        mark, style = "absent", "yellow"
    text = f"{styled(f'{mark:<8}', style, colour=colour)}{capability.name:<22} {capability.detail}"
    return f"{text}\n{'':8}-> {capability.remedy}" if not capability.available and capability.remedy else text


def _trial() -> int:
    from fruix.testing.trial import trial  # noqa: PLC0415 - likewise

    failed = trial()
    for line in failed:
        print(f"FAILED  {line}", file=sys.stderr)
    print("trial failed" if failed else "trial passed: everything went as it should and was undone")
    return 1 if failed else 0


def _selftest() -> int:
    from fruix.testing.selftest import Outcome, selftest  # noqa: PLC0415 - nothing else needs it

    end_in_order(once=True)
    colour = wants_colour(sys.stdout)
    styles = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.NOT_TRIED: "yellow"}
    untried: list[str] = []

    def report(outcome: Outcome, name: str, detail: str, seconds: float) -> None:
        mark = styled(f"{outcome.value:<8}", styles[outcome], colour=colour)
        print(f"{mark}{name:<22} {detail} ({duration(seconds)})", flush=True)
        if outcome is Outcome.NOT_TRIED:
            untried.append(name)

    failed = selftest(report)
    if untried:
        print(f"another machine has to answer: {', '.join(untried)}")
    if failed:
        print(f"self-test failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    print("self-test passed")
    return 0
