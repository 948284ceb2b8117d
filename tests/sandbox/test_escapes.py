"""A builder tries every door; each must be shut as it should be, by the errno that says why."""

from __future__ import annotations

import os
import platform
import secrets
import socket
from pathlib import Path

import pytest

from fruix.sandbox.linux import libc
from machine import Machine, builders, process_of_the_host
from sandbox import doors

here = doors.here
program = doors.program

EVERYWHERE = {
    # No set-id bits, by any call
    "chmod": "EPERM",
    "fchmod": "EPERM",
    "fchmodat2": "EPERM",
    "open-create": "EPERM",
    "tmpfile": "EPERM",
    "mknod": "EPERM",
    "openat2": "ENOSYS",
    "io_uring": "ENOSYS",
    # but what every program does goes
    "chmod-plain": "ok",
    "open-garbage-mode": "ok",
    # No attributes, keys, new or dangerous calls
    "setxattr": "EOPNOTSUPP",
    "keyctl": "ENOSYS",
    "add_key": "ENOSYS",
    "bpf": "ENOSYS",
    "clone3": "ENOSYS",
    "new-call": "ENOSYS",
    "userns": "EPERM",
    # No root's power
    "device": "EPERM",
    "mount": "EPERM",
    "umount": "EPERM",
    "chroot": "EPERM",
    "sethostname": "EPERM",
    "setuid": "EPERM",
    "raw-socket": "EPERM",
    "netns": "EPERM",
    "setns": "EPERM",
    "call-mount_setattr=442": "EPERM",
    "call-open_tree=428": "EPERM",
    "call-fsopen=430": "EPERM",
    # Nothing of the whole machine
    "syslog": "EPERM",
    "fanotify": "EPERM",
    "by-handle": "EPERM",
    "quotactl": "EPERM",
    "call-memfd_secret=447": "ENOSYS",
    "call-lsm_set_self_attr=460": "ENOSYS",
    # Sockets of four families, each with the protocols that it takes
    "socket-unix=1,1,0": "ok",
    "pair-unix=1,5,0": "ok",
    "socket-inet=2,1,6": "ok",
    "socket-inet6=10,2,17": "ok",
    "socket-route=16,3,0": "ok",
    "socket-events=16,3,15": "EPROTONOSUPPORT",
    "socket-audit=16,3,9": "EPROTONOSUPPORT",
    "socket-sctp=2,5,132": "EPROTONOSUPPORT",
    "socket-mptcp=2,1,262": "EPROTONOSUPPORT",
    "socket-alg=38,5,0": "EAFNOSUPPORT",
    "socket-vsock=40,1,0": "EAFNOSUPPORT",
    "socket-packet=17,3,0": "EAFNOSUPPORT",
    "socket-bluetooth=31,3,1": "EAFNOSUPPORT",
    "pair-vsock=40,1,0": "EAFNOSUPPORT",
    "pair-tipc=30,1,0": "EAFNOSUPPORT",
    # No network, no terminal
    "network": "ENETUNREACH",
    "terminal": "EPERM",
    "ioctl-line-discipline=5423": "EPERM",
    # Nothing on a file that an archive can't hold
    "ioctl-flags=40086602": "EOPNOTSUPP",
    "ioctl-xattr=401c5820": "EOPNOTSUPP",
    "ioctl-verity=40806685": "EOPNOTSUPP",
    "ioctl-subvolume=5000940e": "ENOTTY",
    "call-file_setattr=469": "EOPNOTSUPP",
    # What debuggers and old programs need
    "trace-child": "ok",
    "personality": "ok",
}
X86 = {
    "chmod-old": "EPERM",
    "creat": "EPERM",
    "mknod-old": "EPERM",
    "int80-chmod": "EPERM",
    "x32": "signal 31",
    # A filter can't see which family socketcall is asked for.
    "int80-socket-vsock=40": "ENOSYS",
    "int80-socket-unix=1": "ENOSYS",
    "int80-pair-unix=1": "ENOSYS",
    "int80-bind": "EBADF",
    "modify-ldt": "ENOSYS",
}
EXPECTED = {**EVERYWHERE, **(X86 if platform.machine() == "x86_64" else {})}
ENDINGS = {
    **{words.partition("=")[0]: ending for words, ending in EXPECTED.items()},
    "setuid": "EINVAL",  # with a user namespace root has no number inside
}


def attempts(here: Machine, scratch: Path, program: Path, contract: str, *words: str) -> dict[str, str]:
    shell = here.shell(scratch)
    added = here.store.add_path("doors", str(program))
    script = f"cd /tmp; {added} {' '.join(words)} | tee $out"
    return doors.tried(here, here.derivation(f"doors-{contract}", script, shell, sources=[added]), contract)


@pytest.mark.parametrize("contract", ["fruix", "nix", "guix"])
def test_doors(here: Machine, tmp_path: Path, program: Path, contract: str) -> None:
    assert attempts(here, tmp_path, program, contract, *EXPECTED) == ENDINGS


