"""`./configure && make && make check && make install`.

Arguments: `configure_flags`, `make_flags`, `check_target`, `tests` (on by default), `count_tests`, `parallel`, `phases` (a function from the standard
phases to others), `environment`. Flags may name variables of the builder, such as `$out`.

Works with GNU make and with BSD make, whichever the view has (`gmake` is preferred), and with any POSIX shell and tools. `config.guess` asks the
kernel for its name and machine only; a package whose result depends on more than that should get `--build` among its flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruix.packages.build_systems import linker
from fruix.packages.build_systems.checks import check
from fruix.packages.build_systems.finish import finish
from fruix.packages.build_systems.recipe import Flags, Items, StandardArguments, quoted
from fruix.packages.build_systems.unpack import PATCH, UNPACK


@dataclass(frozen=True, slots=True)
class Arguments(StandardArguments):
    """What it takes, beside `tests`, `count_tests`, `phases` and `environment`."""

    configure_flags: Flags = ()
    make_flags: Flags = ()
    check_target: str = "check"
    parallel: bool = True


_MAKE = '"$make"'
_JOBS = '-j"$NIX_BUILD_CORES"'


def phases(arguments: Arguments, outputs: Sequence[str]) -> Items:
    """The standard phases."""
    jobs = [_JOBS] if arguments.parallel else []
    make = " ".join([_MAKE, *jobs, *map(quoted, arguments.make_flags)])
    configure = " ".join(map(quoted, ("--prefix=$out", *arguments.configure_flags)))
    test = f"{make} {quoted(arguments.check_target)} VERBOSE=1"
    return [
        ("set-up-linker", linker.SET_UP),
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("configure", f"CONFIG_SHELL=/bin/sh\nexport CONFIG_SHELL\nsh ./configure {configure}"),
        ("build", make),
        ("check", check(test, arguments.count_tests)),
        ("install", f"{make} install"),
        *finish(outputs),
    ]
