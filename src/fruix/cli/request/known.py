"""All packages that are known; what can't be used is said once, on standard error."""

from __future__ import annotations

import sys

from fruix.cli.output.plan import some
from fruix.cli.output.terminal import harmless
from fruix.packages.load import Broken, all_packages
from fruix.packages.package import Package


def known_packages() -> list[Package]:
    """Every package of the path and the catalogue; a file that can't be used costs a warning."""
    return all_packages(warn)


def warn(broken: Broken) -> None:
    """Warn of a file that can't be used: why, and what is left out because of it."""
    print(f"fruix: warning: {harmless(str(broken.error), colour=False)}{left_out(broken)}", file=sys.stderr)
    if broken.error.hint:
        print(f"hint: {harmless(broken.error.hint, colour=False)}", file=sys.stderr)


def left_out(broken: Broken) -> str:
    """` (left out: a, b and 3 more)`, or nothing."""
    return f" (left out: {harmless(some(broken.names), colour=False)})" if broken.names else ""


def one_line(package: Package) -> str:
    """A package's name, version and synopsis, in columns."""
    return f"{package.name:<20} {package.version:<12} {package.synopsis}"
