"""Guix's client with daemons that remember failures and have a substitute server, and `guix publish`.

All the same for both daemons, but for what `differences` lists.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from clients.guix.differences import compared
from clients.guix.peers import DAEMONS, build_users, client, daemon, run
from clients.guix.tools import busybox_tools
from golden_data import GOLDEN
from machine import private_frx

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or os.uname().machine != "x86_64",
    reason="machine: guix-daemon needs root, and x86-64 here",
)
OPTIONS = ["--cache-failures", "--substitute-urls=file:///frx/cache"]
SETTINGS = 'cache-failures = true\nsubstituters = ["file:///frx/cache"]\n'
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def signing_keys() -> None:
    for part, mode in (("sec", 0o400), ("pub", 0o444)):
        shutil.copy(GOLDEN / f"keys/guix-signing-key.{part}", f"/frx/etc/signing-key.{part}")
        os.chmod(f"/frx/etc/signing-key.{part}", mode)
    run("sh", "-c", f"{client()} archive --authorize < /frx/etc/signing-key.pub")


def said_with(name: str, tools: Path) -> dict[str, str]:
    """What the client says of each script."""
    with private_frx(), build_users(), daemon(name, options=OPTIONS, settings=SETTINGS):
        signing_keys()
        one, failing = (
            run(client(), "repl", "--", HERE / "one.scm", tools, *script).stdout.strip()
            for script in ((), ("echo $0 > kept; exit 7",))
        )
        path = run(client(), "build", "--no-substitutes", one).stdout.splitlines()[-1]
        run("sh", "-c", f"{client()} archive --export {path} > /frx/archive")
        untrusted = shutil.copy(HERE / "untrusted.scm", "/frx/home")
        return {
            "publish": run("unshare", "-n", "sh", HERE / "publish.sh", client(), path, one).stdout,
            "offered": run("sh", HERE / "offered.sh", client(), path, one).stdout,
            "more": run(client(), "repl", "--", HERE / "more.scm", tools, path).stdout,
            "failures": run("sh", HERE / "failures.sh", client(), failing).stdout,
            "untrusted": run(*NOBODY, client(), "repl", "--", untrusted, path, one, "/frx/archive").stdout,
            # By another process: what a connection uses is let go a moment after it is closed.
            "nobody uses it": run(*NOBODY, client(), "repl", "--", untrusted, path).stdout,
        }


def test_published_offered_and_failed(tmp_path: Path) -> None:
    tools = busybox_tools(tmp_path)
    guix, fruix = (said_with(name, tools) for name in DAEMONS)
    assert "100.0%) were identical" in guix["publish"]
    assert "failed previously (cached)" in guix["failures"]
    assert {script: compared(guix[script], fruix[script]) for script in guix} == dict.fromkeys(guix, "")
