"""What differs between two derivations, and why.

A comparison that follows inputs down to where the difference comes from.

Inputs are paired by path, then by name, then by name without version. Of each pair that differs,
what is a consequence of differing inputs is left out: paths of paired inputs and of the
derivations' own outputs count as equal. Only what remains is told: variables, arguments, scripts
line by line, hashes of sources, the host view. Pure: what it needs to read is asked of a `Reader`.

Cost: two derivations read for each differing pair and for each of their paired inputs; every pair
is compared once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from fruix.dataclass import dataclass, replace
from fruix.late import late_pattern
from fruix.model import structured
from fruix.model.derivation import Derivation
from fruix.model.hostview import VIEW_HASH_VARIABLE, VIEW_VARIABLE, HostView
from fruix.model.storepath import StorePath, package_of
from fruix.model.textdiff import changed_items, changed_lines
from fruix.model.viewdiff import in_words

_BASE_NAME = late_pattern(r"[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9A-Za-z+\-._?=]+")


class Reader(Protocol):
    """Reads derivations, texts of the store and known host views for a comparison."""

    def derivation(self, path: StorePath) -> Derivation:
        """The derivation at a valid path."""
        ...

    def text(self, path: StorePath) -> str | None:
        """The text of a file in the store, or None if it is none or not valid."""
        ...

    def view(self, fingerprint: str) -> HostView | None:
        """What a fingerprint of a host view stands for, if that is known."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Attributes:
        what: names it, in a line.
        lines: show it; each begins with `-` (old), `+` (new), a blank (both) or `@@` (place).
    """

    what: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """Two derivations and what differs between them.

    `inputs` are the pairs of inputs that differ in turn.
    """

    old: StorePath
    new: StorePath
    changes: tuple[Change, ...]
    inputs: tuple[tuple[StorePath, StorePath], ...] = ()

    @property
    def reasons(self) -> list[str]:
        """A line for each thing that differs, inputs last."""
        return [
            *(change.what for change in self.changes),
            *(f"the input {new.short_name} differs" for _, new in self.inputs),
        ]


def compare_closures(old: StorePath, new: StorePath, reader: Reader) -> Iterator[Compared]:
    """A pair, then every pair of differing inputs below it, each once, nearest to its user first."""
    waiting = [(old, new)]
    seen: set[tuple[StorePath, StorePath]] = set()
    while waiting:
        pair = waiting.pop()
        if pair in seen or pair[0] == pair[1]:
            continue
        seen.add(pair)
        found = compare(*pair, reader)
        yield found
        waiting += reversed(found.inputs)


def compare(old_path: StorePath, new_path: StorePath, reader: Reader) -> Compared:
    """What differs between two derivations themselves."""
    old, new = reader.derivation(old_path), reader.derivation(new_path)
    drvs = _paired(old.input_drvs, new.input_drvs)
    sources = _paired(old.input_srcs, new.input_srcs)
    translate = _translation(old, new, drvs.both, sources.both, reader)
    changes = [
        *_plain("name", old.name, new.name),
        *_plain("system", old.system, new.system),
        *_plain("builder", translate(old.builder), new.builder),
        *_listed("arguments", [translate(text) for text in old.args], new.args),
        *_outputs(old, new),
        *(Change(f"no longer an input: {path.short_name}") for path in drvs.old),
        *(Change(f"a new input: {path.short_name}") for path in drvs.new),
        *_wanted(old, new, drvs.both),
        *(Change(f"no longer a source: {path.name}") for path in sources.old),
        *(Change(f"a new source: {path.name}") for path in sources.new),
        *(change for pair in sources.both for change in _source(*pair, translate, reader)),
        *_view(old, new, reader),
        *_environment(old, new, translate, _paths([*drvs.old, *drvs.new], sources.old + sources.new, reader)),
    ]
    differing = [(one, other) for one, other in drvs.both if one != other]
    return Compared(old_path, new_path, tuple(changes), tuple(differing))


# Pairs of inputs


@dataclass(slots=True)
class _Pairs:
    both: list[tuple[StorePath, StorePath]]
    old: list[StorePath]
    new: list[StorePath]


def _paired(old: Iterable[StorePath], new: Iterable[StorePath]) -> _Pairs:
    """By path, by name, by name without version; of several that fit, the first."""
    pairs = _Pairs([], sorted(old), sorted(new))
    keys: tuple[Callable[[StorePath], str], ...] = (
        str,
        lambda path: path.short_name,
        lambda path: package_of(path.short_name),
    )
    for key in keys:
        waiting: dict[str, list[StorePath]] = {}
        for path in pairs.new:
            waiting.setdefault(key(path), []).append(path)
        for path in list(pairs.old):
            if fitting := waiting.get(key(path)):
                other = fitting.pop(0)
                pairs.both.append((path, other))
                pairs.old.remove(path)
                pairs.new.remove(other)
    pairs.both.sort(key=lambda pair: pair[1].name)
    return pairs


def _translation(
    old: Derivation,
    new: Derivation,
    drvs: Iterable[tuple[StorePath, StorePath]],
    sources: Iterable[tuple[StorePath, StorePath]],
    reader: Reader,
) -> Callable[[str], str]:
    """From texts of the old derivation to what they would be with the new one's paths."""
    table = {one.base: other.base for one, other in sources}
    pairs = [(old, new)]
    pairs += [(reader.derivation(one), reader.derivation(other)) for one, other in drvs if one != other]
    for one, other in pairs:
        names = one.output_paths.keys() & other.output_paths.keys()
        table |= {one.output_paths[name].base: other.output_paths[name].base for name in names}
    return lambda text: _BASE_NAME.sub(lambda match: table.get(match[0], match[0]), text)


