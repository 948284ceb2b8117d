"""Guix's own packages, built with the host's tools from Debian's mirror of their sources."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from guile.guix_client import ROOT, Guix, daemon
from machine import private_frx
from packages.test_builder_scripts import shellcheck

DEFINITIONS = ROOT / "tests/guile/of_debian.scm"
# What each has, and the words after it that make a program end well.
HAS = {
    "acct": ("bin/lastcomm", "--version"),
    "barcode": ("bin/barcode", "-h"),
    "bzip2": ("bin/bzip2", "--help"),
    "diction": ("bin/style", "--version"),
    "dmidecode": ("sbin/dmidecode", "--version"),
    "dtach": ("bin/dtach", "--version"),
    "entr": ("bin/entr",),
    "file": ("bin/file", "--version"),
    "libsigsegv": ("lib/libsigsegv.so",),
    "lzo": ("lib/liblzo2.so",),
    "m4": ("bin/m4", "--version"),
    "pwgen": ("bin/pwgen", "8"),
    "rig": ("bin/rig",),
}


# What `make guix-catalogue` builds, and more whose phases look for files, take names apart, write files.
LOWERED = ("-f", ROOT / "examples/guix/gnu.scm", "ncurses", "bash", "grep", "make", "guile@3")
# What a derivation of ours has as variables.
VARIABLES = "fruix_all version pname source patches out static doc include debug lib"


@pytest.fixture(scope="module")
def guix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guix]:
    with private_frx(), daemon():
        yield Guix(tmp_path_factory.mktemp("home"))


def test_packages_are_built_and_work(guix: Guix) -> None:
    outputs = guix.output("fruix", "build", "-f", DEFINITIONS).splitlines()
    found = {path.partition("-")[2].rpartition("-")[0]: path for path in outputs if "-static" not in path}
    assert set(found) == set(HAS)
    assert os.readlink(f"{found['bzip2']}/lib/libbz2.so.1") == "libbz2.so.1.0"
    assert os.path.isfile(f"{found['bzip2']}/lib/libbz2.so")
    for name, (file, *words) in HAS.items():
        path = f"{found[name]}/{file}"
        assert os.path.exists(path), path
        if words:
            subprocess.run([path, *words], check=True, capture_output=True)
    macro = subprocess.run(
        [f"{found['m4']}/bin/m4"],
        input="syscmd(`echo it runs a shell')",
        capture_output=True,
        text=True,
        check=True,
    )
    assert macro.stdout == "it runs a shell\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "python-minimal",
            "its phase 'remove-windows-binaries' can't be run with the host view, which has no ",
        ),
        ("screen", "can't be run with the host view, which has no Guile: it uses '%default-port-encoding'"),
        (
            "python-wrapper",
            "its build system is 'trivial'; with the host view only packages of 'gnu' are built",
        ),
    ],
)
def test_what_can_t_be_built_is_named(guix: Guix, name: str, why: str) -> None:
    done = guix.run("fruix", "build", "-d", name)
    assert (done.returncode, why in done.stderr) == (1, True), done.stderr


def test_nothing_of_guix_s_toolchain_is_asked_for(guix: Guix) -> None:
    drvs = guix.output("fruix", "build", "-d", "-f", DEFINITIONS, *LOWERED).splitlines()
    names = {path.partition("-")[2] for path in os.listdir("/frx/store")}
    assert {Path(drv).name.partition("-")[2] for drv in drvs} < names
    assert [name for name in names if "bootstrap" in name or name.startswith(("module-", "gcc-"))] == []


def test_shellcheck_finds_nothing_in_builders(guix: Guix, tmp_path: Path) -> None:
    lowered = guix.output("fruix", "build", "-d", "-f", DEFINITIONS, *LOWERED).splitlines()
    builders = list(Path("/frx/store").glob("*-host-builder.sh"))
    assert len(builders) > len(lowered) / 2  # equal ones are one file
    texts = [f"export {VARIABLES}\n{builder.read_text()}" for builder in builders]
    assert set(shellcheck(tmp_path, texts)) == set()
