"""`ssh://` of real clients of Nix leads to `fruix serve`, through a real server of `ssh`.

What they say and get is that of the same run with `nix-store --serve` at the other end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.nix.hosts import Host, newest, nix_host
from fruix.errors import DisconnectedError
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.storepath import StorePath
from fruix.protocol import serve
from fruix.protocol.reader import Source
from fruix.protocol.records import Request
from fruix.protocol.wire import Context, Dialect, read_string

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or os.uname().machine != "x86_64",
    reason="machine: Nix builds as root here, and for x86-64",
)
DEFINITION = Path(__file__).with_name("remote.nix")
PATIENCE = 120  # seconds
RealSsh = Callable[[Host, Host], None]


def _clients() -> dict[str, str]:
    found = shutil.which("nix-build")
    assert found
    return {"newest": newest(), "oldest": os.path.dirname(found)}


def _there(kind: str, place: Path) -> Host:
    """The machine at the other end, with Fruix or with Nix."""
    if kind == "nix":
        there = nix_host(place, {}, newest())
        text = '#!/bin/sh\n. "@place@/profile"\nexec @programs@/nix-store "$@"\n'  # `ssh` brings no variables
        there.write("nix-store", text, place=place, programs=newest())
        return there
    there = Host(place)
    there.install("nix-store", "fruix", "serve")
    return there


def _pair(tmp_path: Path, real_ssh: RealSsh, kind: str, client: str = "newest") -> tuple[Host, Host]:
    there = _there(kind, tmp_path / f"{kind}-there")
    here = nix_host(tmp_path / f"{kind}-here", {"there": there}, _clients()[client])
    real_ssh(here, there)
    return here, there


def _definition(tools: Path, *words: str, system: str = "x86_64-linux") -> list[str | Path]:
    return [DEFINITION, "--arg", "tools", str(tools), "--argstr", "system", system, *words]


def _steady(text: str) -> str:
    """Without what differs between two runs (ssh's empty lines come at any time), and the last lines of logs.

    Those Nix leaves out here.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"^\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b0\.\d\d? [KM]iB", "SIZE", text)
    text = re.sub(r" *Last \d+ log lines:\n( *> .*\n?)*( *For full logs, run:\n.*\n)?", "", text)
    return re.sub(
        r"^(?:Warning: Permanently added).*\n",
        "",
        text,
        flags=re.MULTILINE,
    )


def _none(drv: str) -> str:
    return re.sub(r"-.*", "-none", drv)


def _copies(here: Host, tools: Path) -> dict[str, str]:
    """All of it over `ssh://`; what the commands print, by step."""
    (here.place / "home/file").write_text("new\n")
    said: dict[str, str] = {}
    file = here.run("nix-store", "--add", "/frx/home/file").strip()
    top = here.run("nix-build", "-o", "/frx/result", *_definition(tools)).splitlines()[-1]
    drv = here.run("nix-store", "-q", "--deriver", top).strip()
    url = "ssh://root@there"
    said["copy to"] = here.run("nix", "copy", "--no-check-sigs", "--to", url, file)
    said["copy closure to"] = here.run("nix-copy-closure", "--to", "root@there", top)
    said["again"] = here.run("nix-copy-closure", "--to", "root@there", top, file)
    said["with outputs"] = here.run("nix-copy-closure", "--to", "root@there", "--include-outputs", drv)
    old = "nix (Nix) 2.8" in here.run("nix", "--version")  # knows no form, and reads derivations' files
    form, asked = ((), (top, file)) if old else (("--json-format", "1"), (drv, top, file))
    said["info"] = here.run("nix", "path-info", "-r", "-s", "--store", url, *asked)
    said["json"] = here.run("nix", "path-info", "--json", *form, "--store", url, top, file)
    said["none"] = here.run("nix", "path-info", "--store", url, _none(drv), fails=True)
    here.run("nix-store", "--delete", file)
    said["copy from"] = here.run("nix", "copy", "--no-check-sigs", "--from", url, file)
    here.run("nix-store", "--delete", file)
    said["copy closure from"] = here.run("nix-copy-closure", "--from", "root@there", file)
    said["file"] = here.run("cat", file)
    said["fails"] = here.run("nix", "copy", "--no-check-sigs", "--from", url, _none(drv), fails=True)
    return said


