"""CMake: configure into a directory of its own, build, `ctest`, install. In the host view `base+cmake`.

Arguments: `configure_flags`, `source_directory` (where `CMakeLists.txt` is, below the source's top), `build_type`, `tests`, `check_flags` (for `ctest`),
`count_tests`, `parallel`, `phases`, `environment`.

Programs get `$out/lib` as run path when they are installed; while they are tested they find the build's own libraries by the run path that CMake
gives them. Run paths of the store's libraries come from the linker (`linker.py`), and CMake's editing leaves them alone.
"""

from __future__ import annotations

from fruix.packages.build_systems import linker
from fruix.packages.build_systems.checks import check
from fruix.packages.build_systems.finish import finish
from fruix.packages.build_systems.recipe import Recipe, changed, environment_of, quoted, read_arguments
from fruix.packages.build_systems.unpack import PATCH, UNPACK
from fruix.packages.package import Package

HOST_VIEW = "base+cmake"
DEFAULTS = {
    "configure_flags": (),
    "source_directory": ".",
    "build_type": "Release",
    "tests": True,
    "check_flags": (),
    "count_tests": (),
    "parallel": True,
    "phases": lambda phases: phases,
    "environment": {},
}


def recipe(package: Package) -> Recipe:
    """The standard phases with the package's changes."""
    arguments = read_arguments(package, DEFAULTS)
    jobs = '-j "$NIX_BUILD_CORES"' if arguments["parallel"] else "-j 1"
    flags = (
        "-DCMAKE_INSTALL_PREFIX=$out",
        "-DCMAKE_INSTALL_LIBDIR=lib",
        "-DCMAKE_INSTALL_RPATH=$out/lib",
        f"-DCMAKE_BUILD_TYPE={arguments['build_type']}",
        "-DBUILD_SHARED_LIBS=ON",
        "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
        *arguments["configure_flags"],
    )
    configure = f"cmake -S {quoted(arguments['source_directory'])} -B ../build-tree " + " ".join(
        map(quoted, flags)
    )
    test = " ".join(
        ["ctest --test-dir ../build-tree --output-on-failure", jobs, *map(quoted, arguments["check_flags"])]
    )
    items = [
        ("set-up-linker", linker.SET_UP),
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("configure", configure),
        ("build", f"cmake --build ../build-tree {jobs}"),
        ("check", check(package, test, arguments["count_tests"])),
        ("install", "cmake --install ../build-tree"),
        *finish(package),
    ]
    return Recipe(changed(items, arguments), environment_of(arguments))
