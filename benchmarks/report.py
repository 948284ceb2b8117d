"""The table: medians, and Fruix against the faster of its peers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from row import Row

OURS = "fruix"
_SCALE = {"ms": 1000.0}


def table(
    rows: Sequence[Row], results: Mapping[str, Mapping[str, Sequence[float]]], own: Mapping[str, float]
) -> str:
    """The table of a run as Markdown.

    The last column says how many times better (above 1) or worse Fruix is than the best peer.
    """
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    lines = [
        _line(["what", "unit", *names, "against the best"]),
        _line(["---"] * 2 + ["---:"] * (len(names) + 1)),
    ]
    for row in rows:
        if row.key in results:
            medians = {name: statistics.median(values) for name, values in results[row.key].items()}
            cells = [
                _figure(medians[name] * _SCALE.get(row.unit, 1.0)) if name in medians else ""
                for name in names
            ]
            lines.append(_line([row.title, row.unit, *cells, _ratio(row, medians)]))
    if own:
        lines += ["", _line(["Fruix alone", "median"]), _line(["---", "---:"])]
        lines += [_line([title, _figure(value)]) for title, value in own.items()]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio(row: Row, medians: Mapping[str, float]) -> str:
    others = [value for name, value in medians.items() if name != OURS]
    if OURS not in medians or not others:
        return ""
    ratio = medians[OURS] / max(others) if row.rate else min(others) / medians[OURS]
    return f"{ratio:.2f}"
