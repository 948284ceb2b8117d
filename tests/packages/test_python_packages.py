"""The front end of the build system python, run on its own.

Wheels of all kinds are made by a backend of the source's own.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import installer
import pytest

from fruix.packages.build_systems import python

# Files, and those among them that are executable in the archive.
BACKEND = """
import base64, hashlib, zipfile
def build_wheel(directory):
    with zipfile.ZipFile(directory + "/tiny_thing-1-py3-none-any.whl", "w") as wheel:
        record = []
        for name, text in {files!r}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100755 if name in {executable!r} else 0o100644) << 16
            wheel.writestr(info, text)
            record.append(name + ",,")
        name = "tiny_thing-1.dist-info/RECORD"
        wheel.writestr(name, "\\n".join([*record, name + ",,"]))
    return "tiny_thing-1-py3-none-any.whl"
"""
ENTRY_POINTS = """
# programs of this package
[console_scripts]
tiny = tiny:main
; another comment
deep=tiny:Deep.run [extra]

[gui_scripts]
tiny-window = tiny:main

[other]
not = a:script
"""
FILES = {
    "tiny/__init__.py": "def main():\n    print('hello from', __name__)\n"
    "class Deep:\n    run = staticmethod(main)\n",
    "tiny/größe.txt": "größe\n",
    "tiny_thing-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: mine\n"
    "Root-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny_thing-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1\n",
    "tiny_thing-1.dist-info/entry_points.txt": ENTRY_POINTS,
    "tiny_thing-1.data/data/share/a tiny.txt": "data\n",
    "tiny_thing-1.data/headers/tiny.h": "int tiny;\n",
    "tiny_thing-1.data/purelib/tiny/pure.py": "",
    "tiny_thing-1.data/platlib/tiny/plat.py": "",
    "tiny_thing-1.data/scripts/old": "#!/bin/sh\necho old\n",
    "tiny_thing-1.data/scripts/snake": '#!python\n"""Words."""\nfrom __future__ import annotations\n'
    "import tiny\ntiny.main()\n",
    "tiny_thing-1.data/scripts/one-line": "#!pythonw -E\n@(lambda f: f)\n"
    "def run():\n    import tiny\n    tiny.main()\nrun()\n",
    "tiny_thing-1.data/scripts/ancient": "#!python\nprint 'two'\n",
}
SITE = "lib/python3/site-packages"


def install(
    tmp_path: Path, files: dict[str, str], executable: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "mine"\nbackend-path = ["."]\n'
    )
    (source / "mine.py").write_text(BACKEND.format(files=files, executable=executable))
    return run(tmp_path, **environment)


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """With the library `installer` as an input."""
    library = tmp_path / "installer"
    library.mkdir()
    (library / "installer").symlink_to(os.path.dirname(installer.__file__))
    return subprocess.run(
        [sys.executable, "-S", "-W", "ignore::DeprecationWarning", "-"],
        input=python._FRONT_END,
        cwd=tmp_path / "source",
        env={
            "PATH": os.environ["PATH"],
            "out": f"{tmp_path}/out",
            "NIX_BUILD_TOP": str(tmp_path),
            "PYTHONPATH": f"{library}:/nonexistent",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C",
            **environment,
        },
        text=True,
        capture_output=True,
        check=False,
    )


def test_programs(tmp_path: Path) -> None:
    done = install(tmp_path, FILES)
    assert done.returncode == 0, done.stderr
    bin_ = tmp_path / "out/bin"
    assert sorted(os.listdir(bin_)) == ["ancient", "deep", "old", "one-line", "snake", "tiny", "tiny-window"]
    for name in ("tiny", "deep", "tiny-window", "snake", "one-line"):
        assert (bin_ / name).read_text().startswith(f"#!{sys.executable}")
        shown = subprocess.run([bin_ / name], text=True, cwd="/", env={}, capture_output=True, check=True)
        assert shown.stdout == "hello from tiny\n", name
    assert subprocess.check_output([bin_ / "old"], text=True) == "old\n"
    assert (bin_ / "ancient").read_text() == f"#!{sys.executable}\nprint 'two'\n"
    assert all(os.access(bin_ / name, os.X_OK) for name in os.listdir(bin_))


def test_everything_else(tmp_path: Path) -> None:
    assert install(tmp_path, FILES, executable=("tiny/__init__.py",)).returncode == 0
    out = tmp_path / "out"
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    info = f"{SITE}/tiny_thing-1.dist-info"
    assert {name for name in found if not name.startswith("bin/")} == {
        f"{SITE}/tiny/__init__.py",
        f"{SITE}/tiny/größe.txt",
        f"{SITE}/tiny/pure.py",
        f"{SITE}/tiny/plat.py",
        *(f"{info}/{name}" for name in ("WHEEL", "METADATA", "RECORD", "INSTALLER", "entry_points.txt")),
        "share/a tiny.txt",
        "include/tiny_thing/tiny.h",
    }
    assert os.access(out / SITE / "tiny/__init__.py", os.X_OK)
    assert not os.access(out / SITE / "tiny/pure.py", os.X_OK)


def test_the_record_is_true(tmp_path: Path) -> None:
    """Of programs too, whose text is changed on the way."""
    assert install(tmp_path, FILES).returncode == 0
    site = tmp_path / "out" / SITE
    rows = list(csv.reader((site / "tiny_thing-1.dist-info/RECORD").read_text().splitlines()))
    assert len(rows) == 18
    for path, digest, size in rows:
        if not path.endswith("/RECORD"):
            data = (site / path).read_bytes()
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(data))), path


def test_programs_find_inputs(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "needed.py").write_text("word = 'needed'\n")
    files = {**FILES, "tiny/__init__.py": "import needed\ndef main():\n    print(needed.word)\n"}
    paths = f"{tmp_path}/installer:{other}"
    assert install(tmp_path, files, PYTHONPATH=paths).returncode == 0
    shown = subprocess.run(
        [tmp_path / "out/bin/tiny"], text=True, cwd="/", env={}, capture_output=True, check=True
    )
    assert shown.stdout == "needed\n"


@pytest.mark.parametrize(
    "name", ["../../../../evil", "tiny_thing-1.data/scripts/../../../evil", "tiny_thing-1.data/data/../evil"]
)
def test_a_wheel_can_not_write_elsewhere(tmp_path: Path, name: str) -> None:
    done = install(tmp_path, {**FILES, name: "x"})
    assert done.returncode == 1
    assert "leads out of the output" in done.stderr
    assert not list(tmp_path.rglob("evil"))


def test_a_backend_that_is_no_input_is_named(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/pyproject.toml").write_text('[build-system]\nbuild-backend = "nobody.build"\n')
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "pyproject.toml asks for the build backend 'nobody.build', which is no input: "
        "add its package to native_inputs\n"
    )
