"""Cryptography and TLS."""

from fruix.packages.package import Origin, Package

# VERBOSE=1 would have its tests run one after the other, and say all that they say.
_CONFIGURE = """
sed -i '/HARNESS_VERBOSE} = /d' test/run_tests.pl
perl ./Configure --prefix="$out" --libdir=lib --openssldir="$out/etc/ssl" shared
"""

# Programs in Perl, for certificates: `openssl rehash`, `openssl ca` and `openssl ts` do the same.
_NO_PERL = """
rm -r "$out/bin/c_rehash" "$out/etc/ssl/misc"
rm "$out/lib/libcrypto.a" "$out/lib/libssl.a"
"""

package = Package(
    name="openssl",
    version="3.5.7",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/o/openssl/openssl_3.5.7.orig.tar.gz",
            "https://github.com/openssl/openssl/releases/download/openssl-3.5.7/openssl-3.5.7.tar.gz",
        ),
        sha256="a8c0d28a529ca480f9f36cf5792e2cd21984552a3c8e4aa11a24aa31aeac98e8",
    ),
    build_system="gnu",
    root="debian-12+perl",  # of its configuration and its tests
    host_view="base+perl",
    arguments={
        "check_target": "test",
        # One line for each of the suite's programs.
        "count_tests": (r"\.t \.+ ok$", r"\.t \.+ (Failed|Dubious)"),
        "environment": {"HARNESS_JOBS": "2", "TESTS": "-99"},
        "phases": lambda phases: (
            phases.replace("configure", _CONFIGURE)
            .replace("install", '"$make" install_sw install_ssldirs')
            .insert_after("install", "no-perl", _NO_PERL)
        ),
    },
    untested={"group 99": "what fuzzers have found, left out for its length"},
    synopsis="Cryptography and TLS",
    description=(
        "OpenSSL has the libraries libcrypto and libssl, and a program for keys and certificates. It "
        "trusts no authority by itself: the variable SSL_CERT_FILE names a file of those that are."
    ),
    license="Apache-2.0",
    home_page="https://www.openssl.org/",
)
