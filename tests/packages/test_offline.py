"""Builds in a root where there is no network at all: what was fetched is enough."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine import private_frx
from rooted import rooted_frx

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="machine: not root on Linux"
)
# A source of this machine, compiled, tested, installed and checked as every package is.
PACKAGE = """
import os
package = Package(
    name="offline", version="1", build_system="gnu",
    source=Local(os.path.dirname(__file__) + "/offline"),
    arguments={"phases": lambda phases: phases.remove("configure")},
)
"""
MAKEFILE = """
offline: offline.c
check: offline
	./offline
install: offline
	mkdir -p $(out)/bin && cp offline $(out)/bin/
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("packages")
    source = directory / "offline"
    source.mkdir()
    (source / "Makefile").write_text(MAKEFILE)
    (source / "offline.c").write_text('#include <stdio.h>\nint main(void) { puts("offline"); return 0; }\n')
    (directory / "offline.py").write_text(PACKAGE)
    return str(directory / "offline.py")


def offline(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a network namespace without any interface but an idle loopback."""
    return subprocess.run(["unshare", "--net", *words], capture_output=True, text=True, check=False)


def build(package: str) -> subprocess.CompletedProcess[str]:
    return offline(sys.executable, "-m", "fruix", "build", "-f", package)


@pytest.fixture
def rooted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with rooted_frx(tmp_path_factory):
        yield


def test_there_is_no_network_indeed() -> None:
    interfaces = offline("cat", "/proc/net/dev").stdout.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    assert offline("cat", "/proc/net/route").stdout.splitlines()[1:] == []


def test_a_root_that_was_fetched_is_enough(rooted: None, package: str) -> None:
    done = build(package)
    assert done.returncode == 0, done.stderr
    assert "to fetch" not in done.stderr
    assert subprocess.check_output([Path(done.stdout.strip()) / "bin/offline"], text=True) == "offline\n"


def test_without_it_the_build_says_what_it_could_not_fetch(package: str) -> None:
    with private_frx():
        done = build(package)
    assert done.returncode != 0
    assert "unable to download" in done.stderr
    assert "hint: mirrors forget old packages: 'fruix root update debian-12'" in done.stderr
