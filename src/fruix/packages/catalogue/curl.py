"""Transfers by URL."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.openssl import package as openssl
from fruix.packages.catalogue.pkgconf import package as pkgconf
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.catalogue.zstd import package as zstd
from fruix.packages.package import Origin, Package

# A script that calls curl, and wants more of a system than a shell.
_NO_WCURL = 'rm "$out/bin/wcurl" "$out/share/man/man1/wcurl.1"'

package = Package(
    name="curl",
    version="8.14.1",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/c/curl/curl_8.14.1.orig.tar.gz",
            "https://curl.se/download/curl-8.14.1.tar.gz",
        ),
        sha256="6766ada7101d292b42b8b15681120acd68effa4a9660935853cf6d61f0d984d4",
    ),
    build_system="gnu",
    root="debian-12+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "configure_flags": (
            "--with-openssl",
            # Which authorities are trusted is the system's affair.
            "--with-ca-bundle=/etc/ssl/certs/ca-certificates.crt",
            "--without-libpsl",
            "--disable-static",
        ),
        "check_target": "test-nonflaky",
        "make_flags": ("TFLAGS=-j4 1 to 999",),
        "phases": lambda phases: phases.insert_after("install", "no-wcurl", _NO_WCURL),
        "count_tests": (r" OK \([0-9]+ +out of ", r"^ [0-9]+: .* FAILED"),
    },
    inputs=(dash,),
    propagated_inputs=(openssl, zlib, zstd),
    native_inputs=(pkgconf,),
    untested={"tests 1000 and later": "half of the suite, left out for their length"},
    synopsis="Transfers by URL",
    description=(
        "curl fetches and sends by HTTP, FTP and many other protocols. The library libcurl is included. "
        "It trusts the authorities in /etc/ssl/certs/ca-certificates.crt, a file of the system."
    ),
    license="curl",
    home_page="https://curl.se/",
)
