"""Decides what is to be made anew."""

from fruix.packages.package import Origin, Package

package = Package(
    name="make",
    version="4.4.1",
    source=Origin(
        # Debian's own archive, without files that it may not distribute: upstream's has another
        # hash.
        urls=("mirror://debian/pool/main/m/make-dfsg/make-dfsg_4.4.1.orig.tar.xz",),
        sha256="3b16b00ea1079af9f8096bbc71ff7cc00c249fc6a862003da3c42308a0adb0fe",
    ),
    build_system="gnu",
    root="debian-12+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "configure_flags": ("--disable-nls", "--without-guile"),
        "make_flags": ("man_MANS=",),
        "environment": {"SHELL": "/bin/sh"},  # a test tries the user's
        # One line for each category.
        "count_tests": (r"\.\.\. ok ", r"\.\.\. FAILED "),
        # Debian's archive has no manual, but configure wants to make its Makefile.
        "phases": lambda phases: phases.insert_before(
            "configure", "no-manual", "mkdir -p doc\nprintf 'all check install:\\n\\t@:\\n' > doc/Makefile.in"
        ),
    },
    synopsis="Decides what is to be made anew",
    description=(
        "GNU Make reads how files are made from others and runs the commands for those that are out of date."
    ),
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/make/",
)
