"""Calls functions whose types are known at run time only."""

from fruix.packages.package import Origin, Package

package = Package(
    name="libffi",
    version="3.4.4",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/libf/libffi/libffi_3.4.4.orig.tar.gz",
            "https://github.com/libffi/libffi/releases/download/v3.4.4/libffi-3.4.4.tar.gz",
        ),
        sha256="d66c56ad259a82cf2a9dfc408b32bf5da52371500b84745f7fb8b645712df676",
    ),
    build_system="gnu",
    root="debian-12+c+++dejagnu",  # of its tests
    host_view="base",
    arguments={
        "configure_flags": ("--disable-static", "--disable-multi-os-directory"),
        "environment": {"LIBFFI_TEST_OPTIMIZATION": "-O2"},
        "make_flags": ("RUNTESTFLAGS=--all --ignore bhaible.exp",),
        "count_tests": (r"^PASS: ", r"^(FAIL|XPASS|ERROR|UNRESOLVED): "),
    },
    untested={"libffi.bhaible, and anything at -O0": "four fifths of the suite, left out for their length"},
    synopsis="Calls functions whose types are known at run time only",
    description="libffi is the bridge from interpreters to functions of compiled languages.",
    license="MIT",
    home_page="https://sourceware.org/libffi/",
)
