"""`python -m as_freebsd COMMAND…`: `fruix COMMAND…` on the double.

It and every process of it run in a Python that lacks what only Linux has.
"""

from __future__ import annotations

import importlib
import os
import platform


def main(*steps: str) -> None:
    """Run the command; with `steps`, the self-test crashes at those alone."""
    importlib.import_module("freebsd_double.double")  # what it needs of Linux
    uname, machine = os.uname, platform.machine
    importlib.import_module("freebsd_names")
    os.uname, platform.machine = uname, machine  # host views are of the tools that are here
    # Only now, as some modules look at once where they are.
    from freebsd_double import __main__ as entry

    if steps:
        from fruix.building.steps import all_steps
        from fruix.testing import crashes

        some = tuple(step for step in all_steps() if step.name in steps)
        setattr(crashes, "all_steps", lambda: some)  # noqa: B010 - the checks' own name for it
    entry.main("as_freebsd")


if __name__ == "__main__":
    main()