def _paths(drvs: Iterable[StorePath], sources: Iterable[StorePath], reader: Reader) -> frozenset[str]:
    """Base names of what inputs without a counterpart bring along."""
    outputs = (path.base for drv in drvs for path in reader.derivation(drv).output_paths.values())
    return frozenset((*outputs, *(path.base for path in sources)))


# Parts of a derivation


def _plain(what: str, old: str, new: str) -> Iterator[Change]:
    if old != new:
        yield Change(f"the {what} differs", (f"-{old}", f"+{new}"))


def _listed(what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    if list(old) != list(new):
        yield Change(f"the {what} differ", tuple(changed_items(old, new)))


def _outputs(old: Derivation, new: Derivation) -> Iterator[Change]:
    yield from _listed("names of outputs", sorted(old.outputs), sorted(new.outputs))
    for name in sorted(old.outputs.keys() & new.outputs.keys()):
        before, after = (replace(drv.outputs[name], path=None) for drv in (old, new))
        if before != after:
            yield Change(
                f"the declared hash of output '{name}' differs",
                tuple(f"{sign}{it.method_algorithm}:{it.hash}" for sign, it in (("-", before), ("+", after))),
            )


def _wanted(
    old: Derivation, new: Derivation, pairs: Iterable[tuple[StorePath, StorePath]]
) -> Iterator[Change]:
    for one, other in pairs:
        yield from _listed(
            f"wanted outputs of {other.short_name}",
            sorted(old.input_drvs[one]),
            sorted(new.input_drvs[other]),
        )


def _source(
    old: StorePath, new: StorePath, translate: Callable[[str], str], reader: Reader
) -> Iterator[Change]:
    if old == new:
        return
    before, after = reader.text(old), reader.text(new)
    if before is None or after is None:
        yield Change(f"the source {new.name} differs", (f"-{old}", f"+{new}"))
    elif translate(before) != after:
        yield Change(f"the file {new.name} differs", tuple(changed_lines(translate(before), after)))


def _view(old: Derivation, new: Derivation, reader: Reader) -> Iterator[Change]:
    """The fingerprint of the host view, explained where what it stood for is known."""
    before, after = (drv.env.get(VIEW_HASH_VARIABLE, "") for drv in (old, new))
    if before == after or old.env.get(VIEW_VARIABLE) != new.env.get(VIEW_VARIABLE):
        return
    views = reader.view(before), reader.view(after)
    if views[0] is None or views[1] is None:
        what = f"the host view '{new.env.get(VIEW_VARIABLE, '')}' differs, and what it held is not known here"
        yield Change(what, (f"-{before}", f"+{after}"))
    else:
        words, lines = in_words(views[0], views[1])
        yield Change(words, tuple(lines))


def _environment(
    old: Derivation, new: Derivation, translate: Callable[[str], str], explained: frozenset[str]
) -> Iterator[Change]:
    """Variables, without what comes of other inputs: paths in `explained` are left out of lists."""
    names = old.env.keys() | new.env.keys()
    if old.env.get(VIEW_VARIABLE) == new.env.get(VIEW_VARIABLE):
        names -= {VIEW_HASH_VARIABLE}
    for name in sorted(names):
        before, after = (
            None if value is None else _without(value, explained)
            for value in (translate(old.env[name]) if name in old.env else None, new.env.get(name))
        )
        if before != after:
            yield Change(*_variable(name, before, after))


def _without(text: str, bases: frozenset[str]) -> str | None:
    """A list without the items that are in these paths; None if nothing else was in it."""
    if bases.isdisjoint(_BASE_NAME.findall(text)):
        return text
    separator = ":" if ":" in text else " "
    items = [item for item in text.split(separator) if bases.isdisjoint(_BASE_NAME.findall(item))]
    return separator.join(items) if items else None


def _variable(name: str, old: str | None, new: str | None) -> tuple[str, tuple[str, ...]]:
    if new is None:
        return f"the variable {name} is gone", (f"-{old}",)
    if old is None:
        return f"the variable {name} is new", (f"+{new}",)
    return f"the variable {name} differs", tuple(_value(name, old, new))


def _value(name: str, old: str, new: str) -> Iterator[str]:
    """By lines, by items of a list (separated by colons or blanks), or whole."""
    if name == structured.VARIABLE:
        return changed_lines(_indented(old), _indented(new))
    if "\n" in old or "\n" in new:
        return changed_lines(old, new)
    for separator in (":", " "):
        if separator in old and separator in new and "://" not in old + new:
            return changed_items(old.split(separator), new.split(separator))
    return iter((f"-{old}", f"+{new}"))


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, sort_keys=True)
    except (ValueError, RecursionError):
        return text
