"""The documents of this project as tests see them: their blocks of code with the marks before them, and their tables.

A mark is a comment before a block, `<!-- test: WORD TEXT -->`, which nobody sees in the rendered page. What there is:

* `skip REASON`: the block can't be run anywhere tests run.
* `commands`: every line is a command, which has to succeed; a block whose first line begins with `$ ` needs no mark.
* `printed by COMMAND`: the block is what a command prints that the document does not show.
* `keys of COMMAND`: the block is JSON; what a command prints has the same keys, and values of the same kinds.
* `file NAME`: the block is the text of a file, which is written.
* `check NAME`: the block is looked at by that function of `tests/docs/samples.py`.
* `before COMMAND`: something to be run first, which the document does not show.
* `volatile PATTERN`: what this regular expression matches may differ, as long as it matches it too.
* `terminal`: the commands of the block are run on a terminal, at which `exit` is typed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
PROMPT = "$ "
MEANS = frozenset({"skip", "commands", "printed by", "keys of", "file", "check"})
_WORDS = (*sorted(MEANS), "before", "volatile", "terminal")
_MARK = re.compile(rf"test: ({'|'.join(_WORDS)})\b *(.*)", re.DOTALL)
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_FENCE = re.compile(r" *```")
_CODE = 4  # blanks before a line of code, more inside of a list


@dataclass(frozen=True, slots=True)
class Mark:
    """A comment for the tests."""

    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: its lines without the indentation, and where it begins (from 1)."""

    document: str
    line: int
    indent: str
    lines: tuple[str, ...]
    marks: tuple[Mark, ...]

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.document}:{self.line}"

    @property
    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def is_session(self) -> bool:
        """Whether it shows commands and what they print."""
        return self.lines[0].startswith(PROMPT)

    def marked(self, word: str) -> list[str]:
        """The texts of its marks of that kind."""
        return [mark.text for mark in self.marks if mark.word == word]


@dataclass(frozen=True, slots=True)
class Step:
    """A command, what the document says that it prints, and the lines of the block that say so."""

    command: str
    shown: tuple[str, ...]
    first: int
    end: int


def blocks(document: str) -> list[Block]:
    """All blocks of code of a document.

    Raises:
        AssertionError: a comment for the tests can't be understood, or no block follows it.
    """
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    found: list[Block] = []
    marks: list[Mark] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if "<!--" in line:
            end = next(number for number in range(at, len(lines)) if "-->" in lines[number]) + 1
            marks += _marks("\n".join(lines[at:end]), f"{document}:{at + 1}")
            at = end
            continue
        if _FENCE.match(line) or (_begins_code(line) and (at == 0 or not lines[at - 1].strip())):
            block, at = _block(document, lines, at, tuple(marks))
            found.append(block)
            marks = []
            continue
        assert not (marks and line.strip()), f"{document}:{at + 1}: a comment for the tests has no block"
        at += 1
    assert not marks, f"{document}: a comment for the tests has no block"
    return found


def _begins_code(line: str) -> bool:
    return line.startswith(" " * _CODE) and bool(line.strip())


def _marks(text: str, place: str) -> Iterator[Mark]:
    for comment in _COMMENT.findall(text):
        if not comment.strip().startswith("test:"):
            continue
        match = _MARK.fullmatch(comment.strip())
        assert match, f"{place}: no mark of a block: {comment.strip()}"
        yield Mark(match[1], match[2].strip())


def _block(document: str, lines: list[str], begin: int, marks: tuple[Mark, ...]) -> tuple[Block, int]:
    if _FENCE.match(lines[begin]):
        end = next(number for number in range(begin + 1, len(lines)) if _FENCE.match(lines[number]))
        indent = re.match(" *", lines[begin])
        assert indent is not None
        return _made(document, lines, begin + 1, end, indent[0], marks), end + 1
    outer = len(lines[begin]) - len(lines[begin].lstrip())
    indent_of_all = " " * (outer if outer % _CODE == 2 else _CODE)  # inside of a list: two more
    end = begin + 1
    while end < len(lines) and (lines[end].startswith(indent_of_all) or not lines[end].strip()):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return _made(document, lines, begin, end, indent_of_all, marks), end


def _made(
    document: str, lines: list[str], begin: int, end: int, indent: str, marks: tuple[Mark, ...]
) -> Block:
    body = tuple(line[len(indent) :] for line in lines[begin:end])
    return Block(document, begin + 1, indent, body, marks)


def steps(block: Block) -> list[Step]:
    """The commands that a block shows (or its marks say), in order."""
    if printing := [*block.marked("printed by"), *block.marked("keys of")]:
        return [Step(printing[0], block.lines, 0, len(block.lines))]
    if block.is_session:
        return list(_session(block.lines))
    if block.marked("commands"):
        return [Step(line, (), number, number) for number, line in enumerate(block.lines) if line.strip()]
    return []


def _session(lines: tuple[str, ...]) -> Iterator[Step]:
    at = 0
    while at < len(lines):
        command = lines[at].removeprefix(PROMPT)
        at += 1
        while at < len(lines) and _is_open(command):
            command += "\n" + lines[at]
            at += 1
        begin = at
        while at < len(lines) and not lines[at].startswith(PROMPT):
            at += 1
        yield Step(command, lines[begin:at], begin, at)


def _is_open(command: str) -> bool:
    """Whether a quotation or a line goes on."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def tables(document: str, heading: str = "") -> list[list[tuple[str, ...]]]:
    """The tables below a heading (or of the whole document): rows of cells, the head first."""
    found: list[list[tuple[str, ...]]] = []
    section, inside = "", False
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.lstrip("#").strip()
        row = line.startswith("|") and (not heading or section == heading)
        if row and not inside:
            found.append([])
        inside = row
        if row and not (set(line) <= set("|-: ") and "-" in line):
            found[-1].append(tuple(cell.strip() for cell in line[1:-1].split("|")))
    return found


def quoted(cell: str) -> list[str]:
    """The words in a cell that are code."""
    return re.findall(r"`([^`]+)`", cell)
