"""`fruix build --system`: packages for other systems than this machine's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fruix.model.storepath import StorePath
from fruix.this_machine import local_system
from machine import private_frx

OTHER = "aarch64-linux" if local_system() == "x86_64-linux" else "x86_64-linux"
IN_A_ROOT = """Package(
    name="foreign", version="1", build_system="trivial", root="debian-12", arguments={"script": "echo > $out"}
)"""
IN_A_VIEW = 'Package(name="here", version="1", build_system="trivial", arguments={"script": "echo > $out"})'


@pytest.fixture(scope="module", autouse=True)
def _frx() -> Iterator[None]:
    with private_frx():
        yield


def fruix(*words: str, code: int) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_"))
    }
    command = [sys.executable, "-m", "fruix", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("flag", ["-s", "--system"])
def test_derivations_are_for_that_system(flag: str) -> None:
    """The package's and its root's; what is fetched differs too."""
    done = fruix("build", "-n", "--json", flag, OTHER, "-e", IN_A_ROOT, code=0)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    (plan,) = [row for row in rows if row["event"] == "plan"]
    drvs = {StorePath.parse(row["drv"]).short_name: row["drv"] for row in plan["builds"]}
    assert {"foreign-1", "debian-12", "debian-12-runtime"} <= set(drvs)
    debian = "arm64" if OTHER == "aarch64-linux" else "amd64"
    assert any(name.endswith(f"_{debian}.deb") for name in drvs)
    assert f'"{OTHER}"' in fruix("store", "cat", drvs["foreign-1"], code=0).stdout


def test_a_machine_that_can_t_build_for_it_says_so() -> None:
    """Before anything is fetched."""
    done = fruix("build", "-s", "sparc-linux", "-e", IN_A_ROOT, code=2)
    assert "the root 'debian-12' is not for sparc-linux" in done.stderr


@pytest.mark.parametrize("word", ["aarch64", "aarch64-linux/..", "-", "a-b-c"])
def test_what_is_no_system(word: str) -> None:
    done = fruix("build", f"--system={word}", "-e", IN_A_ROOT, code=2)
    assert f"'{word}' is no system" in done.stderr
    assert "such as aarch64-linux" in done.stderr


def test_a_host_view_of_another_machine_is_none_of_ours() -> None:
    done = fruix("build", "-s", "x86_64-freebsd", "-e", IN_A_VIEW, code=2)
    assert "the host view 'base' of a machine of x86_64-freebsd can't be told here" in done.stderr
    assert "name a root" in done.stderr
