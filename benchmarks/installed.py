"""The command `fruix` as an installation has it (see scripts/install), of this tree and this environment.

To be run by `python -IS`.
"""

from __future__ import annotations

import os
import sys

sys.path += [
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src"),
    os.path.join(
        os.path.dirname(os.path.dirname(sys.executable)),
        f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages",
    ),
]

from fruix.__main__ import run

if __name__ == "__main__":
    run()
