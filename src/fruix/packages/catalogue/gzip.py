"""Compressor."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.less import package as less
from fruix.packages.package import Origin, Package

package = Package(
    name="gzip",
    version="1.13",
    source=Origin(
        urls=("mirror://debian/pool/main/g/gzip/gzip_1.13.orig.tar.xz", "mirror://gnu/gzip/gzip-1.13.tar.xz"),
        sha256="7454eb6935db17c6655576c2e1b0fabefd38b4d0936e0f87f48cd062ce91a057",
    ),
    build_system="gnu",
    root="debian-12+perl",  # of its tests
    host_view="base+perl",
    inputs=(dash,),
    # A test runs zmore, which runs more.
    native_inputs=(less,),
    arguments={
        "phases": lambda phases: phases.insert_before(
            "check",
            "provide-more",
            # A test waits for another process to end: 10 ms, which are too few on a busy machine.
            "sed -i 's/sleep 0.01 && sleep_amount=0.01 || sleep_amount=1/sleep_amount=1/' tests/pipe-output\n"
            'ln -s "$(command -v less)" "$NIX_BUILD_TOP/.fruix/more" && PATH=$PATH:$NIX_BUILD_TOP/.fruix',
        ).insert_after(
            "install",
            "name-zgrep",
            'sed -i "s|exec zgrep|exec $out/bin/zgrep|" "$out/bin/zegrep" "$out/bin/zfgrep"',
        )
    },
    synopsis="Compressor",
    description="gzip compresses files by the deflate method.",
    license="GPL-3.0-or-later",
    home_page="https://www.gnu.org/software/gzip/",
)
