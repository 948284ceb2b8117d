"""Tools that builds use, and an `ssh` that leads through a real server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clients.guix.tools import busybox_tools
from clients.nix.hosts import Host


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("any") / "tools"
    place.mkdir()
    return busybox_tools(place)


@pytest.fixture
def real_ssh(tmp_path: Path) -> Callable[[Host, Host], None]:
    """Makes `ssh` on the first machine the real one, whose server on the second runs for each connection."""

    def connect(here: Host, there: Host) -> None:
        os.makedirs("/run/sshd", exist_ok=True)
        place = tmp_path / f"ssh-{here.place.name}"
        place.mkdir()
        for name in ("user", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True)
        server = {
            "HostKey": place / "host",
            "AuthorizedKeysFile": place / "user.pub",
            "PermitRootLogin": "yes",
            "StrictModes": "no",
            "UsePAM": "no",
            "SetEnv": f"PATH={there.path}",
        }
        client = {
            "IdentityFile": place / "user",
            "ProxyCommand": f"{there.place}/bin/enter /usr/sbin/sshd -i -f {place}/server",
            "UserKnownHostsFile": place / "known",
            "StrictHostKeyChecking": "accept-new",
        }
        for name, options in (("server", server), ("client", client)):
            (place / name).write_text("".join(f"{key} {value}\n" for key, value in options.items()))
        here.write("ssh", '#!/bin/sh\nexec /usr/bin/ssh -F @config@ "$@"\n', config=place / "client")

    return connect