def test_the_host_is_out_of_reach(either_back_end: str, here: Machine, tmp_path: Path, program: Path) -> None:
    with (
        process_of_the_host() as pid,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as named,
    ):
        port = server.getsockname()[1]
        name = f"fruix-test-{secrets.token_hex(8)}"
        named.bind("\0" + name)
        named.listen()
        shell = here.shell(tmp_path)
        found = attempts(
            here,
            tmp_path,
            program,
            "fruix",
            f"host-loopback={port}",
            f"abstract={name}",
            f"kill={pid}",
            f"ptrace={pid}",
            f"open-write={shell}/bin/busybox",
            f"link={shell}/bin/busybox",
            "open=/etc/shadow",
            "open=/proc/1/root/../etc/shadow",
            "open=/sys/kernel",
        )
    assert found["host-loopback"] == "ECONNREFUSED"
    assert found["abstract"] == "ECONNREFUSED"
    # The double can't hide processes from each other, only keep them apart.
    assert found["kill"] == found["ptrace"] == ("EPERM" if either_back_end == "freebsd-jail" else "ESRCH")
    assert found["open-write"] in {"EROFS", "EACCES"}
    assert found["link"] == "EXDEV"
    assert found["open"] == "ENOENT"


@pytest.mark.usefixtures("either_back_end")
def test_an_undeclared_path_is_not_there(here: Machine, tmp_path: Path) -> None:
    shell = here.shell(tmp_path)
    secret = here.store.add_text("secret", b"x")
    drv = here.derivation("peek", f"if [ -e {secret} ]; then exit 1; fi; ls $NIX_STORE > $out", shell)
    (result,) = here.build(drv)
    assert result.success, result.message
    assert "secret" not in here.output(drv).read_text()


@pytest.mark.usefixtures("either_back_end")
def test_inputs_can_not_be_written(here: Machine, tmp_path: Path) -> None:
    shell = here.shell(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    (data / "f").write_text("as it was")
    source = here.store.add_path("data", str(data))
    script = f"""
    (echo x > {source}/f) 2>/dev/null && exit 1
    (rm -rf {source}) 2>/dev/null && exit 2
    (mv {source} {source}x) 2>/dev/null && exit 3
    echo > $out
    """
    (result,) = here.build(here.derivation("vandal", script, shell, sources=[source]))
    assert result.success, result.message
    assert Path(here.store.real(source), "f").read_text() == "as it was"


def test_a_mount_below_an_input_is_as_closed_as_the_input(here: Machine, tmp_path: Path) -> None:
    """A read-only remount does not reach what is mounted further down.

    Nor may it keep devices and set-id bits.
    """
    shell = here.shell(tmp_path)
    (tmp_path / "data/sub").mkdir(parents=True)
    source = here.store.add_path("data", str(tmp_path / "data"))
    below = os.fsencode(f"{here.store.real(source)}/sub")
    libc.mount(b"tmpfs", below, b"tmpfs", 0, b"mode=1777")
    try:
        script = f"(echo x > {source}/sub/f) 2>/dev/null && exit 1; grep {source}/sub /proc/mounts | tee $out"
        drv = here.derivation("below", script, shell, sources=[source])
        (result,) = here.build(drv)
        assert result.success, result.message
        flags = here.output(drv).read_text().split()[3].split(",")
        assert {"ro", "nosuid", "nodev"} <= set(flags)
        assert os.listdir(below) == []
    finally:
        libc.umount(below, libc.MNT_DETACH)


@pytest.mark.parametrize("name", ["/proc/self/exe", "/proc/1/exe"])
def test_nobody_rewrites_the_program_that_runs(
    here: Machine, tmp_path: Path, program: Path, name: str
) -> None:
    found = attempts(here, tmp_path, program, "fruix", f"open-write={name}")
    assert found["open-write"] in {"EROFS", "EACCES", "ETXTBSY"}


def test_descriptors(here: Machine, tmp_path: Path) -> None:
    kept = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(kept, True)
    try:
        shell = here.shell(tmp_path)
        drv = here.derivation(
            "fds", "for i in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$i; done; echo > $out; true", shell
        )
        (result,) = here.build(drv)
        assert result.success, result.message
    finally:
        os.close(kept)

    shown = here.log(drv).splitlines()
    assert shown[0] == "/dev/null"
    assert [line.partition(":")[0] for line in shown[1:]] == ["pipe", "pipe"]


@pytest.mark.usefixtures("either_back_end")
def test_a_fork_bomb_ends(here: Machine, tmp_path: Path) -> None:
    from fruix.model.build_options import BuildOptions as Options

    shell = here.shell(tmp_path)
    script = (
        "i=0; while [ $i -lt 200 ]; do (setsid sleep 1000 &) ; i=$((i+1)); done; echo started; sleep 1000"
    )
    (result,) = here.build(here.derivation("bomb", script, shell), options=Options("fruix", timeout=1))
    assert not result.success
    assert builders() == []
