"""A link called `nix-daemon` is a daemon that Nix's own configuration rules."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.nix.peers import ENVIRONMENT, ROOT, run
from machine import BUSYBOX, private_frx
from waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machine: the system's daemon is root's")
SOCKET = "/frx/socket"
LOG = Path("/frx/log")
CONFIGURATION = Path("/frx/etc/nix/nix.conf")
SYSTEM = f"{os.uname().machine}-{os.uname().sysname.lower()}"
BUILD = """derivation { name = "%s"; system = "%s"; builder = "/bin/sh"; args = [ "-c" ''%s'' ]; %s }"""


@pytest.fixture(autouse=True)
def place() -> Iterator[None]:
    with private_frx():
        for directory in ("store", "home", "etc/nix", "bin"):
            Path("/frx", directory).mkdir(parents=True)
        program = Path("/frx/bin/nix-daemon")
        run_it = "import sys\nfrom fruix.__main__ import main\nsys.exit(main())\n"
        program.write_text(f"#!{sys.executable}\n{run_it}")
        program.chmod(0o755)
        yield


@contextmanager
def nix_daemon(*words: str) -> Iterator[None]:
    environment = {**ENVIRONMENT, "NIX_DAEMON_SOCKET_PATH": SOCKET, "PYTHONPATH": str(ROOT / "src")}
    del environment["NIX_CONFIG"]
    with LOG.open("w") as log:
        process = subprocess.Popen(["/frx/bin/nix-daemon", *words], env=environment, stdout=log, stderr=log)
    try:
        until(lambda: os.path.exists(SOCKET) or process.poll() is not None, "the daemon listens")
        assert process.poll() is None, LOG.read_text()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0, LOG.read_text()


def build(name: str, script: str, *words: str, status: int = 0, attributes: str = "") -> str:
    more = {"NIX_REMOTE": f"unix://{SOCKET}"}
    text = BUILD % (name, SYSTEM, script, attributes)
    return run("newest", "nix-build", "-E", text, "--no-out-link", *words, status=status, more=more).stderr


def warnings(said: str) -> set[str]:
    return set(re.findall(r"^warning: .*|^error: .*", said, re.MULTILINE))


def test_what_the_file_says_holds() -> None:
    """In one go, as each daemon takes its time."""
    Path("/frx/shown").mkdir()
    Path("/frx/shown/word").write_text("from the host\n")
    CONFIGURATION.write_text(
        f"sandbox-paths = /bin/sh={BUSYBOX} /host=/frx/shown /none?\ncores = 3\nfoo = 1\nextra-bar = 2\n"
        "build-users-group = nixbld\ninclude more.conf\npost-build-hook = /frx/hook\n"
    )
    hook = Path("/frx/hook")
    hook.write_text("#!/bin/sh\necho after $DRV_PATH: $OUT_PATHS, by $NIX_REMOTE\n[ -e $OUT_PATHS ]\n")
    hook.chmod(0o755)
    (CONFIGURATION.parent / "more.conf").write_text("keep-build-log = false\n")
    with nix_daemon("--option", "max-jobs", "3"):
        said = build("one", "echo cores $NIX_BUILD_CORES; read a < /host/word; echo $a; echo x > $out")
        assert "cores 3\nfrom the host\n" in said
        assert re.search(r"^after /frx/store/\S+-one\.drv: /frx/store/\S+-one, by ", said, re.MULTILINE)
        failing = build("three", "echo x > $out", "--post-build-hook", "/bin/false", status=1)
        assert "program '/bin/false' failed with exit code 1" in failing
        assert "exit code" in build("two", "exec > /host/word", status=1), "it can't be written"
        info = run("newest", "nix", "store", "info", more={"NIX_REMOTE": f"unix://{SOCKET}"})
        assert "Trusted: 1" in info.stderr + info.stdout
    log = LOG.read_text()
    # Nix warns of what it doesn't know in the same words.
    peer = run("newest", "nix", "config", "show").stderr
    assert (
        warnings(log) == warnings(peer) == {f"warning: unknown setting '{n}'" for n in ("foo", "extra-bar")}
    )
    assert "setting 'keep-build-log' has no effect: logs are always kept" in log
    CONFIGURATION.write_text("cores\n")
    with pytest.raises(AssertionError, match="syntax error in configuration line 'cores'"), nix_daemon():
        pass


# What nix-daemon 2.34.8 said of the same builds.
SAID = {
    "self": (
        "echo $out > $out",
        "allowedReferences = [ ];",
        r"error: output '(\S+-self)' is not allowed to refer to the following paths:\n +\1\n",
    ),
    "hash": (
        "echo x > $out",
        'outputHash = "0000000000000000000000000000000000000000000000000000"; outputHashAlgo = "sha256";',
        (
            r"error: hash mismatch in fixed-output derivation '\S+-hash\.drv':\n"
            r" +specified: sha256-A+=\n +got: +sha256-c8s4\S+=\n"
        ),
    ),
    "silent": (
        "exit 3",
        "",
        (
            r"error: Cannot build '\S+-silent\.drv'\.\n +Reason: builder failed with exit code 3\.\n"
            r" +Output paths:\n +\S+-silent\n"
        ),
    ),
}


def test_failures_are_told_as_nix_tells_them() -> None:
    CONFIGURATION.write_text(f"sandbox-paths = /bin/sh={BUSYBOX}\n")
    with nix_daemon():
        for name, (script, attributes, said) in SAID.items():
            whole = build(name, script, status=1, attributes=attributes)
            _, _, told = whole.partition("error: ")
            assert re.match(said, f"error: {told}"), whole
            assert "full logs" not in told, "there are none"


def test_without_a_sandbox_only_where_the_file_says_so() -> None:
    CONFIGURATION.write_text("")
    with nix_daemon():
        assert "sandbox" in build("none", "echo x > $out", status=1), "there is no /bin/sh"
    with nix_daemon("--option", "sandbox", "false"):
        build("all", "test -e /etc/passwd; test -e /usr/bin; echo x > $out")


def test_version() -> None:
    words = ["/frx/bin/nix-daemon", "--version"]
    said = subprocess.run(
        words, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch(r"nix-daemon \(Fruix\) \d+\.\d+\.\d+\n", said)
