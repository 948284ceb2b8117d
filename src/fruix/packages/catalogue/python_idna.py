"""Domain names in all scripts, for Python."""

from fruix.packages.catalogue.flit_core import package as flit_core
from fruix.packages.package import Origin, Package

package = Package(
    name="python-idna",
    version="3.10",
    source=Origin(
        # Debian's own archive of upstream's repository.
        urls=("mirror://debian/pool/main/p/python-idna/python-idna_3.10.orig.tar.xz",),
        sha256="03af80a86108713070c5b404a22864a5164d7f693c7f7504c2dc839533a184ad",
    ),
    build_system="python",
    arguments={
        "check_command": "python3 -m unittest discover -v -s tests -t .",
        "count_tests": (r" \.\.\. ok$", r" \.\.\. (FAIL|ERROR)$"),
    },
    native_inputs=(flit_core,),
    synopsis="Domain names in all scripts, for Python",
    description=(
        "idna converts domain names between Unicode and what the domain name system holds, by IDNA 2008."
    ),
    license="BSD-3-Clause",
    home_page="https://github.com/kjd/idna",
)
