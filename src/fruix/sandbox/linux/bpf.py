"""An assembler for the kernel's classic BPF, as far as system call filters need it.

A program is a list of operations and labels (texts); jumps go forward to labels. The opcodes and
the layout of an instruction are those of linux/bpf_common.h and linux/filter.h.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping, Sequence

from fruix.dataclass import dataclass

LOAD, AND, GOTO, RETURN = 0x20, 0x54, 0x05, 0x06
IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT = 0x15, 0x35, 0x45
_CONDITIONAL = (IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT)
_FAR = 255  # conditional jumps have one byte
_MOST = 4096  # instructions


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
            # Distances are measured from the jump itself; what is between can only grow by two in
            # this jump's own tail.
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
