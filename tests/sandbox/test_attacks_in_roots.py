"""Attacks of a builder in a root, and of a root: a tree that anybody's build may have made."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import pytest

from fruix.building.record.record_file import read_record
from fruix.model.buildresult import BuildStatus
from fruix.model.storepath import StorePath
from machine import Machine, process_of_the_host
from sandbox import doors
from sandbox.test_escapes import ENDINGS, EXPECTED
from small_root import in_root, small_root

here = doors.here
program = doors.program


def attempts(here: Machine, scratch: Path, program: Path, contract: str, *words: str) -> dict[str, str]:
    """What each door says, the builder being in a root."""
    added = here.store.add_path("doors", str(program))
    script = f"cd /tmp; {added} {' '.join(words)} | tee $out"
    drv = in_root(here, f"doors-{contract}", script, small_root(here, scratch), sources=[added])
    return doors.tried(here, drv, contract)


@pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])
def test_doors(here: Machine, tmp_path: Path, program: Path, contract: str) -> None:
    assert attempts(here, tmp_path, program, contract, *EXPECTED) == ENDINGS


def test_the_host_is_out_of_reach(either_back_end: str, here: Machine, tmp_path: Path, program: Path) -> None:
    with (
        process_of_the_host() as pid,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as named,
    ):
        name = f"fruix-test-{secrets.token_hex(8)}"
        named.bind("\0" + name)
        named.listen()
        found = attempts(
            here,
            tmp_path,
            program,
            "fruix",
            f"host-loopback={server.getsockname()[1]}",
            f"abstract={name}",
            f"kill={pid}",
            f"ptrace={pid}",
            "open=/etc/shadow",
            "open=/proc/1/root/../etc/shadow",
            "open=/usr/bin/gcc",
            "open=/root",
        )
    assert found["host-loopback"] == found["abstract"] == "ECONNREFUSED"
    assert found["kill"] == found["ptrace"] == ("EPERM" if either_back_end == "freebsd-jail" else "ESRCH")
    assert found["open"] == "ENOENT"


@pytest.mark.usefixtures("either_back_end")
def test_a_root_can_not_be_written(here: Machine, tmp_path: Path) -> None:
    """At none of its places, nor where it lies in the store."""
    root = small_root(here, tmp_path)
    script = f"""
    for at in /usr /usr/bin /bin /etc /etc/alternatives /var /var/lib {root} {root}/usr; do
        (: > $at/new) 2>/dev/null && exit 1
        (mv $at ${{at}}x) 2>/dev/null && exit 2
    done
    for file in /usr/bin/busybox /etc/greeting {root}/usr/bin/busybox {root}/etc/passwd; do
        (echo x >> $file) 2>/dev/null && exit 3
        (rm -f $file) 2>/dev/null && exit 4
        (ln $file /tmp/link) 2>/dev/null && exit 5
        (chmod 4755 $file) 2>/dev/null && exit 6
    done
    echo > $out
    """
    (result,) = here.build(in_root(here, "vandal", script, root))
    assert result.success, result.message
    assert Path(here.store.real(root), "etc/greeting").read_text() == "etc/greeting of the root\n"


def made(here: Machine, scratch: Path, script: str) -> StorePath:
    """A root that a builder made: busybox, and what `script` adds in it."""
    shell = here.shell(scratch)
    base = (
        f"set -e; mkdir -p $out/usr; cp -a {shell}/bin $out/usr/; ln -s usr/bin $out/bin; cd $out; {script}"
    )
    drv = here.derivation("made-root", base, shell)
    (result,) = here.build(drv)
    assert result.success, result.message
    return StorePath.parse(f"/frx/store/{here.output(drv).name}")


@pytest.mark.usefixtures("either_back_end")
def test_a_root_takes_nothing_of_the_sandbox_away(here: Machine, tmp_path: Path) -> None:
    """What is the sandbox's own stays so, whatever the tree has in that place."""
    script = """
    for name in dev proc tmp build frx; do ln -s /usr $name; done
    mkdir -p etc/passwd/x etc/hosts/x; ln -s /usr/bin etc/group
    ln -s ../../../../etc/shadow etc/nsswitch.conf
    """
    root = made(here, tmp_path, script)
    seen = """
    set -e; [ -c /dev/null ]; echo x > /tmp/x; [ ! -L /tmp ]; [ ! -L /dev ]; [ ! -L /build ]; [ ! -L /frx ]
    for name in passwd hosts group; do [ -f /etc/$name ] && [ ! -L /etc/$name ]; done
    [ -w $NIX_BUILD_TOP ]; cat /etc/nsswitch.conf > $out 2>&1 || echo none > $out
    """
    (result,) = here.build(drv := in_root(here, "kept", seen, root))
    assert result.success, result.message + here.log(drv)
    assert "root:" not in here.output(drv).read_text()


@pytest.mark.usefixtures("either_back_end")
def test_odd_names_in_a_root(here: Machine, tmp_path: Path) -> None:
    """They are shown as they are, and the record can be read."""
    script = r"""
    mkdir -p 'with space' 'comma,ro:colon=x' etc "$(printf 'new\nline')" "$(printf 'high\377')"
    for name in 'with space' 'a,rw' "$(printf 'new\nline')" "$(printf 'high\377')" '\134040'
    do echo > "etc/$name"; ln -s / "link-$name"; done
    """
    root = made(here, tmp_path, script)
    script = """
    odd='space|comma|,rw|line|high|040'
    for at in / /etc; do find $at -maxdepth 1 | grep -E $odd | sed 's,.*/,,'; done > $out
    touch '/etc/a,rw' || echo >> $out
    """
    (result,) = here.build(drv := in_root(here, "odd", script, root))
    assert result.success, result.message + here.log(drv)
    lines = here.output(drv).read_bytes().splitlines()
    for name in (
        b"with space",
        b"comma,ro:colon=x",
        b"line",
        b"high\xff",
        b"a,rw",
        b"\\134040",
        b"link-line"[5:],
    ):
        assert name in lines
    assert lines[-1] == b""  # nothing could be written
    assert read_record(here.store.layout.log_file(drv)) is not None


@pytest.mark.usefixtures("either_back_end")
def test_a_root_of_too_many_names(here: Machine, tmp_path: Path) -> None:
    root = made(here, tmp_path, "mkdir etc; cd etc; i=0; while [ $i -lt 5000 ]; do : > $i; i=$((i+1)); done")
    (result,) = here.build(in_root(here, "many", "echo > $out", root))
    assert result.status == BuildStatus.INPUT_REJECTED
    assert f"the root '{root}' has 50" in result.message
    assert "more than 4096" in result.message
