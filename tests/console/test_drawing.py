"""Where things stand in the picture of who called whom: nothing on top of anything else, whatever was called in what circle."""

from __future__ import annotations

import itertools
import random

import pytest

from console.drawing import BOXES, LINES, NARROW, WIDE, Box, Link, Node, Picture, Shape, picture

ENTRY = Node("o", "entry")


def agents(*names: str) -> list[Node]:
    return [Node(name, "agent") for name in names]


def columns(drawn: Picture) -> dict[str, int]:
    return {box.node.id: box.column for box in drawn.boxes if box.node}


def overlap(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


def test_the_entry_stands_left_the_tools_right_and_agents_right_of_who_calls_them() -> None:
    nodes = [ENTRY, *agents("a", "b", "c"), Node("t", "tool")]
    links = [Link("o", "a"), Link("a", "b"), Link("o", "b"), Link("b", "t"), Link("o", "t")]
    assert columns(picture(nodes, links)) == {"o": 0, "a": 1, "c": 1, "b": 2, "t": 3}


@pytest.mark.parametrize(
    "links",
    [
        [Link("a", "b"), Link("b", "a")],
        [Link("a", "b"), Link("b", "c"), Link("c", "a"), Link("o", "b")],
        [Link("a", "o"), Link("o", "a")],
        [Link("a", "a"), Link("o", "o")],
        [Link("t", "a"), Link("a", "t"), Link("t", "u")],
    ],
    ids=["two", "three", "the entry", "itself", "tools that call"],
)
def test_circles_are_drawn_and_end(links: list[Link]) -> None:
    nodes = [ENTRY, *agents("a", "b", "c"), Node("t", "tool"), Node("u", "tool")]
    drawn = picture(nodes, links)
    assert len(drawn.boxes) == 6
    shown = {(line.link.source, line.link.target) for line in drawn.lines}
    assert shown == {(x.source, x.target) for x in links if {x.source, x.target} != {"t", "u"}} - {
        (name, name) for name in "ao"
    }
    back = [line for line in drawn.lines if line.back]
    at = columns(drawn)
    assert all(at[line.link.source] > at[line.link.target] for line in back)


@pytest.mark.parametrize("shape", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_box_lies_on_another_and_no_label_on_another_label(shape: Shape) -> None:
    chance = random.Random(7)
    for _ in range(30):
        names = [f"a{number}" for number in range(chance.randint(1, 14))]
        tools = [f"t{number}" for number in range(chance.randint(0, 6))]
        nodes = [ENTRY, *agents(*names), *(Node(tool, "tool") for tool in tools)]
        pairs = {(chance.choice(["o", *names]), chance.choice([*names, *tools])) for _ in range(40)}
        drawn = picture(nodes, [Link(*pair, chance.randint(1, 10**6)) for pair in sorted(pairs)], shape)
        assert not any(overlap(*pair) for pair in itertools.combinations(drawn.boxes, 2))
        labels = [line.at for line in drawn.lines]
        close = [
            (one, other)
            for one, other in itertools.combinations(labels, 2)
            if one[0] == other[0] and abs(one[1] - other[1]) < shape.port * 0.99
        ]
        assert close == []
        for box in drawn.boxes:
            assert 0 <= box.x <= drawn.width - box.width
            assert -0.01 <= box.y <= drawn.height - box.height + 0.01


def test_a_line_is_the_thicker_the_more_calls_it_stands_for() -> None:
    drawn = picture([ENTRY, *agents("a", "b")], [Link("o", "a", 1), Link("o", "b", 900)])
    thin, thick = (line.weight for line in drawn.lines)
    assert 1 < thin < thick < 5


def test_the_same_mesh_is_the_same_picture() -> None:
    nodes, links = [ENTRY, *agents("a", "b")], [Link("o", "b"), Link("a", "b")]
    assert picture(nodes, links) == picture(nodes, links)


def test_a_huge_mesh_is_drawn_in_part_and_an_empty_one_not_at_all() -> None:
    nodes = [ENTRY, *agents(*(f"a{number}" for number in range(1000)))]
    links = [Link(f"a{n}", f"a{n + 1}") for n in range(999)] + [Link("o", "nobody")]
    drawn = picture(nodes, links)
    assert (len(drawn.boxes), len(drawn.lines)) == (BOXES, BOXES - 2)
    many = [Link(f"a{x}", f"a{y}") for x in range(40) for y in range(40)]
    assert len(picture(nodes, many).lines) <= LINES
    assert picture([], []) == Picture(0.0, 0.0, [], [])
