"""`override`: marks methods that a base class or protocol describes; type checkers see that it has them.

Python has it from 3.12 on (`typing.override`, PEP 698). Below that type checkers take it from
`typing_extensions`, which they bring along; at run time it returns the method as it is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.version_info >= (3, 12):
    from typing import override
elif TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method):  # noqa: ANN001, ANN201 - type checkers see the other definition
        """Return `method`."""
        return method


__all__ = ["override"]
