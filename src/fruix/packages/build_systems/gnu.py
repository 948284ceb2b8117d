"""`./configure && make && make check && make install`.

Arguments: `configure_flags`, `make_flags`, `check_target`, `tests` (on by default), `count_tests`,
`parallel`, `phases` (a function from the standard phases to others), `environment`. Flags may name
variables of the builder, such as `$out`.

In the root `debian-12`, else the host view `base`.

Works with GNU make and with BSD make, whichever is there (`gmake` is preferred), and with any
POSIX shell and tools. `config.guess` asks the kernel for its name and machine only; a package whose
result depends on more than that should get `--build` among its flags.
"""

from __future__ import annotations

from collections.abc import Sequence

from fruix.dataclass import dataclass
from fruix.packages.build_systems.recipe import Flags, Items, StandardArguments, quoted
from fruix.packages.build_systems.shared_phases import compiled, counted

ROOT = "debian-12"


@dataclass(frozen=True, slots=True)
class Arguments(StandardArguments):
    """Arguments of packages with a `configure` script; `check_target` is make's for the tests."""

    configure_flags: Flags = ()
    make_flags: Flags = ()
    check_target: str = "check"
    parallel: bool = True


def phases(arguments: Arguments, outputs: Sequence[str]) -> Items:
    """The standard phases; `$make` is the view's make (see `shell/set_up.sh`)."""
    jobs = ['-j"$NIX_BUILD_CORES"'] if arguments.parallel else []
    make = " ".join(['"$make"', *jobs, *map(quoted, arguments.make_flags)])
    flags = " ".join(map(quoted, ("--prefix=$out", *arguments.configure_flags)))
    test = f"{make} {quoted(arguments.check_target)} VERBOSE=1"
    return compiled(
        outputs,
        configure=f"CONFIG_SHELL=/bin/sh\nexport CONFIG_SHELL\nsh ./configure {flags}",
        build=make,
        check=counted(test, arguments.count_tests),
        install=f"{make} install",
    )
