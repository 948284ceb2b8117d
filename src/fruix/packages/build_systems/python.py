"""Python packages by their own build backend (PEP 517), unpacked into `lib/python3/site-packages`. In the host view `base+python`.

Arguments: `source_directory`, `check_command` (such as `python3 -m unittest`; run in the source, with the installed package importable), `count_tests`,
`tests`, `phases`, `environment`.

The view's Python has its standard library and nothing else, so the backend is an input (or the package itself, by `backend-path`). A small
front end below calls its `build_wheel` hook and installs the wheel (PEP 427): modules, data, and launchers for its console scripts, which
put the package and its inputs in front of the module search path. Only pure Python: the view has no headers of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruix.packages.build_systems.checks import check
from fruix.packages.build_systems.recipe import Items, StandardArguments, quoted
from fruix.packages.build_systems.unpack import PATCH, RECORD_SOURCE, UNPACK
from fruix.packages.check import wrong

HOST_VIEW = "base+python"
SITE = "lib/python3/site-packages"
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True, slots=True)
class Arguments(StandardArguments):
    """What it takes, beside `tests`, `count_tests`, `phases` and `environment`."""

    source_directory: str = "."
    check_command: str = ""


_FRONT_END = r"""
import importlib, os, re, shutil, sys, tomllib, zipfile
with open("pyproject.toml", "rb") as file:
    wanted = tomllib.load(file).get("build-system", {})
sys.path[:0] = [os.path.abspath(path) for path in wanted.get("backend-path", [])]
name, _, attribute = wanted.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
backend = importlib.import_module(name)
for part in filter(None, attribute.split(".")):
    backend = getattr(backend, part)
top = os.environ["NIX_BUILD_TOP"] + "/.fruix-wheel"
os.makedirs(top)
wheel = zipfile.ZipFile(os.path.join(top, backend.build_wheel(top)))
out = os.environ["out"]
site = out + "/lib/python3/site-packages"
places = {"purelib": site, "platlib": site, "scripts": out + "/bin", "data": out, "headers": out + "/include"}
for member in wheel.infolist():
    if member.is_dir():
        continue
    target = os.path.join(site, member.filename)
    if match := re.fullmatch(r"[^/]+\.data/([a-z]+)/(.*)", member.filename):
        target = os.path.join(places[match[1]], match[2])
    if not os.path.normpath(target).startswith(out + "/"):
        sys.exit(f"the wheel's {member.filename} leads out of the output")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with wheel.open(member) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file)
    if target.startswith(out + "/bin/") or member.external_attr >> 16 & 0o111:
        os.chmod(target, 0o755)
    print("installed", target)
LAUNCHER = '''#!{python}
import sys
sys.path[1:1] = {paths}
from {module} import {first} as main
sys.exit(main{rest}())
'''
paths = [site, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
for file in [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]:
    section = ""
    for line in wheel.read(file).decode().splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[console_scripts]" and "=" in line:
            script, module, attribute = (part.strip() for part in re.match(r"([^=]+)=([^:]+):([^\[]+)", line).groups())
            first, dot, rest = attribute.partition(".")
            os.makedirs(out + "/bin", exist_ok=True)
            with open(f"{out}/bin/{script}", "w") as launcher:
                launcher.write(LAUNCHER.format(python=sys.executable, paths=[p for p in paths if os.path.isdir(p)], module=module, first=first, rest=dot + rest))
            os.chmod(f"{out}/bin/{script}", 0o755)
            print("installed", f"{out}/bin/{script}")
"""


def phases(arguments: Arguments, _outputs: Sequence[str]) -> Items:
    """The standard phases.

    Raises:
        UsageError: tests are on, but no command is given that would run them.
    """
    if arguments.tests and not arguments.check_command.strip():
        hint = 'for example "python3 -m unittest discover -v"; or, without tests, tests=False'
        raise wrong(
            "argument 'check_command'", "the command that runs the tests", arguments.check_command, hint
        )
    enter = f"cd {quoted(arguments.source_directory)}"
    test = (
        f'PYTHONPATH="$out/{SITE}${{PYTHONPATH:+:$PYTHONPATH}}"\nexport PYTHONPATH\n{arguments.check_command}'
    )
    return [
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("install", f"{enter}\npython3 - <<'FRUIX-END'\n{_FRONT_END}FRUIX-END"),
        ("check", check(test, arguments.count_tests)),
        ("record-source", RECORD_SOURCE),
    ]
