"""Nix's clients: the newest and 2.3, unpacked by `scripts/peers`, and Debian 12's 2.8."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from clients.guix.tools import busybox_tools

ROOT = Path(__file__).parents[3]
PEERS = os.environ.get("FRUIX_PEERS", "/var/tmp/fruix-peers")
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/frx/home",
    "NIX_STORE_DIR": "/frx/store",
    "NIX_STATE_DIR": "/frx/var/fruix",
    "NIX_LOG_DIR": "/frx/var/log/fruix",
    "NIX_CONF_DIR": "/frx/etc/nix",
    "NIX_REMOTE": "unix:///frx/var/fruix/daemon-socket/socket",
    "NIX_CONFIG": "experimental-features = nix-command",
}
CLIENTS = ("newest", "2.8")


def variables(client: str) -> dict[str, str]:
    """What its programs need to find their own files."""
    return {"NIX_DATA_DIR": f"{programs(client)}/../share"} if client == "2.3" else {}


@cache
def programs(client: str) -> str:
    """The directory of a client's programs; unpacked if it isn't there."""
    if client == "2.8":
        found = shutil.which("nix-store")
        assert found, "nix-store is missing: apt-get install nix-bin"
        return os.path.dirname(found)
    name = "nix" if client == "newest" else f"nix-{client}"
    subprocess.run(["sh", ROOT / "scripts/peers", PEERS, name], check=True)
    return f"{PEERS}/{name}/usr/bin"


def run(
    client: str, program: str, *words: str | Path, status: int = 0, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Any of its programs, which has to end with that status."""
    done = subprocess.run(
        [f"{programs(client)}/{program}", *words],
        env={**ENVIRONMENT, **(more or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == status, (program, words, done)
    return done


def expression(directory: Path, script: str, name: str = "thing", more: str = "") -> str:
    """A file with a derivation whose builder is a shell with Busybox's tools running `script`."""
    tools = directory / "tools"
    if not tools.exists():
        tools.mkdir()
        busybox_tools(tools)
    system = f"{os.uname().machine}-{os.uname().sysname.lower()}"
    file = directory / f"{name}.nix"
    file.write_text(
        f'derivation {{ name = "{name}"; system = "{system}"; builder = "${{./tools}}/bin/sh";'
        f" PATH = \"${{./tools}}/bin\"; args = [ \"-c\" ''{script}'' ]; {more} }}\n"
    )
    return str(file)
