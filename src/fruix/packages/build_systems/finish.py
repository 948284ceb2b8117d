"""What is done to every compiled package after its own installation: phases that several build systems share. POSIX shell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fruix.packages.build_systems import linker
from fruix.packages.build_systems.unpack import RECORD_SOURCE

# Libtool's archives drag every static dependency into whatever links with them; the index of manuals belongs to no single package.
_TIDY = r"""
{ set +x; } 2>/dev/null
set -- @OUTPUTS@
for output; do
    if [ ! -d "$output" ] || [ -L "$output" ]; then continue; fi
    make_writable "$output"
    find "$output" -name '*.la' -type f -exec rm -f {} +
    rm -f "$output/share/info/dir"
done
"""

# Programs and libraries only; the first bytes say what a file is.
_STRIP_FILES = r"""for file; do
    case $(od -A n -v -t x1 -N 8 "$file" | tr -d ' \t\n') in
    7f454c46*) strip --strip-unneeded "$file" 2>/dev/null || strip "$file" || : ;;
    213c617263683e0a) strip -g "$file" || : ;;
    esac
done
"""

_STRIP = r"""
{ set +x; } 2>/dev/null
command -v strip >/dev/null || return 0
cat > "$fruix/strip" <<'END'
@FILES@END
set -- @OUTPUTS@
for output; do
    if [ ! -e "$output" ] || [ -L "$output" ]; then continue; fi
    make_writable "$output"
    find "$output" -type f \( -perm -0100 -o -name '*.so*' -o -name '*.a' -o -name '*.o' \) -exec sh "$fruix/strip" {} +
done
"""


def finish(outputs: Sequence[str]) -> list[tuple[str, str]]:
    """The phases after `install`, in order."""
    return [
        ("tidy", _filled(_TIDY, outputs)),
        ("strip", _filled(_STRIP.replace("@FILES@", _STRIP_FILES), outputs)),
        ("validate-runpath", linker.validate(outputs)),
        ("record-source", RECORD_SOURCE),
    ]


def _filled(text: str, outputs: Iterable[str]) -> str:
    return text.replace("@OUTPUTS@", " ".join(f'"${name}"' for name in outputs))
