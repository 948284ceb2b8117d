"""The system call filter: which calls a builder may not make, as a table, and the program made of it.

What is in no rule is allowed, up to the newest call that was looked at (`HIGHEST_AUDITED`); later
calls don't exist for a builder. A call has a rule if it does one of these:

* it puts into outputs what an archive can't hold: set-id bits, extended attributes, inode flags, subvolumes;
* it hides calls or arguments from a filter (io_uring, openat2, clone3, socketcall);
* it reaches what no namespace separates (keyrings, the kernel's log, quotas, performance counters,
  sockets of families that have no network namespace, keystrokes of a terminal);
* it takes root's power, which a builder has not: the answer is then the kernel's own, and stays so
  should the builder get that power;
* it is obsolete and only ever a way to attack the kernel.

The rules hold for every ABI of the machine: a 64-bit program can make 32-bit calls, and those have
other numbers. x32 calls and unknown ABIs kill. Arguments are compared by their low 32 bits, which
is all that the kernel looks at in those that are tested.

Per ABI the program is a binary search over the call's number, since every call of every build
passes through it (about seven instructions; the kernel answers the calls that are always allowed
from a bitmap). The structures are those of linux/seccomp.h.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Sequence

from fruix.errors import IsolationUnavailableError
from fruix.sandbox.linux import libc
from fruix.sandbox.linux.bpf import AND, GOTO, IF_ANY_BIT, IF_AT_LEAST, IF_EQUAL, LOAD, RETURN, Op, assemble
from fruix.sandbox.linux.seccomp_rules import (
    ABSENT,
    ALLOW,
    ASKED_SOCKETCALL,
    KILL,
    MACHINES,
    RULES,
    SOCKETCALL,
    Case,
    Rule,
    Test,
    Verdict,
)
from fruix.sandbox.linux.seccomp_rules import CONVENTIONS as ABIS
from fruix.sandbox.linux.system_calls import HIGHEST_AUDITED, NUMBERS

# struct seccomp_data; of arguments the low words: all machines here are little-endian.
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOWED = Verdict()


def spans(abi: str, rules: Sequence[Rule]) -> list[tuple[int, Verdict]]:
    """Every call number's answer, as (first number, verdict) up to the next one's first.

    Raises:
        ValueError: two rules for one number.
    """
    answers: dict[int, Verdict] = {}
    for rule in rules:
        for name in rule.calls.split():
            number = NUMBERS[name].get(abi)
            if number is not None and answers.setdefault(number, rule.verdict) is not rule.verdict:
                raise ValueError(f"two rules for call {number} of {abi}")
    ranges = ((0, HIGHEST_AUDITED, ALLOW), *ABIS[abi].ranges)
    edges = {0, *(edge for first, last, _ in ranges for edge in (first, last + 1))}
    edges |= {edge for number in answers for edge in (number, number + 1)}
    found: list[tuple[int, Verdict]] = []
    for edge in sorted(edges):
        action = next((action for first, last, action in ranges if first <= edge <= last), ABSENT)
        verdict = answers.get(edge, _ALLOWED if action == ALLOW else Verdict((Case(action),)))
        if not found or found[-1][1] != verdict:
            found.append((edge, verdict))
    return found


def _block(abi: str, rules: Sequence[Rule]) -> list[Op | str]:
    """The part of one ABI: search by number, then tests of arguments, then answers."""
    table = spans(abi, rules)
    verdicts = list(dict.fromkeys(verdict for _, verdict in table))
    items: list[Op | str] = [abi, Op(LOAD, _NUMBER_AT), *_search(abi, table)]
    for at, verdict in enumerate(verdicts):
        if any(case.when for case in verdict.cases):
            items += [_label(abi, verdict), *_cases(abi, f"{abi} {at}", verdict)]
    actions = (ALLOW, *(case.action for verdict in verdicts for case in verdict.cases))
    for action in dict.fromkeys(actions):
        items += [_answer(abi, action), Op(RETURN, action)]
    return items


def _cases(abi: str, prefix: str, verdict: Verdict) -> list[Op | str]:
    """The cases of a verdict in order.

    The first one of which all tests hold answers, else the call is allowed.
    """
    items: list[Op | str] = []
    for at, case in enumerate(verdict.cases):
        otherwise = f"{prefix}.{at} otherwise"
        for number, test in enumerate(case.when):
            items += _test(test, f"{prefix}.{at}.{number} holds", otherwise)
        items += [Op(GOTO, yes=_answer(abi, case.action)), otherwise]
    return [*items, Op(GOTO, yes=_answer(abi, ALLOW))]


def _test(test: Test, holds: str, otherwise: str) -> list[Op | str]:
    """Goes on behind `holds`, at its end, if the test holds; else to `otherwise`."""
    load: list[Op | str] = [
        Op(LOAD, _ARGUMENTS_AT + 8 * test.argument),
        *([Op(AND, test.mask)] if test.mask else []),
    ]
    if test.bits:
        return [*load, Op(IF_ANY_BIT, test.bits, no=otherwise)]
    found = otherwise if test.negated else holds
    tail: list[Op | str] = [] if test.negated else [Op(GOTO, yes=otherwise), holds]
    return [*load, *(Op(IF_EQUAL, value, yes=found) for value in test.values), *tail]


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
    """Where a verdict's tests begin, or its answer if it has none."""
    if not verdict.cases:
        return _answer(abi, ALLOW)
    if not verdict.cases[0].when:
        return _answer(abi, verdict.cases[0].action)
    return f"{abi} {verdict}"


