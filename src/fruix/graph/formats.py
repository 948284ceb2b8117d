"""A graph as text: SVG, which a browser shows, and the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from fruix.graph.layered import BOX_HEIGHT, Picture, layout
from fruix.graph.value import Graph


class _Style(NamedTuple):
    """How edges of a kind are drawn in SVG, what its legend calls them, and their style in DOT."""

    svg: str
    legend: str
    dot: str = ""


_STYLES: Mapping[str, _Style] = {
    "input": _Style("", "input"),
    "propagated": _Style("stroke-width:2.2", "propagated input", "bold"),
    "native": _Style("stroke-dasharray:5 3;stroke:#8a8f98", "native input", "dashed"),
    "reference": _Style("", "reference"),
}
_ROOT = ' class="r"'
_MARGIN = 16.0
_TITLE = 26.0
_LEGEND = 26.0
_STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1d2430;text-anchor:middle}"
    ".t{font-size:14px;font-weight:bold;text-anchor:start}.l{font-size:11px;text-anchor:start}"
    "rect{fill:#f3f6fb;stroke:#5b6b86;stroke-width:1}.r rect{fill:#dbe8ff;stroke:#1f4fa3;stroke-width:2}"
    "path{fill:none;stroke:#5b6b86;stroke-width:1.2}marker path{fill:#5b6b86;stroke:none}"
)
_ARROW = (
    '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto" '
    'markerUnits="userSpaceOnUse"><path d="M0 0.5L8 4L0 7.5z"/></marker></defs>'
)


def to_svg(graph: Graph, title: str) -> str:
    """The picture, with the title above and the kinds of edges below if there are several.

    The same graph gives the same text.
    """
    picture = layout(graph)
    kinds = [kind for kind in _STYLES if any(edge.kind == kind for edge in graph.edges)]
    legend = _legend(kinds, picture.height + _TITLE + 18) if len(kinds) > 1 else []
    width = max(picture.width, len(title) * 8.6, 150.0 * len(kinds) if legend else 0) + 2 * _MARGIN
    height = picture.height + _TITLE + 2 * _MARGIN + (_LEGEND if legend else 0)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
            f'viewBox="0 0 {_n(width)} {_n(height)}">'
        ),
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{_ARROW}",
        '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>',
        f'<g transform="translate({_n(_MARGIN)} {_n(_MARGIN)})">',
        f'<text class="t" x="0" y="12">{escape(title)}</text>',
        f'<g transform="translate(0 {_n(_TITLE)})">',
        *_lines(graph, picture),
        *_boxes(graph, picture),
        "</g>",
        *legend,
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def to_dot(graph: Graph, title: str) -> str:
    """Text for `dot`. Keys and labels may hold anything."""
    lines = [f"digraph {_quoted(title)} {{", "  node [shape=box, style=rounded, fontname=monospace];"]
    for node in graph.nodes:
        root = ", penwidth=2" if node.root else ""
        lines.append(f"  {_quoted(node.key)} [label={_quoted(node.label)}{root}];")
    for edge in graph.edges:
        style = f" [style={_STYLES[edge.kind].dot}]" if _STYLES[edge.kind].dot else ""
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    """A text as a quoted string of DOT."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _lines(graph: Graph, picture: Picture) -> Iterable[str]:
    for edge in graph.edges:
        points = picture.lines[edge.source, edge.target]
        yield f'<path d="{_curve(points)}"{_style(edge.kind)} marker-end="url(#a)"/>'


def _boxes(graph: Graph, picture: Picture) -> Iterable[str]:
    for node in graph.nodes:
        box = picture.boxes[node.key]
        yield (
            f"<g{_ROOT if node.root else ''}><title>{escape(node.key)}</title>"
            f'<rect x="{_n(box.x - box.width / 2)}" y="{_n(box.y - BOX_HEIGHT / 2)}" width="{_n(box.width)}" '
            f'height="{_n(BOX_HEIGHT)}" rx="5"/>'
            f'<text x="{_n(box.x)}" y="{_n(box.y + 4)}">{escape(node.label)}</text></g>'
        )


def _legend(kinds: Sequence[str], y: float) -> list[str]:
    parts = []
    for number, kind in enumerate(kinds):
        x = number * 150.0
        parts.append(
            f'<path d="M{_n(x)} {_n(y)}H{_n(x + 30)}"{_style(kind)} marker-end="url(#a)"/>'
            f'<text class="l" x="{_n(x + 36)}" y="{_n(y + 4)}">{escape(_STYLES[kind].legend)}</text>'
        )
    return parts


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A path of SVG through points that leaves and arrives upright and is smooth at bends."""
    (x, y), *rest = points
    text = f"M{_n(x)} {_n(y)}"
    for next_x, next_y in rest:
        middle = (next_y - y) / 2
        text += f"C{_n(x)} {_n(y + middle)} {_n(next_x)} {_n(next_y - middle)} {_n(next_x)} {_n(next_y)}"
        x, y = next_x, next_y
    return text


def _style(kind: str) -> str:
    style = _STYLES[kind].svg
    return f' style="{style}"' if style else ""


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
