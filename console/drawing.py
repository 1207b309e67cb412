"""Where things stand in the picture of who called whom: columns from the entry over the agents to their tools, and curves between them.

Geometry only; the template draws it. Boxes are as high as they have lines, each line has a place of its own at both ends, and one that
passes a column has a place in that, too: so no label lies on another. It is the layered drawing of Sugiyama, Tagawa and Toda (1981).
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["entry", "agent", "tool"]

#: Boxes and lines of one picture; the table beside it has all of them.
BOXES, LINES = 60, 200
#: How often the order of the columns is improved.
SWEEPS = 8


@dataclass(frozen=True, slots=True)
class Node:
    """`id` is unique among agents and tool servers alike."""

    id: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Link:
    """So many calls of one to another."""

    source: str
    target: str
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """How large things are, in pixels: a box, the gap between columns and between boxes, the least height, and the place of a line."""

    width: float
    gap: float
    between: float
    least: float
    port: float


WIDE = Shape(width=176, gap=136, between=14, least=54, port=20)
NARROW = Shape(width=108, gap=32, between=8, least=46, port=12)


@dataclass(slots=True)
class Box:
    """A node's place; one without a node is where a line passes a column."""

    node: Node | None
    column: int
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    before: list[Box] = field(default_factory=list, repr=False, compare=False)
    after: list[Box] = field(default_factory=list, repr=False, compare=False)

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(slots=True)
class Line:
    """A link's curve, as an SVG path; `at` is where its label stands. `back` points from the right to the left."""

    link: Link
    path: str
    weight: float
    at: tuple[float, float]
    back: bool


@dataclass(slots=True)
class Picture:
    width: float
    height: float
    boxes: list[Box]
    lines: list[Line]


def picture(nodes: Sequence[Node], links: Iterable[Link], shape: Shape = WIDE) -> Picture:
    """The picture of `links` between `nodes`. One that leads to somebody else than these is left out."""
    known = {node.id: node for node in nodes[:BOXES]}
    drawn = [
        link for link in links if link.source in known and link.target in known and link.source != link.target
    ][:LINES]
    columns = _columns(known, drawn)
    drawn = [link for link in drawn if columns[link.source] != columns[link.target]]
    boxes = {name: Box(node, columns[name]) for name, node in known.items()}
    chains: list[tuple[Link, list[Box], bool]] = []
    passing: list[Box] = []
    for link in drawn:
        ends = [boxes[link.source], boxes[link.target]]
        back = ends[0].column > ends[1].column
        if back:
            ends.reverse()
        between = [Box(None, column) for column in range(ends[0].column + 1, ends[1].column)]
        passing += between
        chain = [ends[0], *between, ends[1]]
        for left, right in itertools.pairwise(chain):
            left.after.append(right)
            right.before.append(left)
        chains.append((link, chain, back))
    grid = _ordered([*boxes.values(), *passing])
    width, height = _placed(grid, shape)
    most = max((link.calls for link in drawn), default=1)
    ports = _ports(chains, shape)
    lines = [
        _line(link, chain, back, ports[number], most) for number, (link, chain, back) in enumerate(chains)
    ]
    return Picture(width, height, [box for box in boxes.values() if box.node], lines)


def _columns(known: dict[str, Node], links: list[Link]) -> dict[str, int]:
    """The entry first, each agent right of all who call it, the tools last. A call that closes a circle does not count."""
    agents = [node.id for node in known.values() if node.kind != "tool"]
    after: dict[str, list[str]] = defaultdict(list)
    for link in links:
        if known[link.target].kind == "agent" and known[link.source].kind != "tool":
            after[link.source].append(link.target)
    column = {name: int(known[name].kind != "entry") for name in agents}
    state = dict.fromkeys(agents, 0)  # 0 not seen, 1 on the way, 2 done
    done: list[str] = []
    forward: dict[str, list[str]] = defaultdict(list)
    for first in sorted(agents, key=lambda name: column[name]):
        way = [(first, iter(after[first]))] if not state[first] else []
        state[first] = state[first] or 1
        while way:
            name, rest = way[-1]
            following = next(rest, None)
            if following is None:
                state[name] = 2
                done.append(name)
                way.pop()
            elif state[following] != 1:
                forward[name].append(following)
                if state[following] == 0:
                    state[following] = 1
                    way.append((following, iter(after[following])))
    for name in reversed(done):
        for following in forward[name]:
            column[following] = max(column[following], column[name] + 1)
    last = max(column.values(), default=0) + 1
    return column | {node.id: last for node in known.values() if node.kind == "tool"}


