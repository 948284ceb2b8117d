"""`fruix` with Guix's own daemon: what there is a way to ask works, the rest fails with words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.guix.peers import ENVIRONMENT, SOCKET, build_users, client, daemon, run
from clients.guix.tools import busybox_tools
from machine import private_frx

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or os.uname().machine != "x86_64",
    reason="machine: guix-daemon needs root, and x86-64 here",
)


@pytest.fixture(scope="module", autouse=True)
def guix_daemon() -> Iterator[None]:
    with private_frx(), build_users(), daemon("guix"):
        yield


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busybox_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture
def drv(tools: Path) -> str:
    """A derivation that Guix's client added: it refers to its tools and says a word."""
    return run(client(), "repl", "--", Path(__file__).with_name("one.scm"), tools).stdout.strip()


def fruix(*words: str, status: int = 0, errors: bool = False) -> str:
    """What a command prints; what it says on the other stream if it fails, or if that is asked for."""
    done = subprocess.run(
        [sys.executable, "-m", "fruix", *words],
        env={**ENVIRONMENT, "FRUIX_DAEMON_SOCKET": SOCKET},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == status, (words, done)
    return done.stderr if status or errors else done.stdout


def test_a_derivation_is_built_asked_about_and_collected(drv: str) -> None:
    """In one go: each step rests on those before."""
    assert fruix("daemon", "--ping") == "guix-daemon\n"
    info = fruix("store", "info", drv)
    assert f"path: {drv}\nnar hash: sha256-" in info
    tools = re.findall(r"^references: (.*)$", info, re.MULTILINE)
    assert fruix("store", "references", drv).split() == tools
    assert fruix("store", "requisites", drv).split() == sorted([*tools, drv])
    assert "1 to build" in fruix("build", "-n", drv, errors=True)
    out = fruix("build", drv, "-r", "/frx/link").strip()
    assert Path(out).read_text() == f"{tools[0]}\n"
    assert fruix("build", "--check", drv).strip() == out
    assert "everything is valid" in fruix("build", drv, errors=True)
    assert fruix("store", "derivers", out).split() == [drv]
    assert fruix("store", "referrers", tools[0]).split() == sorted([drv, out])
    assert fruix("log", drv) == "said\n"
    assert fruix("store", "cat", out) == f"{tools[0]}\n"
    assert f'"{out}" -> "{tools[0]}"' in fruix("graph", out)
    assert "in all, 2 paths" in fruix("size", out)
    fruix("store", "verify", "--contents")
    assert out in fruix("gc", "--print-live").split()
    fruix("store", "delete", out, status=1)
    fruix("export", "-o", "/frx/exported", out)
    script = Path(__file__).with_name("export.scm")
    assert run(client(), "repl", "--", script, "/frx/as-guix", out).returncode == 0
    assert fruix("store", "requisites", out).split() == sorted([*tools, out])
    assert Path("/frx/exported").read_bytes() == Path("/frx/as-guix").read_bytes()
    os.unlink("/frx/link")
    assert re.search(r"^deleted [1-9]\d* paths", fruix("gc"))
    fruix("store", "info", out, status=1)


def test_what_is_added_has_the_paths_that_guix_s_client_gives(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("text")
    for words, procedure in (
        (("store", "add", str(tree)), f'(add-to-store store "tree" #t "sha256" "{tree}")'),
        (
            ("store", "add", "--flat", f"{tree}/file"),
            f'(add-to-store store "file" #f "sha256" "{tree}/file")',
        ),
    ):
        script = tmp_path / "add.scm"
        script.write_text(f"(use-modules (guix store)) (with-store store (display {procedure}))")
        assert fruix(*words).strip() == run(client(), "repl", "--", script).stdout


def test_a_failing_build_is_told(tools: Path) -> None:
    drv = run(client(), "repl", "--", Path(__file__).with_name("one.scm"), tools, "exit 7").stdout.strip()
    said = fruix("build", drv, status=100)
    assert f"build of `{drv}' failed" in said


# Commands → what they say there. DRV, KEY: names of a derivation and a file with a secret key.
NO_SENSE = {
    "ps": "'guix-daemon' can't list builds",
    "view list": "'guix-daemon' has no host views",
    "gc --min-free 1": "'guix-daemon' knows no such goal",
    "gc --why-live DRV": "'guix-daemon' can't say why a path is alive",
    "import /dev/null": "'guix-daemon' can't import streams",
    "enter DRV": "'guix-daemon' can't be entered",
    "store sign -k KEY DRV": "'guix-daemon' has no operation AddSignatures",
    "export --sign DRV": "signing-key.sec",
}


def test_what_makes_no_sense_there_fails_with_words(drv: str, tmp_path: Path) -> None:
    names = {"DRV": drv, "KEY": str(tmp_path / "key")}
    fruix("key", "generate", names["KEY"])
    for command, reason in NO_SENSE.items():
        assert reason in fruix(*(names.get(word, word) for word in command.split()), status=1)
    assert "'guix-daemon' can't put roots together" in fruix("build", "hello", status=2)
