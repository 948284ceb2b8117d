"""`python -m as_freebsd COMMAND…`: `fruix COMMAND…` on the double.

It and every process of it run in a Python that lacks what only Linux has.
"""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path


def main(*steps: str) -> None:
    """Run the command; with `steps`, the self-test crashes at those alone."""
    importlib.import_module("fruix.testing.freebsd.double")  # what it needs of Linux
    uname, machine = os.uname, platform.machine
    importlib.import_module("freebsd_names")
    os.uname, platform.machine = uname, machine  # host views are of the tools that are here
    # Only now, as some modules look at once where they are.
    from fruix.store.layout import Layout
    from fruix.testing import scratch_daemon
    from fruix.testing.freebsd import __main__ as entry

    environment = scratch_daemon._environment

    def with_tests(layout: Layout, base: str) -> dict[str, str]:
        found = environment(layout, base)
        found["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
        return found

    scratch_daemon._environment = with_tests
    if steps:
        from fruix.building.steps import all_steps
        from fruix.testing import crashes

        some = tuple(step for step in all_steps() if step.name in steps)
        setattr(crashes, "all_steps", lambda: some)  # noqa: B010 - the checks' own name for it
    entry.main("as_freebsd")


if __name__ == "__main__":
    main()
