"""The phase `check`: run a test suite, and count its results where upstream's own output has no summary that a build record understands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

# `tee` shows the output as it comes. The command is on the left of a pipe, in a shell of its own: there a failure of any of its parts ends it (left of `||`
# it would not), and the file that tells of its success is not made.
_COUNTED = r"""
{{ set +x; }} 2>/dev/null
{{
    (
set -x
{command}
    )
    : > "$fruix/passed"
}} 2>&1 | tee "$fruix/check"
count() {{ grep -v '^\$\$* ' "$fruix/check" | grep -c -E "$1" || :; }}
echo "# PASS: $(count {passed})"
echo "# FAIL: $(count {failed})"
[ -e "$fruix/passed" ] || {{ echo "the test suite failed"; return 1; }}
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
