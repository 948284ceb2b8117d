"""What a document shows is compared with what was printed.

They are equal but for what is volatile, and for what the document leaves out by `…`.

Hashes stand for themselves: what a document calls by one hash has to have one hash here, whatever
that is. So commands that a document shows with its own hashes can be run here, too.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NIX32 = "[0-9a-df-np-sv-z]"
# What is as it is here: the name in messages → how it looks. A text of a document that looks so
# stands for all that do.
VOLATILE = {
    "SANDBOX": rf"\bfrx-{NIX32}{{12}}-[0-9a-f]{{8}}-[0-9a-f]{{6}}\b",
    "LOG": rf"/drvs/{NIX32}{{2}}/{NIX32}{{30}}(?=-)",
    "DATE": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?",
    "MOMENT": r"\b\d{10}(?:\.\d+)?\b",
    "PERCENT": r" *\b\d+\.\d%",
    "SIZE": r" *\b\d+(?:\.\d+)? (?:B|KiB|MiB|GiB)\b",
    "DURATION": r" *\b(?:\d+h\d\dm|\d+m\d\ds|\d+(?:\.\d+)? ?m?s)\b",
    "SECONDS": r'(?<=seconds": )\d+(?:\.\d+)?',
    "PROCESS": r'(?:(?<="pid": )|(?<=process )|(?<=root\())\d+',
}
# What has the same value wherever it is shown in a document.
_SAME = (
    rf"\b{NIX32}{{32}}(?=-)",
    r"\b[0-9a-f]{64}\b",
    r"\b[0-9a-f]{40}\b",
    r"\bsha256-[A-Za-z0-9+/]{43}=",
)
_LEFT_OUT = "…"
_GAP = r" {2,}"


@dataclass(slots=True)
class Names:
    """What the hashes of a document are called here; grows with everything that is compared."""

    here: dict[str, str] = field(default_factory=dict)

    def translated(self, command: str) -> str:
        """A command of the document, with the hashes of this machine.

        `…-NAME` is the object of that name in the store.
        """
        for shown, printed in self.here.items():
            command = command.replace(shown, printed)
        return re.sub(r"/frx/store/…-([\w.+-]+)", lambda match: _object(match[1]), command)

    def agree(self, shown: Sequence[str], printed: str, volatile: Sequence[str] = ()) -> bool:
        """Whether that was shown that was printed. What could differ is remembered if it is so."""
        pattern, groups = self._pattern(shown, volatile)
        match = re.fullmatch(re.compile(pattern, re.MULTILINE), _tidy(printed.splitlines()))
        if match is None:
            return False
        self.here.update({text: match[group] for text, group in groups.items()})
        return True

    def _pattern(self, shown: Sequence[str], volatile: Sequence[str]) -> tuple[str, dict[str, str]]:
        kinds = [*volatile, *VOLATILE.values()]
        rest = [*_SAME, _LEFT_OUT, _GAP]
        tokens = re.compile("|".join(f"(?P<t{number}>{kind})" for number, kind in enumerate([*kinds, *rest])))
        groups: dict[str, str] = {}

        def token(match: re.Match[str]) -> str:
            number = int((match.lastgroup or "t0")[1:])
            if number < len(kinds):
                return f"(?:{kinds[number]})"
            if match[0] == _LEFT_OUT:
                return ".*"
            return _GAP if not match[0].strip() else self._same(match[0], rest[number - len(kinds)], groups)

        def line(text: str) -> str:
            if text.strip() == _LEFT_OUT:
                return r"(?:.*\n)*?"
            parts, last = [], 0
            for match in tokens.finditer(text):
                parts += [re.escape(text[last : match.start()]), token(match)]
                last = match.end()
            return "".join([*parts, re.escape(text[last:])]) + r"\n"

        return "".join(line(text) for text in _tidy(shown).splitlines()), groups

    def _same(self, text: str, kind: str, groups: dict[str, str]) -> str:
        if text in self.here:
            return re.escape(self.here[text])
        if text in groups:
            return f"(?P={groups[text]})"
        groups[text] = f"h{len(groups)}"
        return f"(?P<{groups[text]}>{kind})"


def _object(name: str) -> str:
    """The only path in the store that has this name."""
    found = [
        entry
        for entry in os.listdir("/frx/store")
        if re.fullmatch(rf"{NIX32}{{32}}-{re.escape(name)}", entry)
    ]
    assert len(found) == 1, f"{name}: should be one object: {found}"
    return f"/frx/store/{found[0]}"


def difference(shown: Sequence[str], printed: str) -> str:
    """How they differ, for people: what is volatile has the name of its kind."""
    return "\n".join(
        difflib.unified_diff(
            _named(shown), _named(printed.splitlines()), "shown", "printed", lineterm="", n=2
        )
    )


def _named(lines: Sequence[str]) -> list[str]:
    text = _tidy(lines)
    for name, kind in VOLATILE.items():
        text = re.sub(kind, name, text)
    for kind in _SAME:
        text = re.sub(kind, "HASH", text)
    return re.sub(r"(?<=\S) {2,}", "  ", text).splitlines()


def _tidy(lines: Sequence[str]) -> str:
    """Without blanks at the ends of lines, and without empty lines at the ends."""
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"


def keys(value: Any, place: str = "") -> set[str]:
    """The places of a JSON value with the kinds of what is there.

    Of a list the first item stands for all, and a store path as a key for any.
    """
    match value:
        case dict():
            parts = [(re.sub(r"^/frx/store/.*", "PATH", key), part) for key, part in value.items()]
        case list():
            parts = [("0", part) for part in value[:1]]
        case _:
            kind = "number" if isinstance(value, int | float) else type(value).__name__
            return {f"{place}: {kind}"}
    return {f"{place}: {type(value).__name__}"}.union(*(keys(part, f"{place}.{key}") for key, part in parts))
