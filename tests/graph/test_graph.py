"""Graphs: shortest ways, DOT, and a layout that keeps its promises for any graph."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fruix.graph import Edge, Graph, Node, shortest_paths, to_dot, to_svg
from fruix.graph.layered import BOX_HEIGHT, GAP, layout
from fruix.graph.order import build_rows, crossings, order_rows
from fruix.graph.positions import pooled
from fruix.graph.ranks import ranks


def graph(*pairs: str, nodes: str = "") -> Graph:
    names = sorted({*"".join(pairs), *nodes})
    return Graph.of([Node(name, f"label-{name}") for name in names], [Edge(*pair) for pair in pairs])


GRAPHS = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 14)).map(lambda pair: (f"n{pair[0]}", f"n{pair[1]}")),
    max_size=40,
).map(
    lambda pairs: Graph.of(
        [Node(f"n{i}", f"n{i}" * (i % 4 + 1)) for i in range(15)], [Edge(*pair) for pair in pairs]
    )
)


def test_no_edge_to_itself_and_none_twice() -> None:
    assert [(edge.source, edge.target) for edge in graph("aa", "ab", "ab").edges] == [("a", "b")]


def test_shortest_paths() -> None:
    needs = {"a": "bcd", "b": "e", "c": "e", "d": "f", "e": "g", "f": "", "g": "a"}
    ways = ["".join(path) for path in shortest_paths("a", "g", needs.__getitem__)]
    assert ways == ["abeg", "aceg"]
    assert list(shortest_paths("f", "a", needs.__getitem__)) == []
    assert list(shortest_paths("a", "a", needs.__getitem__)) == [["a"]]


def test_no_question_beyond_the_goal() -> None:
    asked = []

    def needs(number: int) -> list[int]:
        asked.append(number)
        return [number + 1]

    assert list(shortest_paths(0, 3, needs)) == [[0, 1, 2, 3]]
    assert asked == [0, 1, 2]


def test_dot() -> None:
    text = to_dot(
        Graph.of([Node('a"b', "a\\b", root=True), Node("c", "c")], [Edge('a"b', "c", "native")]), "some title"
    )
    assert 'digraph "some title" {' in text
    assert r'"a\"b" [label="a\\b", penwidth=2];' in text
    assert r'"a\"b" -> "c" [style=dashed];' in text


def test_rows_go_down_and_are_as_few_as_the_longest_way() -> None:
    rank, _ = ranks(graph("ab", "bc", "ac", "dc"))
    assert (rank["a"], rank["b"], rank["c"]) == (0, 1, 2)
    assert rank["d"] == 1  # just above what it points to


def test_circles_are_cut() -> None:
    rank, edges = ranks(graph("ab", "bc", "ca"))
    assert sorted(rank.values()) == [0, 1, 2]
    assert ("a", "c") in edges


def test_crossings_that_can_be_avoided_are() -> None:
    rank, edges = ranks(graph("ax", "by", "cz", "az", "xp", "yq", "zr"))
    rows = build_rows(rank, edges)
    rows.rows[1] = list(reversed(rows.rows[1]))
    assert crossings(rows) > 0
    order_rows(rows)
    assert crossings(rows) == 0


def test_pooling_keeps_order_and_distance_and_moves_no_more_than_needed() -> None:
    assert pooled([0, 10, 20], [1, 1, 1], [5, 5]) == [0, 10, 20]
    assert pooled([0, 0], [1, 1], [10]) == [-5, 5]
    assert pooled([0, 0], [3, 1], [8]) == [-2, 6]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12))
def test_pooling_never_overlaps(wanted: list[float]) -> None:
    places = pooled(wanted, [1.0] * len(wanted), [3.0] * (len(wanted) - 1))
    assert all(b - a >= 3 - 1e-6 for a, b in pairwise(places))


@settings(max_examples=100, deadline=None)
@given(GRAPHS)
def test_a_picture_of_any_graph(some: Graph) -> None:
    picture = layout(some)
    assert set(picture.boxes) == {node.key for node in some.nodes}
    boxes = sorted(picture.boxes.values(), key=lambda box: (box.y, box.x))
    for one, other in pairwise(boxes):
        assert other.y - one.y >= BOX_HEIGHT or other.x - one.x >= (one.width + other.width) / 2 + GAP - 1e-6
    for box in boxes:
        assert box.x - box.width / 2 >= -1e-6
        assert box.x + box.width / 2 <= picture.width + 1e-6
        assert BOX_HEIGHT / 2 <= box.y <= picture.height - BOX_HEIGHT / 2 + 1e-6
    for edge in some.edges:
        points = picture.lines[edge.source, edge.target]
        ends = {(round(x), round(y)) for x, y in (points[0], points[-1])}
        for key in (edge.source, edge.target):
            box = picture.boxes[key]
            assert {(round(box.x), round(box.y + side * BOX_HEIGHT / 2)) for side in (-1, 1)} & ends


def test_svg_is_well_formed_and_the_same_each_time() -> None:
    some = Graph.of(
        [Node("a&b", "<a>", root=True), Node("c", "c"), Node("alone", "alone")],
        [Edge("a&b", "c", "native")],
    )
    text = to_svg(some, "a & b")
    assert text == to_svg(some, "a & b")
    root = ET.fromstring(text)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<a>", "c", "alone", "a & b"} <= set(texts)
    width = float(root.attrib["width"])
    assert all(float(x) <= width for x in re.findall(r' x="([0-9.]+)"', text))


def test_a_legend_if_there_are_several_kinds() -> None:
    some = Graph.of([Node(key, key) for key in "abc"], [Edge("a", "b"), Edge("a", "c", "propagated")])
    assert "propagated input" in to_svg(some, "t")
    assert "native input" not in to_svg(some, "t")


@pytest.mark.parametrize("text", [to_svg, to_dot])
def test_nothing_to_draw(text: object) -> None:
    assert callable(text)
    assert text(Graph((), ()), "empty")