def _alike(
    run: Callable[[Host, Path], dict[str, str]],
    tools: Path,
    tmp_path: Path,
    real_ssh: RealSsh,
    client: str = "newest",
) -> tuple[Host, Host]:
    """The machines that served it, Fruix's and Nix's, where the client was told the same at each step."""
    here, there = _pair(tmp_path, real_ssh, "fruix", client)
    said = run(here, tools)
    other, other_there = _pair(tmp_path, real_ssh, "nix", client)
    expected = run(other, tools)
    for step, text in said.items():
        assert (step, _steady(text)) == (step, _steady(expected[step]))
    return there, other_there


@pytest.mark.parametrize("client", ["newest", "oldest"])
def test_paths_are_copied_and_asked_for(client: str, tools: Path, tmp_path: Path, real_ssh: RealSsh) -> None:
    there, other_there = _alike(_copies, tools, tmp_path, real_ssh, client)
    assert there.paths("") == other_there.paths("")


def _builds(here: Host, tools: Path) -> dict[str, str]:
    """Builds that are sent, and builds of what was copied; what they say, by step."""
    said: dict[str, str] = {}
    sent = ["--max-jobs", "0", "--builders", "ssh://root@there x86_64-linux", "-o", "/frx/result"]
    failing = ["--argstr", "script", "echo last words; exit 7"]
    said["sent"] = here.run("nix-build", *sent, *_definition(tools))
    said["sent, fails"] = here.run("nix-build", *sent, *_definition(tools, *failing), fails=True)
    return said


def test_builds(tools: Path, tmp_path: Path, real_ssh: RealSsh) -> None:
    there, other_there = _alike(_builds, tools, tmp_path, real_ssh)
    assert there.paths("-top", "-dep") == other_there.paths("-top", "-dep")


