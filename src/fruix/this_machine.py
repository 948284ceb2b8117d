"""What this machine is."""

from __future__ import annotations

import os
import sys

from fruix.model.systems import this_system


def local_system() -> str:
    """This machine's system name, like `x86_64-linux`."""
    return this_system(sys.platform.rstrip("0123456789"), os.uname().machine)
