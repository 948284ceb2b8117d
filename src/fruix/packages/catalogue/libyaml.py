"""Reader and writer of YAML."""

from fruix.packages.package import Origin, Package

package = Package(
    name="libyaml",
    version="0.2.5",
    source=Origin(
        # Debian's copy of an archive that upstream's host makes on demand.
        urls=("mirror://debian/pool/main/liby/libyaml/libyaml_0.2.5.orig.tar.gz",),
        sha256="fa240dbf262be053f3898006d502d514936c818e422afdcf33921c63bed9bf2e",
    ),
    build_system="cmake",
    arguments={"configure_flags": ("-DINSTALL_CMAKE_DIR=lib/cmake/yaml",)},
    synopsis="Reader and writer of YAML",
    description="LibYAML parses and emits YAML 1.1.",
    license="MIT",
    home_page="https://pyyaml.org/wiki/LibYAML",
)
