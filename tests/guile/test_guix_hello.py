"""GNU Hello as Guix defines it, by the real guix client and Fruix's daemon.

That is `make guix-hello`, and what it is made of.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashing import SOCKET
from fruix.building.settings import FIRST_BUILD_UID
from guile.guix_client import BIN, MODULES, ROOT, Guix, client, daemon, passed, run
from machine import private_frx
from waiting import until

EXAMPLE = ROOT / "examples/guix/hello.scm"
SHA256 = "0d5f60154382fee10b114a1c34e785d8b1f492073ae2d3a6f7b147687b366aa0"


Hello = dict[str, str]


def built(guix: Guix, **variables: str) -> tuple[str, Hello]:
    """What the script prints, and the metadata that it writes."""
    metadata = guix.home / "metadata"
    environment = {**guix.environment, "METADATA_OUT": str(metadata), **variables}
    done = run("sh", "scripts/guix-hello", BIN, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, dict(line.split("=", 1) for line in metadata.read_text().splitlines())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Guix, str, Hello]]:
    """Built by a daemon that the script starts; afterwards one runs for the tests."""
    guix = Guix(tmp_path_factory.mktemp("home"))
    with private_frx():
        said, metadata = built(guix, **passed())
        with daemon():
            yield guix, said, metadata


@pytest.fixture(scope="module")
def guix(scene: tuple[Guix, str, Hello]) -> Guix:
    return scene[0]


@pytest.fixture(scope="module")
def hello(scene: tuple[Guix, str, Hello]) -> Hello:
    return scene[2]


def test_hello_is_built_tested_and_greets(scene: tuple[Guix, str, Hello]) -> None:
    _, said, metadata = scene
    assert said == f"{metadata['out_path']}\nHello, world!\n"
    assert metadata["runtime_output"] == "Hello, world!"
    assert metadata["tests"] == "pass=6 fail=0 skip=1"
    assert metadata["build_mode"] == "linux-namespaces"
    assert int(metadata["build_uid"]) == FIRST_BUILD_UID


def test_its_output_keeps_its_source(hello: Hello) -> None:
    assert hello["source_sha256"] == SHA256
    assert hello["source_store_path"] in hello["references"].split()


def test_a_daemon_that_runs_is_asked(guix: Guix, scene: tuple[Guix, str, Hello]) -> None:
    """There is nothing to do for it: the first one had the same view."""
    assert built(guix, FRUIX_DAEMON_SOCKET=SOCKET) == scene[1:]


def test_metadata_has_the_keys_of_a_package_of_fruix_s_own(guix: Guix, hello: Hello) -> None:
    own = guix.home / "own"
    definition = guix.home / "nothing.py"
    definition.write_text(
        'from fruix.packages.package import Package\npackage = Package(name="nothing", version="1", '
        'build_system="trivial", arguments={"script": "echo > $out"}, synopsis="-", description="-", '
        'license="CC0-1.0", home_page="https://example.org")\n'
    )
    words = [f"{BIN}/fruix", "build", str(definition), "--metadata", str(own)]
    done = run(*words, environment=guix.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition("=")[0] for line in own.read_text().splitlines()] == list(hello)


def test_guix_s_own_command_builds_the_same(guix: Guix, hello: Hello) -> None:
    assert guix.output("build", "-L", MODULES, "-f", EXAMPLE) == hello["out_path"]


def test_a_file_can_describe_the_view(guix: Guix, hello: Hello) -> None:
    described = guix.home / "views"
    described.write_text(run(f"{BIN}/fruix", "view", "--scheme", environment=guix.environment).stdout)
    words = ["build", "-L", str(MODULES), "-f", str(EXAMPLE), "-d"]
    assert guix.output(*words, FRUIX_HOST_VIEW=str(described)) == hello["drv_path"]
    described.write_text(
        described.read_text().replace('(system "x86_64-linux")', '(system "x86_64-freebsd")')
    )
    done = guix.run(*words, FRUIX_HOST_VIEW=str(described))
    assert (done.returncode, "is that of a x86_64-freebsd machine" in done.stderr) == (1, True), done.stderr


def test_guix_daemon_has_no_views_and_the_client_says_what_to_do(guix: Guix, tmp_path: Path) -> None:
    program = Path(client()).parent / "usr/bin/guix-daemon"
    store = {"NIX_STORE_DIR": str(tmp_path / "store"), "GUIX_DAEMON_SOCKET": str(tmp_path / "socket")}
    places = {
        f"GUIX_{name}_DIRECTORY": str(tmp_path / name)
        for name in ("STATE", "DATABASE", "LOG", "CONFIGURATION")
    }
    (tmp_path / "store").mkdir()
    words = [
        str(program),
        "--disable-chroot",
        "--no-substitutes",
        "--no-offload",
        f"--listen={tmp_path}/socket",
    ]
    with subprocess.Popen(words, env={**guix.environment, **store, **places}) as other:
        try:
            until(lambda: os.path.exists(tmp_path / "socket"), "guix-daemon's socket")
            done = guix.run("build", "-L", MODULES, "-f", EXAMPLE, "-d", **store)
        finally:
            other.send_signal(signal.SIGTERM)
    assert done.returncode == 1
    assert f"the daemon at {tmp_path}/socket has no host views: start Fruix's, or name a file" in done.stderr
