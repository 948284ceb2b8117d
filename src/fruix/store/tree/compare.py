"""Where two trees differ, for people: which entries, and in them which bytes, mode or link target.

Both trees are walked side by side in the order of their names, by directory descriptors and without
following links. Only what an archive holds counts: kinds, the executable bit, link targets,
contents. Costs one read of all files that both trees have with the same size; differing bytes are
counted a piece at a time, so memory is bounded.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from operator import xor

from fruix.dataclass import dataclass
from fruix.model.text import printable
from fruix.store.tree.descriptors import READ_SIZE, open_regular
from fruix.store.tree.interruption import check_interrupt
from fruix.store.tree.walk import Kind, Node, walk

_PIECE = 1 << 16
_SHOWN = 16  # bytes of each side shown from the first difference on


@dataclass(frozen=True, slots=True)
class Difference:
    """One place. `path` is relative to the root (`.`: the root itself), `what` one line."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def compare(parent: int, name: bytes, new_parent: int, new_name: bytes, *, limit: int) -> list[Difference]:
    """The first `limit` differences between the tree `name` in `parent` and the newer one."""
    found: list[Difference] = []
    with closing(walk(parent, name, where=".")) as old, closing(walk(new_parent, new_name, where=".")) as new:
        for difference in _pairs(old, new):
            if len(found) == limit:
                found.append(Difference("…", f"more differences; only the first {limit} are shown"))
                break
            found.append(difference)
    return found


def _pairs(old: Generator[Node, None, None], new: Generator[Node, None, None]) -> Iterator[Difference]:
    """Step through both walks; the one that is behind, by name, steps alone."""
    left, right = _next(old), _next(new)
    while left is not None or right is not None:
        if left is not None and (right is None or _key(left) < _key(right)):
            yield Difference(_shown(left), f"only in the first ({_kind(left)})")
            left = _skip(old, left)
        elif right is not None and (left is None or _key(right) < _key(left)):
            yield Difference(_shown(right), f"only in the second ({_kind(right)})")
            right = _skip(new, right)
        elif left is not None and right is not None:
            if left.kind is right.kind:
                yield from _same_kind(left, right)
                left, right = _next(old), _next(new)
            else:
                yield Difference(_shown(left), f"{_kind(left)} in the first, {_kind(right)} in the second")
                left, right = _skip(old, left), _skip(new, right)


def _next(nodes: Iterator[Node]) -> Node | None:
    return next((node for node in nodes if node.kind is not Kind.END), None)


def _skip(nodes: Iterator[Node], top: Node) -> Node | None:
    """The next node outside of `top`."""
    node = _next(nodes)
    while node is not None and node.depth > top.depth:
        node = _next(nodes)
    return node


def _key(node: Node) -> tuple[int, bytes]:
    """The order of two nodes neither of which has been stepped over.

    Both are in the same directory, or the deeper one is inside of one that the other walk has left.
    Names are compared as bytes; those of the roots may differ.
    """
    return -node.depth, node.name if node.depth else b""


def _shown(node: Node) -> str:
    return printable(node.path.removeprefix("./"))


def _kind(node: Node) -> str:
    if node.kind is Kind.FILE:
        return f"{'executable' if node.is_executable else 'file'} of {node.status.st_size} bytes"
    if node.kind is Kind.SYMLINK:
        return f"link to {_target(node)}"
    return "directory"


def _target(node: Node) -> str:
    target = os.fsdecode(os.readlink(node.name, dir_fd=node.parent))
    return repr(target) if target.isprintable() else ascii(target)


def _same_kind(left: Node, right: Node) -> Iterator[Difference]:
    if left.kind is Kind.SYMLINK:
        if (first := _target(left)) != (second := _target(right)):
            yield Difference(_shown(left), f"link to {first} in the first, to {second} in the second")
    elif left.kind is Kind.FILE:
        if left.is_executable != right.is_executable:
            which = "first" if left.is_executable else "second"
            yield Difference(_shown(left), f"executable in the {which} only")
        if (what := _contents(left, right)) is not None:
            yield Difference(_shown(left), what)


def _contents(left: Node, right: Node) -> str | None:
    first, second = (open_regular(node.parent, node.name) for node in (left, right))
    try:
        return _bytes(first, second, (left.status.st_size, right.status.st_size))
    finally:
        os.close(first)
        os.close(second)


def _bytes(first: int, second: int, sizes: tuple[int, int]) -> str | None:
    """How the contents of two open files differ."""
    offset, at, count, samples = 0, -1, 0, (b"", b"")
    while offset < max(sizes):
        check_interrupt()
        one, other = os.pread(first, _PIECE, offset), os.pread(second, _PIECE, offset)
        if one != other:
            changed = bytes(map(xor, one, other))  # zeros where they agree
            count += len(changed) - changed.count(0)
            if at < 0:
                at = (
                    offset + len(changed) - len(changed.lstrip(b"\0"))
                )  # all agree: the end of the shorter one
                samples = (os.pread(first, _SHOWN, at), os.pread(second, _SHOWN, at))
            if sizes[0] != sizes[1]:
                break  # what follows is likely to be shifted: counting it would say nothing
        offset += _PIECE
    if at < 0:
        return None
    what = f"first at offset {at}: {_sample(samples[0])} in the first, {_sample(samples[1])} in the second"
    if sizes[0] != sizes[1]:
        return f"{sizes[0]} bytes in the first, {sizes[1]} in the second, different {what}"
    return f"{count} of {sizes[0]} bytes differ, {what}"


def same_contents(first: int, second: int) -> bool:
    """Whether two open files hold the same bytes. Costs a read of both, up to the first difference."""
    offset = 0
    while True:
        check_interrupt()
        one, other = os.pread(first, READ_SIZE, offset), os.pread(second, READ_SIZE, offset)
        if one != other:
            return False
        if not one:
            return True
        offset += len(one)


def _sample(data: bytes) -> str:
    """Bytes as hexadecimal, and as text where they are some."""
    if not data:
        return "(end)"
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    return f"{data.hex(' ')} |{text}|"
