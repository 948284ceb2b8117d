"""The printer of derivations' text form."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from fruix.dataclass import dataclass
from fruix.model.aterm.grammar import DYNAMIC, TO_ESCAPE, escaped
from fruix.model.derivation import Derivation, Dynamic
from fruix.model.text import to_bytes

_STEP = 1 << 18  # characters that are escaped at once

# A path or a hash modulo → the outputs that are needed of it.
Inputs = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Around:
    """The text form without its list of inputs, in pieces: what stands before that, and what behind it."""

    before: bytes
    behind: Sequence[bytes]

    def text(self, inputs: bytes) -> bytes:
        """The whole."""
        return b"".join((self.before, inputs, *self.behind))


class Printer:
    """Writes a derivation, several times if need be: what stays the same is escaped once."""

    def __init__(self, derivation: Derivation) -> None:
        self._derivation = derivation
        outputs, variables = derivation.outputs, _in_order(derivation.env)
        sources = sorted(path.text for path in derivation.input_srcs)
        values = map(derivation.env.__getitem__, variables)
        texts = [*variables, *values, *sources, derivation.system, derivation.builder, *derivation.args]
        quoted, count = _quoted(texts), len(variables)
        rest = iter(quoted[2 * count :])
        middle = _list(islice(rest, len(sources))), next(rest), next(rest), _list(rest)
        self._head = b'DrvWithVersion("%b",' % DYNAMIC.encode() if derivation.dynamic else b"Derive("
        # A comma, the rest but for the variables, then two for each variable, and the end.
        self._behind = [b""] * (2 * count + 1)
        self._behind[1::2] = quoted[count : 2 * count]
        self._behind[0:-1:2] = map(b"),(%b,".__mod__, quoted[:count])
        self._behind[-1] = b")])" if count else b"])"
        before = b",%b,[" % b",".join(middle)
        self._behind[0] = before + (self._behind[0].removeprefix(b"),") if count else self._behind[0])
        self._own = [(2 * place + 1, name) for place, name in enumerate(variables) if name in outputs]

    def around(self, paths: Mapping[str, str] | None = None) -> Around:
        """Everything but the inputs.

        Args:
            paths: of the outputs, in place of those that the derivation has; in variables that are
                named like outputs too.
        """
        behind = self._behind
        if paths is None:
            found = {name: output.path for name, output in self._derivation.outputs.items()}
            paths = {name: path.text if path is not None else "" for name, path in found.items()}
        elif self._own:
            behind = behind.copy()
            written = _quoted([paths[name] for _, name in self._own])
            for (place, _), path in zip(self._own, written, strict=True):
                behind[place] = path
        return Around(b"%b%b," % (self._head, self._written_outputs(paths)), behind)

    def _written_outputs(self, paths: Mapping[str, str]) -> bytes:
        rows = [(name, self._derivation.outputs[name]) for name in _in_order(paths)]
        texts = [(name, paths[name], output.method_algorithm, output.hash) for name, output in rows]
        quoted = iter(_quoted([text for row in texts for text in row]))
        return _list(b"(%b,%b,%b,%b)" % parts for parts in zip(quoted, quoted, quoted, quoted, strict=True))

    def inputs(self) -> bytes:
        """The derivation's own list of inputs."""
        needed, dynamic = self._derivation.input_drvs, self._derivation.dynamic
        if not dynamic:
            return written_inputs({path.text: names for path, names in needed.items()})
        nodes = {path.text: Dynamic(tuple(names), dynamic.get(path, {})) for path, names in needed.items()}
        return _list(b"(%b,%b)" % (_quoted([key])[0], _node(nodes[key])) for key in sorted(nodes))


def render(derivation: Derivation) -> bytes:
    """The text form, written once."""
    printer = Printer(derivation)
    return printer.around().text(printer.inputs())


def written_inputs(inputs: Inputs) -> bytes:
    """A list of inputs; those of a hash modulo have hashes in place of paths."""
    keys = sorted(inputs)
    quoted = iter(_quoted([text for key in keys for text in (key, *sorted(inputs[key]))]))
    return _list([b"(%b,%b)" % (next(quoted), _list(islice(quoted, len(inputs[key])))) for key in keys])


def _in_order(names: Collection[str]) -> list[str]:
    """In the order of their bytes."""
    return sorted(names) if "".join(names).isascii() else sorted(names, key=to_bytes)


def _list(items: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)


def _node(node: Dynamic) -> bytes:
    names = _list(_quoted(sorted(node.outputs)))
    if not node.below:
        return names
    rows = (b"(%b,%b)" % (_quoted([name])[0], _node(node.below[name])) for name in _in_order(node.below))
    return b"(%b,%b)" % (names, _list(rows))


def _quoted(texts: Sequence[str]) -> list[bytes]:
    """Each in quotes. Short ones are escaped together, parted by NUL, which no derivation's text has."""
    size = sum(map(len, texts))
    together = "\0".join(texts) if 0 < size <= _STEP else "\0" * len(texts)
    if together.count("\0") != len(texts) - 1:
        return list(map(_quoted_alone, texts))
    return (b'"%b"' % escaped(to_bytes(together)).replace(b"\0", b'"\0"')).split(b"\0")


def _quoted_alone(text: str) -> bytes:
    if not TO_ESCAPE.search(text):
        return b'"%b"' % to_bytes(text)
    steps = (to_bytes(text[start : start + _STEP]) for start in range(0, len(text), _STEP))
    return b'"%b"' % b"".join(map(escaped, steps))
