"""Fruix with a hole: builders find another host name and one file too many.

For the self-test, which has to see it.
"""

from __future__ import annotations

import runpy
from dataclasses import replace

from fruix.sandbox import contracts

fruix = contracts.CONTRACTS["fruix"]
contracts.CONTRACTS = {
    **contracts.CONTRACTS,
    "fruix": replace(fruix, hostname="buildhost", etc={**fruix.etc, "motd": "welcome"}),
}
from fruix.building.builders import prepared_builder  # noqa: E402 - after the change, which it must see

setattr(prepared_builder, "CONTRACTS", contracts.CONTRACTS)  # noqa: B010 - not exported from there
runpy.run_module("fruix", run_name="__main__", alter_sys=True)
