"""`make install` and a wheel: what is installed runs, finds its files, and leaves when it is told to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fruix
from fruix.cli.command_table import COMMANDS

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
# Files of the package that only the tests of a source tree need are in it too: all of it is
# installed.
SOURCES = {
    str(path.relative_to(ROOT / "src"))
    for path in Path(fruix.__file__).parent.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


def run(*words: str | Path, **more: str) -> str:
    """What it prints; as in a shell without this project's virtual environment, and elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "FRUIX_", "VIRTUAL"))
    }
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=more.pop("cwd", "/"), env={**kept, **more}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def script(name: str, **more: str) -> str:
    return run("sh", ROOT / "scripts" / name, BIN, cwd=str(ROOT), **more)


def files(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("install") / "prefix"
    said = script("install", PREFIX=str(prefix), SERVICE="systemd").splitlines()
    assert said[:2] == [f"fruix {fruix.__version__}", f"installed in {prefix}"]
    assert said[2].startswith("next: ")
    return prefix


def test_the_program_runs_and_needs_nothing_of_the_source_tree(prefix: Path) -> None:
    program = prefix / "bin" / "fruix"
    assert run(program, "--version") == f"fruix {fruix.__version__}\n"
    # Whatever modules the user's own variables lead to.
    (prefix / "evil").mkdir()
    (prefix / "evil" / "fruix.py").write_text("raise SystemExit('not me')\n")
    assert "  build " in run(program, "help", PYTHONPATH=str(prefix / "evil"), cwd=str(prefix / "evil"))
    assert "hello" in run(program, "packages")
    installed = next(prefix.glob("lib/fruix/lib/python3*/site-packages"))
    assert {
        name for name in files(installed) if name.startswith("fruix/") and "__pycache__" not in name
    } == SOURCES
    # It begins without `site`, and has the byte code of all modules in one file.
    assert program.read_text().splitlines()[0] == f"#!{prefix}/lib/fruix/bin/python -IS"
    loader = f"""
import sys; sys.path.append({str(installed)!r})
from fruix import byte_code; byte_code.use()
import fruix.errors; print(type(fruix.errors.__loader__).__module__)
"""
    assert run(prefix / "lib/fruix/bin/python", "-IS", "-c", loader) == "fruix.byte_code\n"
    where = "import fruix, rich; print(fruix.__file__, rich.__file__)"
    for path in run(prefix / "lib/fruix/bin/python", "-I", "-c", where).split():
        assert path.startswith(f"{prefix}/lib/fruix/")


def test_manual_pages_are_there_for_all_commands_and_are_right(prefix: Path) -> None:
    pages = sorted(path.name for path in prefix.glob("share/man/man1/*"))
    assert pages == sorted(["fruix.1", *(f"fruix-{command}.1" for command in COMMANDS)])
    for page in pages:
        path = prefix / "share/man/man1" / page
        shown = re.sub(".\b", "", run("mandoc", "-T", "ascii", "-W", "error,stop", path))
        assert f"{page.removesuffix('.1')} - " in shown
        assert "SEE ALSO" in shown
    for command in ("build", "store"):
        text = (prefix / f"share/man/man1/fruix-{command}.1").read_text().replace("\\-", "-")
        assert {"build": "--keep-going", "store": "fruix store verify"}[command] in text


def test_services_name_the_program(prefix: Path) -> None:
    unit = (prefix / "lib/systemd/system/fruix-daemon.service").read_text()
    assert f"ExecStart={prefix}/bin/fruix daemon\n" in unit
    documentation = next(line for line in unit.splitlines() if line.startswith("Documentation="))
    assert Path(documentation.partition("file://")[2]).is_file()
    assert (prefix / "lib/systemd/system/fruix-daemon.socket").is_file()
    assert not (prefix / "etc").exists()


def test_documents_and_examples_are_there_and_find_each_other(prefix: Path) -> None:
    top = prefix / "share/doc/fruix"
    assert {"README.md", "LICENSE", "docs/daemon.md", "etc/fruix.toml", "examples/greet/greet.c"} <= files(
        top
    )


def test_another_installation_replaces_it_and_it_can_be_removed(tmp_path: Path) -> None:
    """As packagers do it: in DESTDIR, which nothing that is installed names."""
    dest = tmp_path / "dest"
    (dest / "opt/f/share").mkdir(parents=True)
    (dest / "opt/f/share/mine").write_text("")
    stale = dest / "opt/f/lib/fruix/lib/stale"
    stale.mkdir(parents=True)
    assert "next:" not in script("install", DESTDIR=str(dest), PREFIX="/opt/f/", SERVICE="rc.d")
    assert not stale.exists()
    assert [name for name in os.listdir(dest / "opt/f/lib") if name != "fruix"] == []
    named = [name for name in files(dest) if os.fsencode(dest) in (dest / name).read_bytes()]
    assert named == []
    rc = dest / "opt/f/etc/rc.d/fruix"
    assert ': ${fruix_executable:="/opt/f/bin/fruix"}' in rc.read_text()
    assert rc.stat().st_mode & 0o777 == 0o555
    assert not (dest / "opt/f/lib/systemd").exists()
    assert os.readlink(dest / "opt/f/bin/fruix") == "../lib/fruix/bin/fruix"
    script("uninstall", DESTDIR=str(dest), PREFIX="/opt/f")
    assert files(dest) == {"opt/f/share/mine"}
    assert sorted(os.listdir(dest / "opt/f")) == ["share"]


@pytest.mark.parametrize("prefix", ["relative", "/", "/with blank", "/a'b"])
def test_a_prefix_that_can_not_be_is_refused(prefix: str, tmp_path: Path) -> None:
    words: list[str | Path] = ["sh", ROOT / "scripts/install", BIN]
    environment = {**os.environ, "PREFIX": prefix, "DESTDIR": str(tmp_path)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"PREFIX '{prefix}'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_in_a_fresh_environment(tmp_path: Path) -> None:
    """As pipx and uv install it."""
    run(BIN / "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if name.startswith("fruix/")} == SOURCES
    home = tmp_path / "home"
    run(sys.executable, "-m", "venv", home)
    run(home / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    assert run(home / "bin/fruix", "--version") == f"fruix {fruix.__version__}\n"
    assert "  build " in run(home / "bin/fruix", "help")
    assert "hello" in run(home / "bin/fruix", "search", "greets")
    # It has no more than the standard library: what makes pages and completions is an extra.
    for words in (("--man",), ("--completion", "bash")):
        done = subprocess.run(
            [home / "bin/fruix", "help", *words], capture_output=True, text=True, check=False, cwd="/"
        )
        assert done.returncode == 1
        assert done.stderr.endswith("hint: pip install 'fruix[install]'\n")
