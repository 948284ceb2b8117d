"""The printer of derivations' text form."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from fruix.model.aterm.grammar import DYNAMIC, TO_ESCAPE, escaped
from fruix.model.derivation import Derivation, Dynamic
from fruix.model.storepath import StorePath
from fruix.model.text import to_bytes

_STEP = 1 << 18  # characters that are escaped at once
_COMMA = '","'

# A path or a hash modulo → the outputs that are needed of it.
Inputs = Mapping[str, Sequence[str]]


class Around(NamedTuple):
    """The text form without its list of inputs: what stands before that, the sources, and what is behind."""

    before: bytes
    sources: bytes
    behind: bytes

    def text(self, inputs: bytes) -> bytes:
        """The whole."""
        return b"".join((self.before, inputs, self.sources, self.behind))


class Printer:
    """Writes a derivation, several times if need be: what stays the same is escaped once."""

    def __init__(self, derivation: Derivation) -> None:
        self._derivation = derivation
        self._head = b'DrvWithVersion("%b",' % DYNAMIC.encode() if derivation.dynamic else b"Derive("
        self._sources = _paths(derivation.input_srcs)
        variables = [(name, derivation.env[name]) for name in _in_order(derivation.env)]
        self._behind = _together(derivation, variables) or _apart(derivation, variables)

    def _own_paths(self) -> dict[str, str]:
        return {
            name: output.path.text if output.path else "" for name, output in self._derivation.outputs.items()
        }

    def around(self, paths: Mapping[str, str] | None = None) -> Around:
        """Everything but the inputs.

        Args:
            paths: of the outputs, in place of those that the derivation has; in variables that are
                named like outputs too.
        """
        behind, env = self._behind, self._derivation.env
        if paths is None:
            paths = self._own_paths()
        else:
            # A bracket before a quote that begins a string is one of a variable: names are there once.
            for name in paths.keys() & env.keys():
                before, after = (_tuples([(name, text)]) for text in (env[name], paths[name]))
                behind = behind.replace(before, after, 1)
        outputs = self._derivation.outputs
        rows = [
            (name, paths[name], outputs[name].method_algorithm, outputs[name].hash)
            for name in _in_order(paths)
        ]
        return Around(b"%b[%b]," % (self._head, _tuples(rows)), b",%b," % self._sources, behind)

    def inputs(self) -> bytes:
        """The derivation's own list of inputs."""
        needed, dynamic = self._derivation.input_drvs, self._derivation.dynamic
        if not dynamic:
            return written_inputs({path.text: names for path, names in needed.items()})
        nodes = {path.text: Dynamic(tuple(names), dynamic.get(path, {})) for path, names in needed.items()}
        return _list(b"(%b,%b)" % (_quoted(key), _node(nodes[key])) for key in sorted(nodes))


def render(derivation: Derivation) -> bytes:
    """The text form, written once."""
    printer = Printer(derivation)
    return printer.around().text(printer.inputs())


def written_inputs(inputs: Inputs) -> bytes:
    """A list of inputs; those of a hash modulo have hashes in place of paths."""
    if TO_ESCAPE.search("".join(["".join(names) for names in inputs.values()])):
        return _list([b"(%b,%b)" % (_quoted(key), _strings(sorted(inputs[key]))) for key in sorted(inputs)])
    rows = [f'("{key}",["{_COMMA.join(sorted(inputs[key]))}"])' for key in sorted(inputs)]
    return to_bytes(f"[{','.join(rows)}]").replace(b'[""]', b"[]")


def _together(derivation: Derivation, variables: Sequence[tuple[str, str]]) -> bytes | None:
    r"""System, builder, arguments and variables, all escaped at once; None: there is too much of it.

    NUL stands for what parts strings and \1 for what parts variables, until they are escaped.
    """
    rows = "\1".join(map("\0".join, variables))
    together = "\2".join((f"{derivation.system}\0{derivation.builder}", "\0".join(derivation.args), rows))
    parts = 1 + max(0, len(derivation.args) - 1) + len(variables), max(0, len(variables) - 1), 2
    if len(together) > _STEP or tuple(map(together.count, "\0\1\2")) != parts:
        return None
    written = escaped(to_bytes(together)).replace(b"\0", b'","').replace(b"\1", b'"),("')
    first, args, env = written.split(b"\2")
    arguments, rest = b'"%b"' % args if derivation.args else b"", b'("%b")' % env if variables else b""
    return b'"%b",[%b],[%b])' % (first, arguments, rest)


def _apart(derivation: Derivation, variables: Sequence[tuple[str, str]]) -> bytes:
    """The same, one after the other; put together once."""
    parts = [_quoted(derivation.system), b",", _quoted(derivation.builder), b",["]
    for place, argument in enumerate(derivation.args):
        parts += (b"," if place else b"", _quoted(argument))
    parts.append(b"],[")
    for place, (name, value) in enumerate(variables):
        parts += (b",(" if place else b"(", _quoted(name), b",", _quoted(value), b")")
    return b"".join((*parts, b"])"))


def _tuples(rows: Sequence[Sequence[str]]) -> bytes:
    text = '"),("'.join([_COMMA.join(row) for row in rows])
    usual = text.isprintable() and "\\" not in text and text.count('"') == 2 * sum(map(len, rows)) - 2
    if usual:
        return to_bytes(f'("{text}")')
    return b",".join([b"(%b)" % b",".join(map(_quoted, row)) for row in rows])


def _in_order(names: Collection[str]) -> list[str]:
    """In the order of their bytes."""
    if len(names) == 1:
        return [*names]
    return sorted(names) if "".join(names).isascii() else sorted(names, key=to_bytes)


def _list(items: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)


def _paths(paths: Iterable[StorePath]) -> bytes:
    texts = sorted([path.text for path in paths])
    return f'["{_COMMA.join(texts)}"]'.encode() if texts else b"[]"


def _strings(texts: Iterable[str]) -> bytes:
    return _list(map(_quoted, texts))


def _node(node: Dynamic) -> bytes:
    names = _strings(sorted(node.outputs))
    if not node.below:
        return names
    rows = (b"(%b,%b)" % (_quoted(name), _node(node.below[name])) for name in _in_order(node.below))
    return b"(%b,%b)" % (names, _list(rows))


def _quoted(text: str) -> bytes:
    """In quotes; long ones are escaped in steps."""
    if not TO_ESCAPE.search(text):
        return b'"%b"' % to_bytes(text)
    steps = (to_bytes(text[start : start + _STEP]) for start in range(0, len(text), _STEP))
    return b'"%b"' % b"".join(map(escaped, steps))
