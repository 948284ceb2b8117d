"""`./configure && make && make check && make install`.

Arguments: `configure_flags`, `make_flags`, `check_target`, `tests` (on by default), `parallel`, `phases` (a function from the standard phases to
others), `environment`.

Works with GNU make and with BSD make, whichever the view has (`gmake` is preferred), and with any POSIX shell and tools. `config.guess` asks the
kernel for its name and machine only; a package whose result depends on more than that should get `--build` among its flags.
"""

from __future__ import annotations

import shlex

from fruix.packages.build_systems.recipe import Recipe, environment_of, read_arguments
from fruix.packages.build_systems.unpack import PATCH, RECORD_SOURCE, UNPACK
from fruix.packages.package import Package
from fruix.packages.phases import Phases

DEFAULTS = {
    "configure_flags": (),
    "make_flags": (),
    "check_target": "check",
    "tests": True,
    "parallel": True,
    "phases": lambda phases: phases,
    "environment": {},
}

_STRIP = """
command -v strip >/dev/null || return 0
find "$out" -type f \\( -perm -0100 -o -name '*.so*' -o -name '*.a' \\) | while read -r file; do
    # Programs and libraries only; the first bytes say what a file is.
    case $(head -c 7 "$file" | tr -d '\\0') in
    *ELF*) strip --strip-unneeded "$file" 2>/dev/null || strip "$file" || : ;;
    '!<arch>') strip -g "$file" || : ;;
    esac
done
"""


def recipe(package: Package) -> Recipe:
    """The standard phases with the package's changes."""
    arguments = read_arguments(package, DEFAULTS)
    make = " ".join(
        [
            'case "$(command -v gmake)" in ?*) make=gmake ;; *) make=make ;; esac\n"$make"',
            *(['-j"$NIX_BUILD_CORES"'] if arguments["parallel"] else []),
            *map(shlex.quote, arguments["make_flags"]),
        ]
    )
    configure = " ".join(map(_flag, ("--prefix=$out", *arguments["configure_flags"])))
    items = [
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("configure", f"CONFIG_SHELL=/bin/sh\nexport CONFIG_SHELL\nsh ./configure {configure}"),
        ("build", make),
        ("check", f"{make} {shlex.quote(arguments['check_target'])} VERBOSE=1"),
        ("install", f"{make} install"),
        ("strip", _STRIP),
        ("record-source", RECORD_SOURCE),
    ]
    if not arguments["tests"]:
        items = [item for item in items if item[0] != "check"]
    return Recipe(arguments["phases"](Phases(tuple(items))), environment_of(arguments))


def _flag(flag: str) -> str:
    """Quoted, but with variables of the builder such as `$out` put in."""
    return '"' + flag.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`") + '"'
