"""The status area of a terminal: lines of text, as a function of status, moment and form.

At most a third of the screen: a tree of what runs, below what waits for it; where that doesn't fit,
what runs alone, then as much of it as there is room for. The last line has the sums and the time
that is left on the longest path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from fruix.cli.output.amounts import duration, size
from fruix.cli.output.batches import Batch
from fruix.cli.output.headline import about
from fruix.cli.output.plan import chain
from fruix.cli.output.progress import ACTIVE, UNFINISHED, Node, Stage, Status
from fruix.cli.output.terminal import harmless, styled
from fruix.dataclass import dataclass
from fruix.model.storepath import StorePath

# (text, style) pieces of a line; style "" is none.
Pieces = list[tuple[str, str]]

GLYPHS = {"running": ("●", "*"), "download": ("↓", "v"), "queued": ("○", "."), "waiting": ("·", "-")}
STYLES = {"running": "green", "download": "cyan", "queued": "yellow", "waiting": "dim"}
BRANCHES = {True: ("├─ ", "└─ ", "│  ", "   "), False: ("|- ", "`- ", "|  ", "   ")}


@dataclass(frozen=True, slots=True)
class Form:
    """What a terminal can show."""

    width: int
    height: int
    utf8: bool = True
    colour: bool = True


def status_area(
    status: Status, now: float, form: Form, batches: Mapping[StorePath, Batch] = MappingProxyType({})
) -> list[str]:
    """The lines, none wider than the terminal; a batch of downloads has one."""
    room = max(1, form.height // 3) - 1
    joint = [_batch_row(batch, now, form) for batch in _active(batches)][:room]
    active = [node for node in status.nodes.values() if node.stage in ACTIVE and node.drv not in batches]
    rows = _rows(status, active, now, form, room - len(joint)) if room > len(joint) else []
    return [_fitted(pieces, form) for pieces in [*rows, *joint, _sums(status, now, form)]]


def _active(batches: Mapping[StorePath, Batch]) -> list[Batch]:
    return [batch for batch in {id(batch): batch for batch in batches.values()}.values() if batch.active]


def _batch_row(batch: Batch, now: float, form: Form) -> Pieces:
    what, state = batch.state(now)
    return [_glyph("download", form), (what, "bold"), (f"  {state}", "")]


def _rows(status: Status, active: list[Node], now: float, form: Form, room: int) -> list[Pieces]:
    if (shown := _with_dependents(status, active, room)) is not None:
        return list(_tree(status, shown, now, form))
    active.sort(key=lambda node: (node.stage is Stage.QUEUED, node.started or node.queued))
    rows = [_row(node, now, form) for node in active[: room if len(active) <= room else room - 1]]
    if len(active) > room:
        more = f"{'…' if form.utf8 else '...'} and {len(active) - room + 1} more"
        rows.append([(more, "dim")])
    return rows


def _tree(status: Status, shown: set[StorePath], now: float, form: Form) -> Iterator[Pieces]:
    """What runs, below what waits for it; each derivation once."""
    inner, last, line, gap = BRANCHES[form.utf8]
    needed = {path for drv in shown for path in status.nodes[drv].needs}
    roots = [drv for drv in status.nodes if drv in shown and drv not in needed]
    stack = [(drv, "", "") for drv in reversed(roots)]
    claimed: set[StorePath] = set()
    while stack:
        drv, before, below = stack.pop()
        node = status.nodes[drv]
        yield [(before, "dim"), *_row(node, now, form)]
        children = [path for path in node.needs if path in shown and path not in claimed]
        claimed.update(children)
        for index, path in enumerate(reversed(children)):
            branch, under = (last, gap) if index == 0 else (inner, line)
            stack.append((path, below + branch, below + under))


def _with_dependents(status: Status, active: list[Node], room: int) -> set[StorePath] | None:
    """What is active and everything unfinished that needs it; None if there is no room for that."""
    waiting = [node.drv for node in active]
    found = set(waiting)
    while waiting and len(found) <= room:
        for path in status.users(waiting.pop()):
            if path not in found and status.nodes[path].stage in UNFINISHED:
                found.add(path)
                waiting.append(path)
    return found if len(found) <= room else None


def _row(node: Node, now: float, form: Form) -> Pieces:
    kind = _look(node)
    pieces = [_glyph(kind, form), (node.name, "dim" if node.stage is Stage.WAITING else "bold")]
    detail = _detail(node, now)
    return [*pieces, (f"  {detail}", "")] if detail else pieces


def _glyph(kind: str, form: Form) -> tuple[str, str]:
    return GLYPHS[kind][0 if form.utf8 else 1] + " ", STYLES[kind]


def _look(node: Node) -> str:
    if node.stage is Stage.RUNNING:
        return "download" if node.kind == "download" else "running"
    return "queued" if node.stage is Stage.QUEUED else "waiting"


def _detail(node: Node, now: float) -> str:
    if node.stage is Stage.QUEUED:
        return "queued"
    if node.stage is not Stage.RUNNING:
        return ""
    elapsed = max(0.0, now - node.started)
    if node.kind == "download" and node.done:
        of = f" of {size(node.total)}" if node.total else ""
        return f"{size(node.done)}{of}, {size(round(node.done / max(elapsed, 0.1)))}/s"
    usual = f" of about {about(node.usual)}" if node.usual is not None else ""
    phase = "outputs" if node.exited else harmless(node.phase, colour=False)
    since = node.exited or (node.phases[-1][1] if node.phases else 0.0)
    part = f"{phase} {duration(max(0.0, now - since))}, " if phase else ""
    return f"{part}{duration(elapsed)}{usual}"


def _sums(status: Status, now: float, form: Form) -> Pieces:
    counts = status.counts()
    running = [node for node in status.nodes.values() if node.stage is Stage.RUNNING]
    downloads = sum(node.kind == "download" for node in running)
    parts = [
        (len(running) - downloads, "running", "green"),
        (downloads, "downloading", "cyan"),
        (counts[Stage.QUEUED] + counts[Stage.WAITING], "waiting", "dim"),
        (counts[Stage.FAILED], "failed", "red"),
        (counts[Stage.BLOCKED], "blocked", "red"),
    ]
    pieces: Pieces = [(f"{counts[Stage.DONE]} of {len(status.nodes)} done", "bold")]
    for count, word, style in parts:
        if count:
            pieces += [(", ", "dim"), (f"{count} {word}", style)]
    if left := _left(status, now, form):
        pieces += [(" · " if form.utf8 else " - ", "dim"), (left, "")]
    return pieces


def _left(status: Status, now: float, form: Form) -> str:
    """`about 3 min left: gcc → hello`; "at least" if durations are missing, "" if all are."""
    left = status.remaining(now)
    if not left.seconds:
        return ""
    path = f": {chain(left.path)}" if len(left.path) > 1 else ""
    if not form.utf8:
        path = path.replace("→", "->").replace("…", "...")
    return f"{'at least' if left.unknown else 'about'} {about(left.seconds)} left{path}"


def _fitted(pieces: Iterable[tuple[str, str]], form: Form) -> str:
    """One line, cut before the last column, since some terminals wrap there."""
    room = max(1, form.width - 1)
    parts: list[str] = []
    every = [(text, style) for text, style in pieces if text]
    too_long = sum(len(text) for text, _ in every) > room
    mark = ("…" if form.utf8 else "~") if too_long else ""
    room -= len(mark)
    for text, style in every:
        cut = text[:room]
        room -= len(cut)
        if cut:
            parts.append(styled(cut, style, colour=form.colour) if style else cut)
    return "".join(parts) + mark
