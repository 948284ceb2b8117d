"""The system call filter: which calls a builder may not make, as a table, and the BPF program made of it.

Rules it keeps: outputs get no set-id bits and no extended attributes; kernel objects that are shared between users (keyrings) and doors
that hide calls from a filter (io_uring, openat2) are closed; a call that is newer than this table doesn't exist. They hold for every ABI
of the machine: a 64-bit program can make 32-bit calls, and those have other numbers. x32 calls and unknown ABIs kill.

Per ABI the program is a binary search over the call's number, since every call of every build passes through it (about seven
instructions; the kernel answers the calls that are always allowed from a bitmap). The opcodes and structures are those of
linux/filter.h and linux/seccomp.h; the numbers are in each architecture's unistd.h.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fruix.errors import IsolationUnavailableError
from fruix.sandbox.linux import libc

HIGHEST_AUDITED = 469  # file_setattr, Linux 6.17; look at each newer call before raising this

ALLOW, KILL = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000
EPERM, ENOSYS, ENOTSUP = _ERRNO | 1, _ERRNO | 38, _ERRNO | 95

# What is tested in an argument.
SET_ID = 0o6000
CREATES = 0x40 | 0x400000  # O_CREAT, O_TMPFILE's own bit: without them `mode` is garbage
NEW_USER = libc.CLONE_NEWUSER

Condition = tuple[tuple[int, int], ...]  # (argument, bits): all hold; one holds if any of its bits is set


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a call: `action` if all conditions hold, else it is allowed."""

    action: int
    when: Condition = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A row: numbers per ABI (none: the call doesn't exist there), and the answer."""

    name: str
    numbers: Mapping[str, tuple[int, ...]]
    verdict: Verdict
    unless_nested: bool = False  # left out where a builder may make namespaces of its own


@dataclass(frozen=True, slots=True)
class Abi:
    """A calling convention as the kernel names it, and number ranges outside the common table."""

    audit: int
    ranges: tuple[tuple[int, int, int], ...] = ()  # first, last, action


ABIS: Mapping[str, Abi] = {
    # x32 has a bit of its own, and each of its calls would slip past the rules. -1 is no call (a tracer's way to cancel).
    "x86_64": Abi(0xC000003E, ((0x40000000, 0xFFFFFFFE, KILL),)),
    "i386": Abi(0x40000003),
    "aarch64": Abi(0xC00000B7),
    "arm": Abi(0x40000028, ((0xF0001, 0xF0006, ALLOW),)),  # private calls: cacheflush, set_tls…
}
MACHINES: Mapping[str, tuple[str, ...]] = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64", "arm")}


def _on(
    x86_64: Sequence[int], i386: Sequence[int], aarch64: Sequence[int], arm: Sequence[int]
) -> Mapping[str, tuple[int, ...]]:
    return dict(zip(ABIS, map(tuple, (x86_64, i386, aarch64, arm)), strict=True))


def _everywhere(*numbers: int) -> Mapping[str, tuple[int, ...]]:
    return dict.fromkeys(ABIS, numbers)


def _span(first: int, last: int, *more: int) -> tuple[int, ...]:
    return (*range(first, last + 1), *more)


def _set_id(mode: int) -> Verdict:
    return Verdict(EPERM, ((mode, SET_ID),))


def _creates_set_id(flags: int, mode: int) -> Verdict:
    return Verdict(EPERM, ((flags, CREATES), (mode, SET_ID)))


_NO_XATTR, _ABSENT, _NO_USERNS = Verdict(ENOTSUP), Verdict(ENOSYS), Verdict(EPERM, ((0, NEW_USER),))

TABLE: tuple[Rule, ...] = (
    # name, numbers on x86_64, i386, aarch64, arm; verdict
    Rule("chmod fchmod", _on([90, 91], [15, 94], [52], [15, 94]), _set_id(1)),
    Rule("fchmodat fchmodat2", _on([268, 452], [306, 452], [53, 452], [333, 452]), _set_id(2)),
    Rule("open", _on([2], [5], [], [5]), _creates_set_id(1, 2)),
    Rule("openat", _on([257], [295], [56], [322]), _creates_set_id(2, 3)),
    Rule("creat", _on([85], [8], [], [8]), _set_id(1)),
    Rule("mknod", _on([133], [14], [], [14]), _set_id(1)),
    Rule("mknodat", _on([259], [297], [33], [324]), _set_id(2)),
    Rule("openat2", _everywhere(437), _ABSENT),  # its mode is behind a pointer
    Rule("io_uring_setup io_uring_enter io_uring_register", _everywhere(425, 426, 427), _ABSENT),
    Rule(
        "setxattr lsetxattr fsetxattr setxattrat",
        _on(_span(188, 190, 463), _span(226, 228, 463), _span(5, 7, 463), _span(226, 228, 463)),
        _NO_XATTR,
    ),
    # Reading too, or tools record what only this host's file systems have (security labels).
    Rule(
        "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr getxattrat listxattrat",
        _on(
            _span(191, 196, 464, 465),
            _span(229, 234, 464, 465),
            _span(8, 13, 464, 465),
            _span(229, 234, 464, 465),
        ),
        _NO_XATTR,
    ),
    Rule(
        "add_key request_key keyctl",
        _on(_span(248, 250), _span(286, 288), _span(217, 219), _span(309, 311)),
        _ABSENT,
    ),
    Rule(
        "bpf userfaultfd perf_event_open",
        _on([321, 323, 298], [357, 374, 336], [280, 282, 241], [386, 388, 364]),
        _ABSENT,
    ),
    Rule("unshare clone", _on([272, 56], [310, 120], [97, 220], [337, 120]), _NO_USERNS, unless_nested=True),
    # Its flags are behind a pointer; the C library falls back to clone.
    Rule("clone3", _everywhere(435), _ABSENT, unless_nested=True),
)

# The assembler: a program is a list of operations and labels (texts); jumps go forward to labels.

LOAD, GOTO, RETURN = 0x20, 0x05, 0x06
IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT = 0x15, 0x35, 0x45
_CONDITIONAL = (IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT)
_FAR = 255  # conditional jumps have one byte
_MOST = 4096  # instructions
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = (
    0,
    4,
    16,
)  # struct seccomp_data; the low words, both machines are little-endian


@dataclass(frozen=True, slots=True)
class Op:
    """An instruction: `yes` and `no` are labels, empty for the next one; GOTO goes to `yes`."""

    code: int
    k: int = 0
    yes: str = ""
    no: str = ""


def assemble(items: Sequence[Op | str]) -> bytes:
    """The bytes of a program: an array of `struct sock_filter`.

    A conditional jump that is too far goes through an unconditional one right behind it.

    Raises:
        ValueError: an unknown, repeated or backward label, or too many instructions.
    """
    far: set[tuple[int, str]] = set()  # (item, "yes" or "no")
    while True:
        starts = _starts(items, far)
        labels = {item: starts[at] for at, item in enumerate(items) if isinstance(item, str)}
        if len(labels) != sum(isinstance(item, str) for item in items):
            raise ValueError("a label is repeated")
        more = {
            (at, side)
            for at, item in enumerate(items)
            if isinstance(item, Op) and item.code in _CONDITIONAL
            for side in ("yes", "no")
            # Distances are measured from the jump itself; what is between can only grow by two in this jump's own tail.
            if (label := getattr(item, side)) and _distance(labels, label, starts[at]) > _FAR
        }
        if more <= far:
            break
        far |= more
    if starts[-1] > _MOST:
        raise ValueError(f"{starts[-1]} instructions, more than {_MOST}")
    return b"".join(
        _encode(item, starts[at], labels, [side for side in ("yes", "no") if (at, side) in far])
        for at, item in enumerate(items)
        if isinstance(item, Op)
    )


def _starts(items: Sequence[Op | str], far: set[tuple[int, str]]) -> list[int]:
    """The address of each item, and the length of the whole."""
    sizes = (
        0 if isinstance(item, str) else 1 + ((at, "yes") in far) + ((at, "no") in far)
        for at, item in enumerate(items)
    )
    return list(itertools.accumulate(sizes, initial=0))


def _distance(labels: Mapping[str, int], label: str, start: int) -> int:
    if label not in labels:
        raise ValueError(f"unknown label {label}")
    distance = labels[label] - start - 1
    if distance < 0:
        raise ValueError(f"label {label} lies behind its jump")
    return distance


def _encode(op: Op, start: int, labels: Mapping[str, int], far: Sequence[str]) -> bytes:
    """One operation and the far jumps behind it."""

    def offset(side: str) -> int:
        label: str = getattr(op, side)
        if side in far:
            return far.index(side)
        return _distance(labels, label, start) if label else len(far)

    if op.code == GOTO:
        return struct.pack("=HBBI", op.code, 0, 0, _distance(labels, op.yes, start))
    if op.code not in _CONDITIONAL:
        return struct.pack("=HBBI", op.code, 0, 0, op.k)
    tail = [
        struct.pack("=HBBI", GOTO, 0, 0, _distance(labels, getattr(op, side), start + 1 + index))
        for index, side in enumerate(far)
    ]
    return b"".join([struct.pack("=HBBI", op.code, offset("yes"), offset("no"), op.k), *tail])


# From the table to a program.


def spans(abi: str, rules: Sequence[Rule]) -> list[tuple[int, Verdict]]:
    """Every call number's answer, as (first number, verdict) up to the next one's first.

    Raises:
        ValueError: two rules for one number.
    """
    answers: dict[int, Verdict] = {}
    for rule in rules:
        for number in rule.numbers[abi]:
            if answers.setdefault(number, rule.verdict) is not rule.verdict:
                raise ValueError(f"two rules for call {number} of {abi}")
    ranges = ((0, HIGHEST_AUDITED, ALLOW), *ABIS[abi].ranges)
    edges = {0, *(edge for first, last, _ in ranges for edge in (first, last + 1))}
    edges |= {edge for number in answers for edge in (number, number + 1)}
    found: list[tuple[int, Verdict]] = []
    for edge in sorted(edges):
        beyond = next((Verdict(action) for first, last, action in ranges if first <= edge <= last), _ABSENT)
        verdict = answers.get(edge, beyond)
        if not found or found[-1][1] != verdict:
            found.append((edge, verdict))
    return found


def _block(abi: str, rules: Sequence[Rule]) -> list[Op | str]:
    """The part of one ABI: search by number, then tests of arguments, then answers."""
    table = spans(abi, rules)
    verdicts = list(dict.fromkeys(verdict for _, verdict in table))
    items: list[Op | str] = [abi, Op(LOAD, _NUMBER_AT), *_search(abi, table)]
    for verdict in verdicts:
        if verdict.when:
            items.append(_label(abi, verdict))
            for argument, bits in verdict.when:
                items += [
                    Op(LOAD, _ARGUMENTS_AT + 8 * argument),
                    Op(IF_ANY_BIT, bits, no=_label(abi, Verdict(ALLOW))),
                ]
            items.append(Op(GOTO, yes=_label(abi, Verdict(verdict.action))))
    for action in dict.fromkeys((ALLOW, *(verdict.action for verdict in verdicts))):
        items += [_label(abi, Verdict(action)), Op(RETURN, action)]
    return items


def _search(abi: str, table: Sequence[tuple[int, Verdict]]) -> list[Op | str]:
    """A binary search for the number in the accumulator; ends at a verdict's label."""
    if len(table) == 1:
        return [Op(GOTO, yes=_label(abi, table[0][1]))]
    middle = len(table) // 2
    halves = (table[:middle], table[middle:])
    no, yes = (
        _label(abi, half[0][1]) if len(half) == 1 else f"{abi} {half[0][0]}+{len(half)}" for half in halves
    )
    items: list[Op | str] = [Op(IF_AT_LEAST, table[middle][0], yes=yes, no=no)]
    for label, half in zip((no, yes), halves, strict=True):
        if len(half) > 1:
            items += [label, *_search(abi, half)]
    return items


def _label(abi: str, verdict: Verdict) -> str:
    return f"{abi} {verdict}"


def build_filter(machine: str = "", *, nested_namespaces: bool = False) -> bytes:
    """The program for a machine (this one if empty), made once.

    Args:
        machine: as `uname -m` says.
        nested_namespaces: the builder may make user namespaces.

    Raises:
        IsolationUnavailableError: there is no table for this machine.
    """
    return _build(machine or platform.machine(), nested_namespaces)


@functools.cache
def _build(machine: str, nested_namespaces: bool) -> bytes:
    if machine not in MACHINES:
        raise IsolationUnavailableError(
            f"no system call filter for machine '{machine}'",
            hint=f"there are tables for {' and '.join(MACHINES)}; numbers for others belong in sandbox/linux/seccomp.py",
        )
    rules = [rule for rule in TABLE if not (nested_namespaces and rule.unless_nested)]
    abis = MACHINES[machine]
    choice = [Op(IF_EQUAL, ABIS[abi].audit, yes=abi) for abi in abis]
    blocks = itertools.chain.from_iterable(_block(abi, rules) for abi in abis)
    return assemble([Op(LOAD, _ARCH_AT), *choice, Op(RETURN, KILL), *blocks])


_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _PR_SET_SECCOMP, _MODE_FILTER = 1, 22, 2
_ENOSYS = 38


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def load(program: bytes) -> None:
    """Put this thread and its future children under the filter, for good. Needs no_new_privs.

    Raises:
        OSError: the kernel refuses.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(bytes(_Program(len(program) // 8, ctypes.addressof(code))))
    try:
        number = _SECCOMP.get(platform.machine(), -1)
        libc.syscall(number, _SET_MODE_FILTER, 0, header)
    except OSError as error:
        if error.errno != _ENOSYS:
            raise
        libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))
