"""Sockets of 32-bit builders, which are made for them by the rule for socket(2)."""

from __future__ import annotations

import platform
import socket
from pathlib import Path

import pytest

from fruix.model.build_options import BuildOptions
from machine import Machine, builders
from sandbox import doors

here = doors.here
program = doors.program


# What the answerer makes for 32-bit programs, by the rule for socket(2).
OLD_SOCKETS = {
    "int80-socket-unix=1": "ok",
    "int80-pair-unix=1": "ok",
    "int80-socket-inet=2": "ok",
    "int80-pair-inet=2": "EOPNOTSUPP",
    "int80-socket-vsock=40": "EAFNOSUPPORT",
    "int80-socket-alg=38": "EAFNOSUPPORT",
    "int80-pair-tipc=30": "EAFNOSUPPORT",
    "int80-socket-none=0": "EAFNOSUPPORT",
    "int80-socket-nowhere=-1": "EFAULT",
    "int80-pair-nowhere=-1": "EFAULT",
    "int80-pair-to-nowhere=-2": "EFAULT",
    "int80-bind": "EBADF",
    "int80-talk": "ok",
    "socket-vsock=40,1,0": "EAFNOSUPPORT",
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine: i686 builders run on x86_64")
@pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])
def test_sockets_of_32_bit_builds(here: Machine, tmp_path: Path, program: Path, contract: str) -> None:
    shell = here.shell(tmp_path)
    doors = here.store.add_path("doors", str(program))
    script = f"cd /tmp; {doors} {' '.join(OLD_SOCKETS)} | tee $out"
    drv = here.derivation("old-sockets", script, shell, sources=[doors], system="i686-linux")
    (result,) = here.build(drv, options=BuildOptions(contract))
    assert result.success, result.message
    found = dict(line.split(" ", 1) for line in here.output(drv).read_text().splitlines())
    assert found == {words.partition("=")[0]: ending for words, ending in OLD_SOCKETS.items()}
    assert builders() == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine: i686 builders run on x86_64")
def test_a_sockets_owner_and_network_are_the_builders(here: Machine, tmp_path: Path, program: Path) -> None:
    shell = here.shell(tmp_path)
    doors = here.store.add_path("doors", str(program))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"{doors} int80-connect={port} int80-cloexec int80-owner > $out"
        drv = here.derivation("owner", script, shell, sources=[doors], system="i686-linux")
        (result,) = here.build(drv)
    assert result.success, result.message
    found = here.output(drv).read_text()
    assert found == "int80-connect ECONNREFUSED\nint80-cloexec ok\nint80-owner ok\n"