def _answer(abi: str, action: int) -> str:
    return f"{abi} answer {action:#x}"


def build_filter(machine: str = "", *, asks: bool = False) -> bytes:
    """The program for a machine (this one if empty), made once.

    Args:
        machine: as `uname -m` says.
        asks: somebody answers for `socketcall`; then the program has to be loaded by `load_asking`.

    Raises:
        IsolationUnavailableError: there is no table for this machine.
    """
    return _build(machine or libc.MACHINE, asks)


@functools.cache
def _build(machine: str, asks: bool) -> bytes:
    if machine not in MACHINES:
        raise IsolationUnavailableError(
            f"no system call filter for machine '{machine}'",
            hint=f"there are tables for {' and '.join(MACHINES)}; numbers for others belong in "
            "sandbox/linux/system_calls.py",
        )
    rules = [ASKED_SOCKETCALL if asks and rule is SOCKETCALL else rule for rule in RULES]
    abis = MACHINES[machine]
    choice = [Op(IF_EQUAL, ABIS[abi].audit, yes=abi) for abi in abis]
    blocks = itertools.chain.from_iterable(_block(abi, rules) for abi in abis)
    return assemble([Op(LOAD, _ARCH_AT), *choice, Op(RETURN, KILL), *blocks])


_SET_MODE_FILTER, _PR_SET_SECCOMP, _MODE_FILTER = 1, 22, 2
_NEW_LISTENER = 1 << 3
_ENOSYS = 38


class _Program(ctypes.Structure):
    """`struct sock_fprog`: how many instructions, and where they are."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def ready_filter() -> bytes:
    """The program for this machine, in memory as `load` wants it: once, in the process that forks all.

    Raises:
        IsolationUnavailableError: there is no table for this machine.
    """
    program = build_filter()
    _header(program)
    return program


def load(program: bytes) -> None:
    """Put this thread and its future children under the filter, for good. Needs no_new_privs.

    Raises:
        OSError: the kernel refuses.
    """
    header, _code = _header(program)
    try:
        libc.syscall("seccomp", _SET_MODE_FILTER, 0, header)
    except OSError as error:
        if error.errno != _ENOSYS:
            raise
        libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))


def load_asking(program: bytes) -> int:
    """Load a filter that asks; returns the descriptor at which it does, which an exec closes.

    Raises:
        OSError: the kernel refuses; EBUSY if an outer filter asks already.
    """
    header, _code = _header(program)
    return libc.syscall("seccomp", _SET_MODE_FILTER, _NEW_LISTENER, header)


@functools.lru_cache(maxsize=2)
def _header(program: bytes) -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[ctypes.c_char]]:
    """The program as the kernel takes it, and the memory to which that points."""
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(bytes(_Program(len(program) // 8, ctypes.addressof(code))))
    return header, code
