"""The phase `check`: run a test suite, and count its results where upstream's own output has no summary that a build record understands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

# `tee` shows the output as it comes; the status goes past it through a file.
_COUNTED = """
log=$NIX_BUILD_TOP/.fruix-check failed=$NIX_BUILD_TOP/.fruix-check-failed
{{ {{ {command}
}} 2>&1 || echo yes > "$failed"; }} | tee "$log"
echo "# PASS: $(grep -c -E {passed} "$log" || :)"
echo "# FAIL: $(grep -c -E {failed} "$log" || :)"
[ ! -e "$failed" ] || {{ echo "the test suite failed"; return 1; }}
"""


def check(command: str, patterns: Sequence[str]) -> str:
    """The phase's script.

    Args:
        command: runs the tests, and fails if one does.
        patterns: nothing, or two extended regular expressions: of lines that tell of a test passed, and of one failed.
    """
    if not patterns:
        return command
    passed, failed = map(shlex.quote, patterns)
    return _COUNTED.format(command=command.strip(), passed=passed, failed=failed)
