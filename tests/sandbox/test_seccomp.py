"""The filter as a program.

An interpreter of the tests' own runs it for every ABI, also those that this machine doesn't have.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.errors import IsolationUnavailableError
from fruix.sandbox.linux import libc, seccomp, socketcall
from fruix.sandbox.linux.seccomp import build_filter
from fruix.sandbox.linux.seccomp_rules import FAMILIES, RULES, judge
from fruix.sandbox.linux.system_calls import NUMBERS

INCLUDES = (f"/usr/include/{platform.machine()}-linux-gnu", "/usr/include")
HEADERS = {"x86_64": "asm/unistd_64.h", "i386": "asm/unistd_32.h", "aarch64": "asm-generic/unistd.h"}

ALLOW, KILL, EPERM, ENOSYS, ENOTSUP = 0x7FFF0000, 0x80000000, 0x50001, 0x50000 + 38, 0x50000 + 95
ASK = 0x7FC00000
ENOTTY, NO_PROTOCOL, NO_FAMILY = 0x50000 + 25, 0x50000 + 93, 0x50000 + 97
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
CREATE = 0x41


def run(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """The verdict of a BPF program (only the opcodes that filters use)."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, arch, 0, *(value & (2**64 - 1) for value in padded))
    position = accumulator = 0
    for _ in range(10_000):
        code, true, false, value = struct.unpack_from("<HBBI", program, position * 8)
        position += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, value)[0]
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return int(value)
        elif code == 0x05:
            position += value
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
                0x25: accumulator > value,
            }
            position += true if holds[code] else false
    raise AssertionError("the program does not end")


CASES = [
    ("x86_64", X86_64, 0, (), ALLOW),  # read
    ("x86_64", X86_64, 90, (0, 0o4755), EPERM),  # chmod
    ("x86_64", X86_64, 90, (0, 0o755), ALLOW),
    ("x86_64", X86_64, 91, (3, 0o2755), EPERM),  # fchmod
    ("x86_64", X86_64, 268, (-100, 0, 0o4755), EPERM),  # fchmodat
    ("x86_64", X86_64, 452, (-100, 0, 0o4755), EPERM),  # fchmodat2
    ("x86_64", X86_64, 2, (0, CREATE, 0o4755), EPERM),  # open
    ("x86_64", X86_64, 2, (0, 0, 0o7777), ALLOW),
    ("x86_64", X86_64, 257, (-100, 0, CREATE, 0o4755), EPERM),  # openat
    ("x86_64", X86_64, 257, (-100, 0, CREATE, 0o755), ALLOW),
    ("x86_64", X86_64, 257, (-100, 0, 0x410001, 0o4755), EPERM),  # O_TMPFILE
    ("x86_64", X86_64, 437, (), ENOSYS),  # openat2
    ("x86_64", X86_64, 425, (), ENOSYS),  # io_uring_setup
    ("x86_64", X86_64, 188, (), ENOTSUP),  # setxattr
    ("x86_64", X86_64, 463, (), ENOTSUP),  # setxattrat
    ("x86_64", X86_64, 250, (), ENOSYS),  # keyctl
    ("x86_64", X86_64, 272, (0x10000000,), EPERM),  # unshare, user namespace
    ("x86_64", X86_64, 272, (0x400,), ALLOW),
    ("x86_64", X86_64, 56, (0x10000000 | 17,), EPERM),  # clone
    ("x86_64", X86_64, 56, (17,), ALLOW),
    ("x86_64", X86_64, 435, (), ENOSYS),  # clone3
    ("x86_64", X86_64, 470, (), ENOSYS),
    ("x86_64", X86_64, 0x40000000 + 39, (), KILL),  # x32
    ("x86_64", I386, 15, (0, 0o4755), EPERM),  # int 0x80 chmod
    ("x86_64", I386, 3, (), ALLOW),
    ("x86_64", I386, 288, (), ENOSYS),
    ("x86_64", X86_64, 41, (1, 1, 0), ALLOW),  # socket
    ("x86_64", X86_64, 41, (2, 1, 6), ALLOW),
    ("x86_64", X86_64, 41, (2, 1, 132), NO_PROTOCOL),  # SCTP
    ("x86_64", X86_64, 41, (10, 2, 0), ALLOW),
    ("x86_64", X86_64, 41, (10, 1, 256), NO_PROTOCOL),  # SMC
    ("x86_64", X86_64, 41, (16, 3, 0), ALLOW),  # netlink: routes
    ("x86_64", X86_64, 41, (16, 3, 9), NO_PROTOCOL),  # audit
    ("x86_64", X86_64, 41, (40, 1, 0), NO_FAMILY),  # vsock
    ("x86_64", X86_64, 41, (2**32 + 40, 1, 0), NO_FAMILY),  # the kernel looks at an int
    ("x86_64", X86_64, 53, (40, 1, 0), NO_FAMILY),  # socketpair
    ("x86_64", X86_64, 16, (0, 0x5401), ALLOW),  # ioctl TCGETS
    ("x86_64", X86_64, 16, (0, 0x5412), EPERM),  # TIOCSTI
    ("x86_64", X86_64, 16, (0, 2**32 + 0x5412), EPERM),
    ("x86_64", X86_64, 16, (0, 0x40086602), ENOTSUP),  # FS_IOC_SETFLAGS
    ("x86_64", X86_64, 16, (0, 0x80086601), ALLOW),  # FS_IOC_GETFLAGS
    ("x86_64", X86_64, 16, (0, 0x5000940E), ENOTTY),  # BTRFS_IOC_SUBVOL_CREATE
    ("x86_64", X86_64, 16, (0, 0x40049409), ALLOW),  # FICLONE
    ("x86_64", X86_64, 272, (0x80,), EPERM),  # unshare, time namespace
    ("x86_64", X86_64, 56, (0x40000000 | 17,), EPERM),  # clone, network namespace
    ("x86_64", X86_64, 56, (0x80 | 17,), ALLOW),  # part of the signal there
    ("x86_64", X86_64, 101, (0,), ALLOW),  # ptrace
    ("x86_64", I386, 102, (1,), ENOSYS),  # socketcall: socket
    ("x86_64", I386, 102, (8,), ENOSYS),  # socketpair
    ("x86_64", I386, 102, (3,), ALLOW),  # connect
    ("x86_64", I386, 359, (40, 1, 0), NO_FAMILY),  # socket
    ("x86_64", I386, 359, (1, 1, 0), ALLOW),
    ("x86_64", I386, 54, (0, 0x40046602), ENOTSUP),  # FS_IOC32_SETFLAGS
    ("aarch64", AARCH64, 198, (40, 1, 0), NO_FAMILY),
    ("aarch64", AARCH64, 198, (1, 1, 0), ALLOW),
    ("aarch64", ARM, 281, (40, 1, 0), NO_FAMILY),
    ("x86_64", AARCH64, 0, (), KILL),
    ("aarch64", AARCH64, 63, (), ALLOW),  # read
    ("aarch64", AARCH64, 52, (3, 0o4755), EPERM),  # fchmod
    ("aarch64", AARCH64, 53, (-100, 0, 0o4755), EPERM),  # fchmodat
    ("aarch64", AARCH64, 56, (-100, 0, CREATE, 0o4755), EPERM),  # openat
    ("aarch64", AARCH64, 5, (), ENOTSUP),  # setxattr
    ("aarch64", AARCH64, 219, (), ENOSYS),  # keyctl
    ("aarch64", AARCH64, 97, (0x10000000,), EPERM),  # unshare
    ("aarch64", AARCH64, 500, (), ENOSYS),
    ("aarch64", ARM, 15, (0, 0o4755), EPERM),  # chmod
    ("aarch64", ARM, 311, (), ENOSYS),  # keyctl
    ("aarch64", X86_64, 0, (), KILL),
]


