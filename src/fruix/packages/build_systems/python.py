"""Python packages by their own build backend (PEP 517), unpacked into `lib/python3/site-packages`.

In the root `debian-12+c+++cmake+python`, else the host view `base+python`.

Arguments: `source_directory`, `check_command` (such as
`python3 -m unittest`; run in the source, with the installed package importable), `count_tests`,
`tests`, `phases`, `environment`.

The Python there has its standard library and nothing else, so the backend is an input (or the
package itself, by `backend-path`). A small front end (`python_front_end`) calls its `build_wheel`
hook and has the wheel installed by the library `installer`, from the catalogue: modules, data,
headers, and programs, which put the package and its inputs in front of the module search path. Only
pure Python: it has no headers.
"""

from __future__ import annotations

from collections.abc import Sequence

from fruix.dataclass import dataclass
from fruix.packages.build_systems.recipe import Items, StandardArguments, quoted
from fruix.packages.build_systems.shared_phases import (
    PATCH,
    RECORD_SOURCE,
    UNPACK,
    counted,
    own_text,
    patch_shebangs,
)
from fruix.packages.check import wrong

ROOT = "debian-12+c+++cmake+python"
HOST_VIEW = "base+python"
TOOLS = ("python-installer",)
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True)
class Arguments(StandardArguments):
    """Arguments of packages with a `pyproject.toml` or a `setup.py`."""

    source_directory: str = "."
    check_command: str = ""


_FRONT_END = own_text("python_front_end.py")
SITE = "lib/python3/site-packages"  # as the front end has it


def phases(arguments: Arguments, outputs: Sequence[str]) -> Items:
    """The standard phases; tests run after `install`, on what was installed.

    Raises:
        UsageError: tests are on, but no command is given that would run them.
    """
    command = arguments.check_command
    if arguments.tests and not command.strip():
        hint = 'for example "python3 -m unittest discover -v"; or, without tests, tests=False'
        raise wrong("argument 'check_command'", "the command that runs the tests", command, hint)
    enter = f"cd {quoted(arguments.source_directory)}"
    test = f'PYTHONPATH="$out/{SITE}${{PYTHONPATH:+:$PYTHONPATH}}"\nexport PYTHONPATH\n{command}'
    return [
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("install", f"{enter}\npython3 - <<'FRUIX-END'\n{_FRONT_END}FRUIX-END"),
        patch_shebangs(outputs),
        ("check", counted(test, arguments.count_tests)),
        ("record-source", RECORD_SOURCE),
    ]
