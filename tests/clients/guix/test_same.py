"""Commands of Guix's own client against guix-daemon and against Fruix: same results, texts and statuses.

What differs on purpose is in `differences`; anything else is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.guix.differences import compared
from clients.guix.peers import DAEMONS, PEERS, build_users, client, daemon, run
from clients.guix.tools import busybox_tools
from fruix.cli.commands.guix_daemon import configure
from golden_data import GOLDEN
from machine import private_frx

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or os.uname().machine != "x86_64",
    reason="machine: guix-daemon needs root, and x86-64 here",
)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with busybox and its names."""
    return busybox_tools(tmp_path_factory.mktemp("tools"))


def transcripts(tools: Path) -> dict[str, tuple[str, str]]:
    """Of each daemon: what the store's procedures gave, and what the commands said."""
    found = {}
    for name in DAEMONS:
        with private_frx(), build_users(), daemon(name):
            for part, mode in (("sec", 0o400), ("pub", 0o444)):
                shutil.copy(GOLDEN / f"keys/guix-signing-key.{part}", f"/frx/etc/signing-key.{part}")
                os.chmod(f"/frx/etc/signing-key.{part}", mode)
            store = run(client(), "repl", "--", HERE / "store.scm", tools).stdout
            path, drv = (
                re.search(rf'/frx/store/\S*-{end}(?=")', store) for end in ("simple", r"simple\.drv")
            )
            drv = drv or re.search(r"/frx/store/\S*-simple\.drv", store)
            assert path, store
            assert drv, store
            verbs = run("sh", HERE / "verbs.sh", client(), path[0].rstrip('"'), drv[0]).stdout
            found[name] = store, verbs
    return found


def test_guix_and_fruix_say_the_same(tools: Path) -> None:
    found = transcripts(tools)
    for guix, fruix in zip(found["guix"], found["fruix"], strict=True):
        assert "status" in guix or "simple" in guix
        assert compared(guix, fruix) == ""


def test_a_store_goes_from_guix_to_fruix_and_back(tools: Path) -> None:
    """Filled by guix-daemon, used by Fruix, given back."""
    questions = HERE / "migrated.scm"
    said: list[str] = []
    with private_frx(), build_users():
        for name in ("guix", "fruix", "guix"):
            if said and name == "guix":
                from fruix.store import Layout
                from fruix.store.guix_database import give_back

                give_back(Layout())
            with daemon(name):
                said.append(run(client(), "repl", "--", questions, tools).stdout)
    assert "verified: #t" in said[0]
    for later in said[1:]:
        assert compared(said[0], later) == ""


def test_every_option_of_guix_daemon_is_known() -> None:
    """As its own help lists them."""
    client()
    said = subprocess.run(
        [f"{PEERS}/guix/usr/bin/guix-daemon", "--help"], capture_output=True, text=True, check=True
    )
    names = set(re.findall(r"^ +(?:-., )?--([a-z0-9.-]+)", said.stdout, re.MULTILINE))
    assert len(names) > 20
    parser = argparse.ArgumentParser()
    configure(parser)
    known = {word.removeprefix("--") for action in parser._actions for word in action.option_strings}
    assert names - known == {"usage"}
