"""Line editor."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.package import Origin, Package

# It finds ed by sed, on the PATH of whoever calls it.
_RED = """
printf '#!/bin/sh\\nexec %s/bin/ed --restricted "$@"\\n' "$out" > "$out/bin/red"
"""

package = Package(
    name="ed",
    version="1.19",
    source=Origin(
        # Debian's own archive, made from upstream's, which is packed by lzip.
        urls=("mirror://debian/pool/main/e/ed/ed_1.19.orig.tar.gz",),
        sha256="8e5c3e7c84972e73957ff396b8318a21795f86547dd1fe4ec4232a9e6e44ca1d",
    ),
    build_system="gnu",
    arguments={
        # The suite says one sentence for all of its scripts.
        "count_tests": (r"^tests completed successfully", r"^\*\*\* "),
        "phases": lambda phases: phases.insert_after("install", "red-without-a-path", _RED),
    },
    inputs=(dash,),
    synopsis="Line editor",
    description="ed edits text line by line, for people without a screen and for scripts.",
    license="GPL-2.0-or-later",
    home_page="https://www.gnu.org/software/ed/",
)
