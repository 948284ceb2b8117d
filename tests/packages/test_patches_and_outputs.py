"""How patches are applied, and what is done to installed files: odd names, read-only ones, run paths."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from fruix.packages.build_systems.shared_phases import PATCH, RECORD_SOURCE, finish, shell_text
from packages.build_area import BuildArea

LINES = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
FITTING = "--- a/file\n+++ b/file\n@@ -1,5 +1,5 @@\n one\n two\n-three\n+THREE\n four\n five\n"
OTHER_CONTEXT = FITTING.replace(" one", " uno")


def patch(area: BuildArea, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (area.build / "file").write_text(LINES)
    (area.build / "kept.orig").write_text("of the source")
    file = area.store / f"{'p' * 32}-fix.patch"
    file.write_text(text)
    area.environment |= {"patches": str(file), **environment}
    return area.run(("patch", PATCH))


def test_patches_are_applied_and_leave_nothing(area: BuildArea) -> None:
    done = patch(area, "some words first\n" + FITTING)
    assert done.returncode == 0, done.stdout
    assert (area.build / "file").read_text() == LINES.replace("three", "THREE")
    assert sorted(path.name for path in area.build.iterdir()) == [".fruix", "file", "kept.orig"]


def test_a_patch_may_be_elsewhere_in_the_file(area: BuildArea) -> None:
    done = patch(area, FITTING.replace("@@ -1,5 +1,5 @@", "@@ -3,5 +3,5 @@"))
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in area.build.iterdir()) == [".fruix", "file", "kept.orig"]


def test_another_context_is_refused_unless_it_may_differ(area: BuildArea) -> None:
    done = patch(area, OTHER_CONTEXT)
    assert done.returncode == 1
    assert (
        "patch: fix.patch does not fit the source: make it anew "
        "(or, if its context may differ, Origin(fuzz=2))" in done.stdout
    )
    done = patch(area, OTHER_CONTEXT, patchFuzz="1")
    assert done.returncode == 0, done.stdout
    assert (area.build / "file").read_text() == LINES.replace("three", "THREE")


def test_a_patch_that_was_applied_already_is_refused(area: BuildArea) -> None:
    done = patch(area, FITTING.replace("-three", "-THREE").replace("+THREE", "+three"))
    assert done.returncode == 1


ODD_NAMES = (
    "plain",
    "a blank",
    "line\nbreak",
    "-dash",
    "quo'te",
    'dou"ble',
    "do$llar",
    "b\\ack",
    "\udcff\udcfe",
)


def compiled(area: BuildArea) -> tuple[bytes, bytes]:
    """A program with symbols, and an archive with debugging symbols."""
    subprocess.run(
        ["cc", "-g", "-x", "c", "-", "-o", "prog"],
        input=b"int main(void){return 0;}",
        cwd=area.top,
        check=True,
    )
    subprocess.run(
        ["cc", "-g", "-c", "-x", "c", "-", "-o", "o.o"],
        input=b"int f(void){return 0;}",
        cwd=area.top,
        check=True,
    )
    subprocess.run(["ar", "rc", "lib.a", "o.o"], cwd=area.top, check=True)
    return (area.top / "prog").read_bytes(), (area.top / "lib.a").read_bytes()


def installed(area: BuildArea) -> None:
    assert area.user is not None
    """As `make install` of somebody else leaves it: names of all sorts, read-only files and directories."""
    program, archive = compiled(area)
    for name in ODD_NAMES:
        for directory, data, ending, mode in (
            ("bin", program, "", 0o555),
            ("lib", archive, ".a", 0o444),
            ("lib", b"la", ".la", 0o400),
        ):
            path = area.out / directory / (name + ending)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(mode)
    (area.out / "share/info").mkdir(parents=True)
    (area.out / "share/info/dir").touch()
    (area.out / "lib/dangling.so").symlink_to("nowhere")
    for path in [*area.out.rglob("*"), area.out]:
        os.chown(path, area.user, -1, follow_symlinks=False)
    for path in [*area.out.rglob("*"), area.out]:
        if path.is_dir():
            path.chmod(0o500)


def has_symbols(path: Path) -> bool:
    return b".debug_info" in path.read_bytes()


def test_everything_installed_is_finished(area: BuildArea) -> None:
    installed(area)
    area.source("x")
    assert has_symbols(area.out / "bin/plain")
    done = area.run(*finish(["out"]))
    assert done.returncode == 0, done.stdout
    names = {path.name for path in area.out.rglob("*") if not path.is_dir()}
    assert names == {*ODD_NAMES, *(f"{name}.a" for name in ODD_NAMES), "dangling.so", "source"}
    assert [path.name for path in area.out.rglob("*") if path.is_file() and has_symbols(path)] == []
    assert f"run paths: {len(ODD_NAMES)} files checked, 0 wrong" in done.stdout


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_wrong_run_path_escapes(area: BuildArea, name: str) -> None:
    assert area.user is not None
    path = area.out / "bin" / name
    path.parent.mkdir(parents=True)
    words = ["cc", "-x", "c", "-", "-o", str(area.top / "prog"), "-Wl,-rpath,/usr/lib/some where"]
    subprocess.run(words, input=b"int main(void){return 0;}", check=True)
    shutil.copyfile(area.top / "prog", path)
    path.chmod(0o100)
    path.parent.chmod(0o500)
    for item in (path, path.parent, area.out):
        os.chown(item, area.user, -1)
    done = area.run(("validate-runpath", shell_text("validate_runpath.sh", OUTPUTS='"$out"')))
    assert done.returncode == 1
    assert f"{path}: its run path has '/usr/lib/some where', which is not in the store" in done.stdout
    assert "1 files checked, 1 wrong" in done.stdout


@pytest.mark.parametrize("kind", ["missing", "file", "link"])
def test_outputs_that_are_no_directories(area: BuildArea, kind: str) -> None:
    """A link leads to what belongs to somebody else."""
    other = area.store / "other"
    other.mkdir()
    (other / "x.la").touch()
    other.chmod(0o555)
    if kind == "file":
        area.out.write_text("x")
        os.chown(area.out, area.user or 0, -1)
    elif kind == "link":
        area.out.symlink_to(other)
    area.source("x")
    done = area.run(*finish(["out"]))
    assert done.returncode == 0, done.stdout
    assert stat.S_IMODE(other.stat().st_mode) == 0o555
    assert (other / "x.la").exists()


def test_the_source_is_recorded_in_a_read_only_directory(area: BuildArea) -> None:
    area.source("x")
    (area.out / "share/doc").mkdir(parents=True)
    for path in (area.out / "share/doc", area.out / "share", area.out):
        path.chmod(0o555)
        os.chown(path, area.user or 0, -1)
    done = area.run(("record-source", RECORD_SOURCE))
    assert done.returncode == 0, done.stdout
    assert (area.out / "share/doc/mine/source").read_text() == f"{area.environment['source']}\n"
