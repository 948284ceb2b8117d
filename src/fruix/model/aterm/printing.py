"""The printer of derivations' text form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from fruix.model.aterm.grammar import DYNAMIC, TO_ESCAPE, escaped
from fruix.model.derivation import Derivation, Dynamic
from fruix.model.text import to_bytes

_SHORT = 256  # characters; longer texts are scripts, and not kept
_STEP = 1 << 18  # characters of a long text that are escaped at once


T = TypeVar("T")


def render(
    derivation: Derivation,
    *,
    inputs: Mapping[str, Sequence[str]] | None = None,
    mask_outputs: bool = False,
) -> bytes:
    """The text form.

    Args:
        derivation: what to write.
        inputs: written in place of the input derivations (hash modulo: hex hash → outputs).
        mask_outputs: leave out all output paths and the variables named like outputs (hash modulo
            of the top level).
    """
    if inputs is None:
        inputs = {path.text: names for path, names in derivation.input_drvs.items()}
        below = {path.text: nodes for path, nodes in derivation.dynamic.items()}
    else:
        below = {}
    outputs = (
        (name, "" if mask_outputs else str(output.path or ""), output.method_algorithm, output.hash)
        for name, output in sorted(derivation.outputs.items(), key=_by_key)
    )
    hidden = derivation.outputs if mask_outputs else {}
    variables = (
        (name, "" if name in hidden else value) for name, value in sorted(derivation.env.items(), key=_by_key)
    )
    sink = [b'DrvWithVersion("%b",' % DYNAMIC.encode() if derivation.dynamic else b"Derive("]
    _write_list(sink, outputs, _write_tuple)
    sink.append(b",")
    rows = [(key, Dynamic(tuple(names), below.get(key, {}))) for key, names in sorted(inputs.items())]
    _write_list(sink, rows, _write_input)
    sink.append(b",")
    _write_list(sink, [path.text for path in sorted(derivation.input_srcs)], _write_text)
    sink += [b",", _quoted(derivation.system), b",", _quoted(derivation.builder), b","]
    _write_list(sink, derivation.args, _write_text)
    sink.append(b",")
    _write_list(sink, variables, _write_tuple)
    sink.append(b")")
    return b"".join(sink)


def _by_key(item: tuple[str, object]) -> bytes:
    return to_bytes(item[0])


def _quoted(text: str) -> bytes:
    return _quoted_again(text) if len(text) <= _SHORT else _quoted_once(text)


def _quoted_once(text: str) -> bytes:
    if not TO_ESCAPE.search(text):
        return b'"%b"' % to_bytes(text)
    steps = (to_bytes(text[start : start + _STEP]) for start in range(0, len(text), _STEP))
    return b'"%b"' % b"".join(map(escaped, steps))


# A derivation is written several times (once per hash), and most of its strings are in others too.
_quoted_again = lru_cache(maxsize=1 << 14)(_quoted_once)


def _write_text(sink: list[bytes], text: str) -> None:
    sink.append(_quoted(text))


def _write_tuple(sink: list[bytes], parts: Iterable[str]) -> None:
    mark = b"("
    for part in parts:
        sink.append(mark)
        sink.append(_quoted(part))
        mark = b","
    sink.append(b")")


def _write_input(sink: list[bytes], item: tuple[str, Dynamic]) -> None:
    key, node = item
    sink += [b"(", _quoted(key), b",("] if node.below else [b"(", _quoted(key), b","]
    _write_list(sink, sorted(node.outputs), _write_text)
    if node.below:
        sink.append(b",")
        _write_list(sink, sorted(node.below.items(), key=_by_key), _write_input)
        sink.append(b")")
    sink.append(b")")


def _write_list(sink: list[bytes], items: Iterable[T], write: Callable[[list[bytes], T], None]) -> None:
    comma = b"["
    for item in items:
        sink.append(comma)
        write(sink, item)
        comma = b","
    sink.append(b"]" if comma == b"," else b"[]")
