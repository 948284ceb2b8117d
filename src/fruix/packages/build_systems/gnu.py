"""`./configure && make && make check && make install`.

Arguments: `configure_flags`, `make_flags`, `check_target`, `tests` (on by default), `count_tests`, `parallel`, `phases` (a function from the standard
phases to others), `environment`. Flags may name variables of the builder, such as `$out`.

Works with GNU make and with BSD make, whichever the view has (`gmake` is preferred), and with any POSIX shell and tools. `config.guess` asks the
kernel for its name and machine only; a package whose result depends on more than that should get `--build` among its flags.
"""

from __future__ import annotations

from fruix.packages.build_systems import linker
from fruix.packages.build_systems.checks import check
from fruix.packages.build_systems.finish import finish
from fruix.packages.build_systems.recipe import Recipe, changed, environment_of, quoted, read_arguments
from fruix.packages.build_systems.unpack import PATCH, UNPACK
from fruix.packages.package import Package

DEFAULTS = {
    "configure_flags": (),
    "make_flags": (),
    "check_target": "check",
    "tests": True,
    "count_tests": (),
    "parallel": True,
    "phases": lambda phases: phases,
    "environment": {},
}

_MAKE = 'case "$(command -v gmake)" in ?*) make=gmake ;; *) make=make ;; esac\n"$make"'
_JOBS = '-j"$NIX_BUILD_CORES"'


def recipe(package: Package) -> Recipe:
    """The standard phases with the package's changes."""
    arguments = read_arguments(package, DEFAULTS)
    jobs = [_JOBS] if arguments["parallel"] else []
    make = " ".join([_MAKE, *jobs, *map(quoted, arguments["make_flags"])])
    configure = " ".join(map(quoted, ("--prefix=$out", *arguments["configure_flags"])))
    test = f"{make} {quoted(arguments['check_target'])} VERBOSE=1"
    items = [
        ("set-up-linker", linker.SET_UP),
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("configure", f"CONFIG_SHELL=/bin/sh\nexport CONFIG_SHELL\nsh ./configure {configure}"),
        ("build", make),
        ("check", check(package, test, arguments["count_tests"])),
        ("install", f"{make} install"),
        *finish(package),
    ]
    return Recipe(changed(items, arguments), environment_of(arguments))