class Client:
    """Speaks the protocol with `nix-store --serve` of a machine, without `ssh`."""

    def __init__(self, there: Host, *words: str, version: int = serve.NEWEST) -> None:
        self.process = subprocess.Popen(
            [there.place / "bin/enter", "nix-store", "--serve", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin
        assert self.process.stdout
        self.sink, self.replies = self.process.stdin, self.process.stdout
        self.source = Source(lambda limit: os.read(self.replies.fileno(), limit))
        self.context = Context(Dialect.NIX, version, "/frx/store")
        self.send(
            serve.CLIENT_MAGIC.to_bytes(8, "little") + (serve.MAJOR << 8 | version).to_bytes(8, "little")
        )
        assert self.source.u64() == serve.SERVER_MAGIC
        self.version = self.source.u64()

    def send(self, data: bytes | bytearray) -> None:
        self.sink.write(data)
        self.sink.flush()

    def ask(self, request: Request[Any], body: bytes = b"") -> Any:
        """The reply, as far as its row says what it is."""
        (operation,) = (row for row in serve.SERVE.values() if row.kind is type(request))
        sink = bytearray(operation.number.to_bytes(8, "little"))
        operation.request.write(sink, request, self.context)
        self.send(sink + body)
        raw = operation.reply.read(self.source, self.context)
        return operation.reply.parse(raw, self.context)

    def ask_to_build(self, *requests: DerivedPath) -> tuple[int, str]:
        """How builds end, and why."""
        self.ask(serve.BuildPaths(requests, serve.ServeOptions(0, 0)))
        status = self.source.u64()
        return status, read_string(self.source, 1 << 16).decode() if status else ""

    def leave(self) -> str:
        """What it has said to standard error."""
        try:
            return self.process.communicate(timeout=PATIENCE)[1].decode()
        finally:
            self.process.kill()


def _asked(here: Host, there: Host, tools: Path) -> dict[str, Any]:
    """What a client hears that asks for whatever the protocol has, by step."""
    heard: dict[str, Any] = {}
    scripts = ("echo line; echo there > $out", "echo last words; exit 7")
    made = [here.run("nix-instantiate", *_definition(tools, "--argstr", "script", text)) for text in scripts]
    good, bad = (StorePath.parse(text.split()[-1]) for text in made)
    needed = [
        StorePath.parse(line) for line in here.run("nix-store", "-qR", str(good), str(bad)).splitlines()
    ]
    export = subprocess.run(
        [here.place / "bin/enter", "nix-store", "--export", *map(str, needed)],
        capture_output=True,
        check=True,
    )
    client = Client(there, "--write")
    heard["version"] = client.version
    heard["import"] = client.ask(serve.ImportPaths(), export.stdout)
    heard["valid"] = client.ask(
        serve.QueryValidPaths(True, False, (*needed, StorePath.of("/frx/store", "0" * 32 + "-none")))
    )
    heard["built"] = client.ask_to_build(DerivedPath(good, ALL))
    heard["again"] = client.ask_to_build(DerivedPath(good, ("out",)))
    # Statuses of failures: Nix gives the exit status of a program, which newer clients take for another.
    status, message = client.ask_to_build(DerivedPath(bad, ALL))
    heard["fails"] = (
        status != 0,
        [line.strip() for line in _steady(message).removeprefix("error: ").splitlines()],
    )
    heard["closure"] = client.ask(serve.QueryClosure(False, (good,)))
    heard["closure with outputs"] = client.ask(serve.QueryClosure(True, (good,)))
    heard["said"] = sorted(client.leave().splitlines())
    heard["refused"] = _refused(Client(there), good)
    old = Client(there, "--write", version=3)
    heard["version 2.3"] = old.ask(serve.QueryClosure(False, (good,)))
    old.leave()
    return heard


def _refused(client: Client, drv: StorePath) -> bool:
    """Whether building is refused, and why."""
    with pytest.raises(DisconnectedError):
        client.ask_to_build(DerivedPath(drv, ALL))
    return "error: building paths is not allowed" in _steady(client.leave())


def test_what_the_protocol_has(tools: Path, tmp_path: Path) -> None:
    theres = {kind: _there(kind, tmp_path / kind) for kind in ("fruix", "nix")}
    here = nix_host(tmp_path / "here", {}, newest())
    heard = {kind: _asked(here, there, tools) for kind, there in theres.items()}
    for step, answer in heard["fruix"].items():
        assert (step, answer) == (step, heard["nix"][step])
    assert heard["nix"]["refused"]


def test_a_client_that_leaves_ends_its_build(tools: Path, tmp_path: Path) -> None:
    """It is ended with the daemon that was embedded for it, whose process ends then."""
    there = _there("fruix", tmp_path / "there")
    here = nix_host(tmp_path / "here", {"there": there}, newest())
    script = ("--argstr", "script", "echo $$; while :; do read line || :; done")
    drv = here.run("nix-instantiate", *_definition(tools, *script)).split()[-1]
    here.run("nix-copy-closure", "--to", "there", drv)
    client = Client(there, "--write")
    request = serve.BuildPaths((DerivedPath(StorePath.parse(drv), ALL),), serve.ServeOptions(0, 0))
    client.ask(request)
    assert client.process.stderr
    client.process.stderr.readline()  # of what it needs
    assert client.process.stderr.readline().strip().isdigit()
    running = ("find", "/frx/var/fruix/builds", "-mindepth", "1", "-maxdepth", "1", "-name", "frx-*")
    assert there.run(*running) != ""
    client.leave()
    assert there.run(*running) == ""
