"""The byte code of all modules in one file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fruix

PACKAGE = Path(fruix.__file__).parent
PARTS = ("__init__.py", "byte_code.py", "children.py", "errors.py", "model/__init__.py", "model/nearest.py")
ONE_FILE = "fruix.byte_code"
PYTHONS_OWN = "_frozen_importlib_external"
PROGRAM = """
import sys

sys.path.append({!r})
from fruix import byte_code

byte_code.use()
{}
import fruix.errors as module

print(type(module.__loader__).__module__)
{}
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of a few modules, with the file."""
    place = tmp_path / "fruix"
    for part in PARTS:
        (place / part).parent.mkdir(exist_ok=True)
        shutil.copy2(PACKAGE / part, place / part)
    write(place)
    return place


def write(package: Path, *words: str) -> None:
    program = [sys.executable, "-S", "-m", "fruix.byte_code", *words]
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    subprocess.run(program, env=environment, check=True)


def one_file(package: Path) -> Path:
    return package / f"__pycache__/modules.{sys.implementation.cache_tag}"


def loaded(package: Path, *, before: str = "", after: str = "", flags: str = "-IS") -> list[str]:
    """What loads `fruix.errors`, then what the program prints after it."""
    program = PROGRAM.format(str(package.parent), before, after)
    words = [sys.executable, flags, "-c", program]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def test_modules_are_as_python_would_load_them(package: Path) -> None:
    shown = """
from fruix.model import nearest
import inspect, fruix.model

for found in module, fruix.model, nearest:
    spec = found.__spec__
    print(found.__name__, found.__package__, found.__file__, found.__cached__, spec.origin, spec.parent)
    print(spec.has_location, getattr(found, "__path__", None), spec.submodule_search_locations)
    print(len(inspect.getsource(found)))
print(module.FruixError.__init__.__code__.co_filename)
"""
    mine, *told = loaded(package, after=shown)
    one_file(package).unlink()
    pythons, *usual = loaded(package, after=shown)
    assert (mine, pythons) == (ONE_FILE, PYTHONS_OWN)
    assert told == usual


def test_a_source_that_changed_counts(package: Path) -> None:
    source = package / "errors.py"
    source.write_text(source.read_text() + "print('changed')\n")
    assert loaded(package) == ["changed", PYTHONS_OWN]
    (package / "errors.py").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        loaded(package)


def test_of_the_same_size_too(package: Path) -> None:
    os.utime(package / "errors.py", (1, 1))
    assert loaded(package) == [PYTHONS_OWN]


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_not_read(package: Path, mode: int) -> None:
    one_file(package).chmod(mode)
    assert loaded(package) == [PYTHONS_OWN]


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: only root gives files away")
def test_nor_one_of_somebody_else(package: Path) -> None:
    os.chown(one_file(package), 12345, 12345)
    assert loaded(package) == [PYTHONS_OWN]


def test_nor_one_behind_a_link(package: Path) -> None:
    other = package / "other"
    one_file(package).rename(other)
    one_file(package).symlink_to(other)
    assert loaded(package) == [PYTHONS_OWN]


@pytest.mark.parametrize("length", [0, 5, 10, 30, 200])
def test_a_part_of_a_file_is_none(package: Path, length: int) -> None:
    os.truncate(one_file(package), length)
    assert loaded(package) == [PYTHONS_OWN]


def test_another_version_of_python_is_not_served(package: Path) -> None:
    data = bytearray(one_file(package).read_bytes())
    data[6] ^= 1
    one_file(package).write_bytes(data)
    assert loaded(package) == [PYTHONS_OWN]


def test_one_that_was_replaced_meanwhile_is_not_read(package: Path) -> None:
    """The table of the old one says nothing of the new one."""
    before = f"import os; os.replace({str(package / 'fresh')!r}, byte_code.place())"
    shutil.copy2(one_file(package), package / "fresh")
    code = "print(module.__loader__._finder.code('fruix.errors'))"
    assert loaded(package, before=before, after=code) == [ONE_FILE, "None"]


def test_without_assertions_it_is_other_byte_code(package: Path) -> None:
    assert loaded(package, flags="-ISO") == [PYTHONS_OWN]


def test_code_names_the_place_where_it_will_be(package: Path) -> None:
    write(package, "/will/be/here")
    assert b"/will/be/here/model/nearest.py" in one_file(package).read_bytes()
    assert os.fsencode(package) not in one_file(package).read_bytes()
    name = "print(module.FruixError.__init__.__code__.co_filename)"
    assert loaded(package, after=name) == [ONE_FILE, str(package / "errors.py")]
