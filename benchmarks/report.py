"""The table: medians, and Fruix against the faster of its peers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from peers import BARE
from row import Row

OURS = "fruix"
_SCALE = {"ms": 1000.0}


# Groups of rows → the heading of their table.
_SECTIONS = {
    "builds": "Figures",
    "store": "Stores",
    "duplicates": "Stores",
    "marking": "Stores",
    "people": "What people feel",
    "scale": "Scale",
    "million": "Scale",
}
Results = Mapping[str, Mapping[str, Sequence[float]]]


def tables(rows: Sequence[Row], results: Results, small: Results, own: Mapping[str, float]) -> str:
    """All tables of a run, each below its heading."""
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    parts = []
    for section in dict.fromkeys(_SECTIONS.values()):
        of_section = [row for row in rows if _SECTIONS[row.group] == section and row.key in results]
        if of_section:
            parts += [f"## {section}", table(of_section, results, small, names)]
    if own:
        lines = [_line(["Fruix alone", "median"]), _line(["---", "---:"])]
        parts.append("\n".join([*lines, *(_line([title, _figure(value)]) for title, value in own.items())]))
    return "\n\n".join(parts)


def table(rows: Sequence[Row], results: Results, small: Results, names: Sequence[str]) -> str:
    """A table of a run as Markdown.

    The last columns say how many times better (above 1) or worse Fruix is than the best peer, and
    how many times more each costs Fruix than in a tenth of the size (of rows that have a size).
    """
    lines = [
        _line(["what", "unit", *names, "against the best", "growth"]),
        _line(["---"] * 2 + ["---:"] * (len(names) + 2)),
    ]
    for row in rows:
        if row.key in results:
            medians = {name: statistics.median(values) for name, values in results[row.key].items()}
            scale = _SCALE.get(row.unit, 1.0)
            shown = {name: _figure(median * scale) for name, median in medians.items()}
            cells = [shown.get(name, "") for name in names]
            growth = _growth(row, medians, small.get(row.key, {}))
            lines.append(_line([row.title, row.unit, *cells, _ratio(row, shown), growth]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio(row: Row, shown: Mapping[str, str]) -> str:
    """Of the figures as they are shown, so that a reader comes to the same."""
    medians = {name: float(figure.replace(",", "")) for name, figure in shown.items()}
    others = [value for name, value in medians.items() if name not in {OURS, BARE}]
    if OURS not in medians or not others:
        return ""
    ratio = medians[OURS] / max(others) if row.rate else min(others) / medians[OURS]
    return f"{ratio:.2f}"


def _growth(row: Row, medians: Mapping[str, float], small: Mapping[str, Sequence[float]]) -> str:
    if OURS not in medians or OURS not in small:
        return ""
    tenth = statistics.median(small[OURS])
    ratio = tenth / medians[OURS] if row.rate else medians[OURS] / tenth
    return f"{ratio:.1f}"
