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
    arguments={
        "configure_flags": ("--disable-static", "--disable-multi-os-directory"),
        "tests": False,
    },
    untested={"*": "upstream's tests are run by DejaGnu, which is not packaged"},
    synopsis="Calls functions whose types are known at run time only",
    description="libffi is the bridge from interpreters to functions of compiled languages.",
    license="MIT",
    home_page="https://sourceware.org/libffi/",
)