@pytest.mark.parametrize(("machine", "arch", "number", "arguments", "verdict"), CASES)
def test_verdicts(machine: str, arch: int, number: int, arguments: tuple[int, ...], verdict: int) -> None:
    assert run(build_filter(machine), arch, number, *arguments) == verdict


def test_socketcall_is_asked_about_where_somebody_answers() -> None:
    program = build_filter("x86_64", asks=True)
    assert [run(program, I386, 102, call) for call in (1, 8, 3)] == [ASK, ASK, ALLOW]
    assert run(program, X86_64, 41, 40, 1, 0) == NO_FAMILY


@given(
    family=st.integers(0, 50) | st.integers(0, 2**32 - 1),
    protocol=st.sampled_from([0, 1, 6, 15, 17, 58, 132, 255, 262]) | st.integers(0, 2**32 - 1),
)
def test_the_answerer_judges_as_the_program_does(family: int, protocol: int) -> None:
    arguments = (family, 1, protocol)
    assert judge(FAMILIES, arguments) == run(build_filter("x86_64"), X86_64, 41, *arguments)


def test_an_outer_filter_that_asks_leaves_the_plain_one() -> None:
    """As in a container whose own filter asks: the kernel lets but one do that."""
    ends = socketcall.Ends.make()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(ends.hears)
            libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
            seccomp.load_asking(build_filter(asks=True))
            socketcall.load_filter(ends.says)
            libc.prctl(libc.PR_SET_DUMPABLE, 1)
            code = 0 if refuses_keys() else 2
        finally:
            os._exit(code)
    os.close(ends.says)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert os.read(ends.hears, 1) == b""
    os.close(ends.hears)


def refuses_keys() -> bool:
    try:
        libc.syscall({"x86_64": 250, "aarch64": 219}[platform.machine()], 0, -4, 1)
    except OSError as error:
        return error.errno == errno.ENOSYS
    return False


def test_it_is_small_enough_and_ends_for_every_number() -> None:
    for machine, arch in (("x86_64", X86_64), ("x86_64", I386), ("aarch64", AARCH64), ("aarch64", ARM)):
        program = build_filter(machine)
        assert len(program) // 8 <= 4096
        for number in range(600):
            # A socket of family 0, which doesn't exist.
            assert run(program, arch, number) in {ALLOW, EPERM, ENOSYS, ENOTSUP, NO_FAMILY}


def headers() -> dict[str, dict[str, int]]:
    """ABI → name → number, of those whose headers are installed here."""
    found = {}
    for abi, name in HEADERS.items():
        path = next((path for place in INCLUDES if (path := Path(place, name)).is_file()), None)
        if path is not None:
            lines = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", path.read_text(), re.MULTILINE)
            found[abi] = {call: int(number) for call, number in lines}
    return found


def test_numbers_are_those_of_the_kernels_headers() -> None:
    """What an older header doesn't know yet is not compared."""
    checked = 0
    for abi, known in headers().items():
        for call, numbers in NUMBERS.items():
            if call in known:
                assert numbers.get(abi) == known[call], f"{call} on {abi}"
                checked += 1
    assert checked > 50  # a compiler is needed by other tests too, and it comes with headers


def test_every_number_of_the_table_has_a_rule() -> None:
    ruled = {name for rule in RULES for name in rule.calls.split()}
    assert ruled == set(NUMBERS)


def test_other_machines_are_refused_by_name() -> None:
    with pytest.raises(IsolationUnavailableError, match="riscv64"):
        build_filter("riscv64")
