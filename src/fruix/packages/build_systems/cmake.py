"""CMake: configure into a directory of its own, build, `ctest`, install.

In the root `debian-12+c+++cmake+python`, else the host view `base+cmake`.

Arguments: `configure_flags`, `source_directory` (where `CMakeLists.txt` is, below the source's
top), `build_type`, `tests`, `check_flags` (for `ctest`), `count_tests`, `parallel`, `phases`,
`environment`.

Programs get `$out/lib` as run path when they are installed; while they are tested they find the
build's own libraries by the run path that CMake gives them. Run paths of the store's libraries come
from the linker (see `shared_phases`), and CMake's editing leaves them alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from fruix.dataclass import dataclass
from fruix.packages.build_systems.recipe import Flags, Items, StandardArguments, quoted
from fruix.packages.build_systems.shared_phases import compiled, counted

ROOT = "debian-12+c+++cmake+python"
HOST_VIEW = "base+cmake"


@dataclass(frozen=True, slots=True)
class Arguments(StandardArguments):
    """Arguments of packages with a `CMakeLists.txt`; `check_flags` are for `ctest`."""

    configure_flags: Flags = ()
    source_directory: str = "."
    build_type: str = "Release"
    check_flags: Flags = ()
    parallel: bool = True


def phases(arguments: Arguments, outputs: Sequence[str]) -> Items:
    """The standard phases; they build in `../build-tree`."""
    jobs = '-j "$NIX_BUILD_CORES"' if arguments.parallel else "-j 1"
    flags = (
        "-DCMAKE_INSTALL_PREFIX=$out",
        "-DCMAKE_INSTALL_LIBDIR=lib",
        "-DCMAKE_INSTALL_RPATH=$out/lib",
        f"-DCMAKE_BUILD_TYPE={arguments.build_type}",
        "-DBUILD_SHARED_LIBS=ON",
        "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
        *arguments.configure_flags,
    )
    source = quoted(arguments.source_directory)
    test = ["ctest --test-dir ../build-tree --output-on-failure", jobs, *map(quoted, arguments.check_flags)]
    return compiled(
        outputs,
        configure=" ".join([f"cmake -S {source} -B ../build-tree", *map(quoted, flags)]),
        build=f"cmake --build ../build-tree {jobs}",
        check=counted(" ".join(test), arguments.count_tests),
        install="cmake --install ../build-tree",
    )
