"""Lists directories as trees."""

from fruix.packages.package import Origin, Package

package = Package(
    name="tree",
    version="2.1.0",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/t/tree/tree_2.1.0.orig.tar.gz",),
        sha256="0160c535bff2b0dc6a830b9944e981e3427380f63e748da96ced7071faebabf6",
    ),
    build_system="gnu",
    arguments={
        "make_flags": ("PREFIX=$out", "MANDIR=$out/share/man"),
        "tests": False,
        "phases": lambda phases: phases.remove("configure"),
    },
    untested={"*": "upstream has no test suite"},
    synopsis="Lists directories as trees",
    description="tree shows directories and what is in them, indented or as JSON, XML or HTML.",
    license="GPL-2.0-or-later",
    home_page="https://oldmanprogrammer.net/source.php?dir=projects/tree",
)
