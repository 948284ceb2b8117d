"""Fixed-output builds with a network, by each way there is: what they reach, and what stays out of reach.

All traffic stays on this machine: see `network_rig`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import network_rig as rig
from building.builders.connected import build_until, connected_machine, fixed, lines
from fruix.building.record.record_file import read_record
from fruix.model.build_options import BuildOptions
from fruix.model.storepath import StorePath
from fruix.sandbox import networks
from fruix.sandbox.back_ends import current
from fruix.sandbox.linux import userns
from machine import Machine, build_uid, builders
from waiting import until

SANDBOX_TESTS = Path(__file__).parents[2] / "sandbox"
DATA = b"from the network\n"
GOOD = b"good\n"
WAYS = (*networks.OWN, networks.HOST)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("programs")
    for name in ("doors", "smuggle"):
        source = SANDBOX_TESTS / f"{name}.c"
        subprocess.run(["gcc", "-static", "-O1", "-o", directory / name, source], check=True)
    return {name: directory / name for name in ("doors", "smuggle")}


def record_of(here: Machine, drv: StorePath) -> dict[str, Any]:
    record = read_record(here.store.layout.log_file(drv))
    assert record is not None
    return record


@pytest.mark.parametrize("way", WAYS)
def test_a_builder_downloads(way: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    with connected_machine(way) as here, rig.web_server(tmp_path) as port:
        drv = here.derivation(
            "get",
            f"wget -q -O $out http://{rig.HOST}:{port}/file; ls -l /proc/self/ns/net",
            here.shell(tmp_path),
            outputs=fixed(DATA),
        )
        (result,) = here.build(drv)
        assert result.success, result.message
        assert here.output(drv).read_bytes() == DATA
        record = record_of(here, drv)
        isolation = record["isolation"]
        assert isolation["network"] == way
        assert isolation["userNamespace"]
        assert isolation["insideUid"] == 35001
        assert isolation["uid"] == userns.on_host(build_uid(), 0)[0]
        own = os.readlink("/proc/self/ns/net")
        assert any(own in line for line in lines(here)) == (way == networks.HOST)
        assert builders() == []


@pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])
@pytest.mark.parametrize("way", [*WAYS, networks.NONE])
def test_no_power_is_left(way: str, contract: str, tmp_path: Path) -> None:
    """By whatever way, seen from inside: ids by contract, no capabilities, no new privileges, the filter."""
    with connected_machine(way) as here:
        script = "id -u; id -g; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; printf x > $out"
        drv = here.derivation("power", script, here.shell(tmp_path), outputs=fixed(b"x"))
        (result,) = here.build(drv, options=BuildOptions(contract))
        assert result.success, result.message
    uid, gid, *status = lines(here)
    assert (uid, gid) == {"fruix": ("35001", "35001"), "nix": ("1000", "100"), "guix": ("30001", "30000")}[
        contract
    ]
    capabilities = dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16)
    assert dict(line.split(":\t") for line in status) == {**capabilities, "NoNewPrivs": "1", "Seccomp": "2"}


def doors(here: Machine, scratch: Path, program: Path, *words: str) -> dict[str, str]:
    tool = here.store.add_path("doors", str(program))
    script = f"cd /tmp; {tool} {' '.join(words)}; printf x > $out"
    drv = here.derivation("doors", script, here.shell(scratch), sources=[tool], outputs=fixed(b"x"))
    (result,) = here.build(drv)
    assert result.success, result.message
    return dict(line.split(" ", 1) for line in lines(here))


@pytest.mark.parametrize("way", networks.OWN)
def test_the_hosts_loopback_is_out_of_reach(way: str, tmp_path: Path, programs: dict[str, Path]) -> None:
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(connected_machine(way))
        ports = {}
        for address in ("127.0.0.1", "::1", rig.HOST, rig.HOST_6):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            server = stack.enter_context(socket.create_server((address, 0), family=family))
            ports[address] = server.getsockname()[1]
        found = doors(
            here,
            tmp_path,
            programs["doors"],
            f"tcp=127.0.0.1,{ports['127.0.0.1']}",
            f"tcp-gateway={networks.GATEWAY},{ports['127.0.0.1']}",
            f"tcp-resolver={networks.NAME_SERVER},{ports['127.0.0.1']}",
            f"tcp-self={networks.ADDRESS},{ports['127.0.0.1']}",
            f"tcp6=::1,{ports['::1']}",
            f"tcp6-gateway=fd66:7275:6978::2,{ports['::1']}",
            f"tcp-outside={rig.HOST},{ports[rig.HOST]}",
            f"tcp6-outside={rig.HOST_6},{ports[rig.HOST_6]}",
        )
    assert found.pop("tcp-outside") == "ok"  # or the rest would prove nothing
    assert found.pop("tcp6-outside") == ("ok" if way == "pasta" else "ENETUNREACH")
    assert "ok" not in found.values(), found


@pytest.mark.parametrize(
    ("way", "refusal"), [("pasta", "ECONNREFUSED"), ("slirp4netns", "ECONNREFUSED"), ("host", "EPERM")]
)
def test_nothing_of_the_host_can_be_called(
    way: str, refusal: str, tmp_path: Path, programs: dict[str, Path]
) -> None:
    with connected_machine(way) as here, socket.socket(socket.AF_UNIX) as named:
        named.bind(f"\0fruix-test-{os.getpid()}")
        named.listen()
        found = doors(
            here,
            tmp_path,
            programs["doors"],
            f"abstract=fruix-test-{os.getpid()}",
            "raw-socket",
            "userns",
            "setuid",
        )
    assert found == {
        "abstract": refusal,
        "raw-socket": "EPERM",
        "userns": "EPERM",
        "setuid": "EINVAL",  # root has no number in a user namespace
    }


@pytest.mark.parametrize("way", WAYS)
def test_smuggled_descriptors_change_nothing(way: str, tmp_path: Path, programs: dict[str, Path]) -> None:
    """A descriptor of the output gets out; whoever has it writes once the path is valid."""
    name = f"fruix-smuggle-{os.getpid()}"
    got: list[int] = []
    with connected_machine(way) as here, socket.socket(socket.AF_UNIX) as waiting:
        waiting.bind("\0" + name)
        waiting.listen()
        tool = here.store.add_path("smuggle", str(programs["smuggle"]))
        script = f"printf 'good\\n' > $out; {tool} connect {name} $out; {tool} listen /build/way-out $out"
        drv = here.derivation("smuggler", script, here.shell(tmp_path), sources=[tool], outputs=fixed(GOOD))
        accomplice = threading.Thread(target=_receive, args=(here.store.layout.builds, got))
        accomplice.start()
        (result,) = here.build(drv)
        accomplice.join()
        assert result.success, result.message
        assert lines(here) == ["EPERM" if way == networks.HOST else "ECONNREFUSED", "ok"]
        (descriptor,) = got
        registered = here.output(drv)
        os.pwrite(descriptor, b"evil\n", 0)
        assert os.pread(descriptor, 5, 0) == b"evil\n"
        assert registered.read_bytes() == GOOD
        assert registered.stat().st_ino != os.fstat(descriptor).st_ino
        os.close(descriptor)


def _receive(builds: str, got: list[int]) -> None:
    """As root from the host, through the build directory."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for name in os.listdir(builds):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as caller:
                caller.connect(f"{builds}/{name}/build/way-out")
                got.extend(socket.recv_fds(caller, 1, 1)[1])
                return
        time.sleep(0.01)