def _ordered(boxes: list[Box]) -> list[list[Box]]:
    """The boxes by column, each near those it has lines with."""
    grid: list[list[Box]] = [[] for _ in range(max((box.column for box in boxes), default=-1) + 1)]
    for box in boxes:
        grid[box.column].append(box)
    for sweep in range(SWEEPS):
        place = {
            id(box): number / max(len(column), 1) for column in grid for number, box in enumerate(column)
        }
        for column in grid if sweep % 2 == 0 else reversed(grid):
            size = max(len(column), 1)
            wish = {id(box): _wish(box, place, forward=sweep % 2 == 0) for box in column}
            column.sort(key=lambda box: wish[id(box)])
            place |= {id(box): number / size for number, box in enumerate(column)}
    return grid


def _wish(box: Box, place: dict[int, float], *, forward: bool) -> float:
    """Where a box would be best, by those before it or those after it; where it is, if there is nobody."""
    others = box.before if forward else box.after
    return sum(place[id(each)] for each in others) / len(others) if others else place[id(box)]


def _placed(grid: list[list[Box]], shape: Shape) -> tuple[float, float]:
    """Give every box its place; the width and height of it all."""
    for number, column in enumerate(grid):
        y = 0.0
        for box in column:
            lines = max(len(box.before), len(box.after))
            box.width = shape.width
            box.height = shape.port if box.node is None else max(shape.least, (lines + 0.5) * shape.port)
            box.x, box.y = number * (shape.width + shape.gap), y
            y += box.height + shape.between
    height = max((column[-1].y + column[-1].height for column in grid if column), default=0.0)
    for column in grid:
        if column:
            shift = (height - column[-1].y - column[-1].height) / 2
            for box in column:
                box.y += shift
    return max(0.0, len(grid) * (shape.width + shape.gap) - shape.gap), height


def _ports(chains: list[tuple[Link, list[Box], bool]], shape: Shape) -> list[list[tuple[float, float]]]:
    """For each chain, for each of its pieces, at which height it leaves and arrives."""
    leaving: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    arriving: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    for number, (_, chain, _) in enumerate(chains):
        for piece, (left, right) in enumerate(itertools.pairwise(chain)):
            leaving[id(left)].append((right.middle, number, piece))
            arriving[id(right)].append((left.middle, number, piece))
    boxes = {id(box): box for _, chain, _ in chains for box in chain}
    found = [[(0.0, 0.0)] * (len(chain) - 1) for _, chain, _ in chains]
    for side, ends in enumerate((leaving, arriving)):
        for key, members in ends.items():
            first = boxes[key].middle - (len(members) - 1) / 2 * shape.port
            for place, (_, number, piece) in enumerate(sorted(members)):
                pair = list(found[number][piece])
                pair[side] = first + place * shape.port
                found[number][piece] = (pair[0], pair[1])
    return found


def _line(link: Link, chain: list[Box], back: bool, ports: list[tuple[float, float]], most: int) -> Line:
    pieces = list(zip(chain, chain[1:], ports, strict=False))
    start = (chain[0].x + chain[0].width, ports[0][0])
    path = f"M{start[0]:.0f} {start[1]:.1f}"
    x, y = start
    for left, right, (leaves, arrives) in pieces:
        if left.node is None:  # straight through the column
            path += f"H{left.x + left.width:.0f}"
        x, y = left.x + left.width, leaves
        bend = (right.x - x) / 2
        path += f"C{x + bend:.0f} {y:.1f} {x + bend:.0f} {arrives:.1f} {right.x:.0f} {arrives:.1f}"
        x, y = right.x, arrives
    weight = 1.25 + 3.25 * math.sqrt(link.calls / max(most, 1))
    at = (x, y) if not back else start
    return Line(link, path, round(weight, 2), at, back)
