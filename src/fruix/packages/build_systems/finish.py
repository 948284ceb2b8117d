"""What is done to every compiled package after its own installation: phases that several build systems share. POSIX shell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fruix.packages.build_systems import linker
from fruix.packages.build_systems.unpack import RECORD_SOURCE

# Libtool's archives drag every static dependency into whatever links with them; the index of manuals belongs to no single package.
_TIDY = """
find @OUTPUTS@ -name '*.la' -type f -exec rm -f {} +
rm -f "$out/share/info/dir"
"""

_STRIP = """
command -v strip >/dev/null || return 0
find @OUTPUTS@ -type f \\( -perm -0100 -o -name '*.so*' -o -name '*.a' \\) | while read -r file; do
    # Programs and libraries only; the first bytes say what a file is.
    case $(head -c 7 "$file" | tr -d '\\0') in
    *ELF*) strip --strip-unneeded "$file" 2>/dev/null || strip "$file" || : ;;
    '!<arch>') strip -g "$file" || : ;;
    esac
done
"""


def finish(outputs: Sequence[str]) -> list[tuple[str, str]]:
    """The phases after `install`, in order."""
    return [
        ("tidy", _filled(_TIDY, outputs)),
        ("strip", _filled(_STRIP, outputs)),
        ("validate-runpath", linker.validate(outputs)),
        ("record-source", RECORD_SOURCE),
    ]


def _filled(text: str, outputs: Iterable[str]) -> str:
    return text.replace("@OUTPUTS@", " ".join(f'"${name}"' for name in outputs))