@pytest.mark.parametrize("way", WAYS)
def test_two_builds_can_not_meet(way: str, tmp_path: Path, programs: dict[str, Path]) -> None:
    """One listens on every address and an abstract name, the other one calls; they run at the same time."""
    with connected_machine(way) as here:
        shell = here.shell(tmp_path)
        doors, smuggle = (here.store.add_path(name, str(path)) for name, path in programs.items())
        listener = here.derivation(
            "listener",
            "printf 1 > $out; nc -l -p 7777 -e true & echo listening; sleep 1000",
            shell,
            outputs=fixed(b"1"),
        )
        words = " ".join(
            f"tcp-{n}={address},7777"
            for n, address in enumerate(("127.0.0.1", networks.ADDRESS, networks.GATEWAY, rig.HOST))
        )
        caller = here.derivation(
            "caller",
            f"cd /tmp; {doors} {words}; printf 2 > $out",
            shell,
            sources=[doors],
            outputs=fixed(b"2"),
        )
        del smuggle
        stop = threading.Event()
        first = threading.Thread(target=build_until, args=(here, listener, stop))
        first.start()
        until(lambda: "listening" in lines(here), "a builder that listens")
        (result,) = here.build(caller)
        stop.set()
        first.join()
        assert result.success, result.message
    answers = [line.split()[1] for line in lines(here) if line.startswith("tcp-")]
    if way in networks.OWN:
        assert "ok" not in answers, answers
    else:  # TCP of the host is shared: said so in docs/isolation.md
        assert "ok" in answers


@pytest.mark.parametrize("way", ["none", "host", "pasta"])
@pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])
def test_files_of_connected_builds(way: str, contract: str, tmp_path: Path) -> None:
    with connected_machine(way) as here:
        script = (
            "cd /etc; find . -type f | sort; echo --; cat resolv.conf; echo --; cat nsswitch.conf;"
            " cat hosts services > /tmp/x; printf x > $out"
        )
        drv = here.derivation("files", script, here.shell(tmp_path), outputs=fixed(b"x"))
        (result,) = here.build(drv, options=BuildOptions(contract))
        assert result.success, result.message
        seen = "\n".join(lines(here)).split("\n--\n")
    names = {name.removeprefix("./") for name in seen[0].splitlines()}
    generated = {"passwd", "group", "hosts"} | ({"nsswitch.conf"} if contract == "fruix" else set())
    if way == "none":
        assert names == generated
        return
    there = {
        name
        for name in ("resolv.conf", "hosts", "services", "nsswitch.conf")
        if os.path.exists(f"/etc/{name}")
    }
    certificates = (
        {"ssl/certs/ca-certificates.crt"} if os.path.exists("/etc/ssl/certs/ca-certificates.crt") else set()
    )
    assert names == generated | there | (certificates if contract != "guix" else set()) | (
        {"nsswitch.conf"} if contract == "nix" else set()
    )
    assert seen[1].strip() == (
        "nameserver 10.0.2.3" if way == "pasta" else Path("/etc/resolv.conf").read_text().strip()
    )
    if contract != "guix":
        assert "hosts: files dns" in seen[2]


def test_a_build_is_refused_where_there_is_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected_machine("auto") as here:
        monkeypatch.setattr(current(), "network_lacking", lambda way: f"no {way}", raising=False)
        drv = here.derivation("never", "echo > $out", here.shell(tmp_path), outputs=fixed(b"\n"))
        (result,) = here.build(drv)
        assert "no network for fixed-output builds: no pasta; no slirp4netns; no host" in result.message
        assert "passt" in result.hint
