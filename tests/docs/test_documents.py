"""Every command that a document shows is run, and prints what is shown. Every other block is looked at, or says why it can't be.

To have the documents say what is printed now: `REWRITE_DOCUMENTS=1 python -m pytest tests/docs`, and then look at what changed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from docs import samples, scene
from docs.documents import DOCUMENTS, MEANS, ROOT, Block, Step, blocks, steps
from docs.shown import Names, difference, keys
from fruix.sandbox.linux import userns

pytestmark = pytest.mark.timeout(2 * scene.PATIENCE)
REWRITE = "REWRITE_DOCUMENTS"
# Documents whose blocks have no marks yet: a list that only becomes shorter.
NOT_YET = frozenset(
    f"docs/{name}.md"
    for name in (
        "catalogue",
        "clients",
        "freebsd",
        "isolation",
        "performance",
    )
)
_READ = [document for document in DOCUMENTS if document not in NOT_YET]
_RUN = [document for document in _READ if any(map(steps, blocks(document)))]
# Those that speak of GNU Hello share a machine, so that it is built once; each other one has a machine of its own.
_HELLO = ("README.md", "docs/how-a-build-runs.md")
_MACHINES = [_HELLO, *((document,) for document in _RUN if document not in _HELLO)]


@pytest.mark.parametrize("document", _READ)
def test_every_block_is_run_or_looked_at_or_says_why_not(document: str) -> None:
    for block in blocks(document):
        means = [mark.word for mark in block.marks if mark.word in MEANS]
        assert len(means) == 1 or (block.is_session and not means), (
            f"{block.place}: should be run, looked at or skipped, in one way: {means}"
        )
        for mark in block.marks:
            assert mark.text or mark.word in {"commands", "terminal"}, (
                f"{block.place}: '{mark.word}' of what?"
            )
        for name in block.marked("check"):
            assert name in samples.CHECKS, f"{block.place}: there is no check '{name}'"


@pytest.mark.parametrize("documents", _MACHINES, ids="+".join)
def test_commands_print_what_is_shown(documents: tuple[str, ...], tmp_path: Path) -> None:
    if userns.confined():
        pytest.skip("machine: documents show what root sees, which an ordinary user is not")
    wrong = []
    with scene.machine(documents[0]):
        for document in documents:
            wrong += _checked(document, tmp_path / Path(document).stem)
    assert not wrong, "\n\n".join(wrong)


def _checked(document: str, home: Path) -> list[str]:
    """What is told of a document, after all its commands were run."""
    home.mkdir()
    shell = scene.Shell(home, document)
    names = Names()
    wrong: list[Wrong] = []
    try:
        for block in blocks(document):
            wrong += _differences(block, shell, names, home)
    finally:
        shell.close()
    if os.environ.get(REWRITE):
        _rewrite(document, wrong)
    return [message for _, _, _, message in wrong]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (block.place, name)
        for document in DOCUMENTS
        for block in blocks(document)
        for name in block.marked("check")
    ],
)
def test_samples_are_what_the_program_reads(place: str, name: str) -> None:
    document, line = place.split(":")
    samples.CHECKS[name](next(block for block in blocks(document) if block.line == int(line)).text)


Wrong = tuple[Block, Step, str, str]


def _differences(block: Block, shell: scene.Shell, names: Names, directory: Path) -> list[Wrong]:
    """What of a block is not as it is shown, after it was run."""
    if block.marked("skip"):
        return []
    for command in block.marked("before"):
        printed, status = shell.run(names.translated(command))
        assert status == 0, f"{block.place}: {command}: status {status}: {printed}"
    for name in block.marked("file"):
        (directory / name).write_text(names.translated(block.text))
    found = (_difference(block, step, shell, names) for step in steps(block))
    return [wrong for wrong in found if wrong is not None]


def _difference(block: Block, step: Step, shell: scene.Shell, names: Names) -> Wrong | None:
    command = names.translated(step.command)
    if block.marked("terminal"):
        command = f'"$PYTHON" "$ROOT/tests/docs/on_terminal.py" {command}'
    printed, status = shell.run(command)
    place = f"{block.document}:{block.line + step.first}: {step.command}"
    if block.marked("commands"):
        return (block, step, printed, f"{place}: status {status}: {printed}") if status else None
    if block.marked("keys of"):
        shown, found = keys(json.loads(block.text)), keys(json.loads(printed))
        message = f"{place}: only shown: {sorted(shown - found)}; not shown: {sorted(found - shown)}"
        return None if shown == found else (block, step, printed, message)
    if names.agree(step.shown, printed, block.marked("volatile")):
        return None
    return (block, step, printed, f"{place}: status {status}\n{difference(step.shown, printed)}")


def _rewrite(document: str, wrong: list[Wrong]) -> None:
    """Have a document show what was printed."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    for block, step, printed, _ in reversed(wrong):
        if not (block.marked("commands") or block.marked("keys of")):
            begin = block.line - 1
            blanks = [""] * (step.shown[-1:] == ("",))  # before the next command
            text = printed.strip("\n").splitlines()
            lines[begin + step.first : begin + step.end] = [
                (block.indent + line).rstrip() for line in [*text, *blanks]
            ]
    (ROOT / document).write_text("\n".join(lines) + "\n", encoding="utf-8")
