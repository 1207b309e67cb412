"""The incident as a picture: each request a dot, when it was sent across, how long it took upwards, on a scale of powers of ten."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from benchmarks.incident.figures import Phase

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 980, 420, 60, 20, 64, 60
#: Seconds at the bottom and at the top.
LOW, HIGH = 0.05, 100.0
INK, GRID, PAPER = "#24292f", "#d8dee4", "#ffffff"
COLOURS = {"affected": "#d1495b", "bystander": "#2e7d9a"}
WORDS = {"affected": "needs the sick tool", "bystander": "does not"}


def plot(phases: list[Phase], deadline: float) -> str:
    """An SVG document. Phases stand side by side, each as wide as any other."""
    room = (WIDTH - LEFT - RIGHT) / len(phases)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        f'<text x="{LEFT}" y="22" font-size="16" fill="{INK}">A tool goes from 200 ms to 45 s: how long each request takes</text>',
        *_legend(),
        *(_rule(seconds) for seconds in (0.1, 1, 10, 100)),
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(deadline):.1f}" y2="{_y(deadline):.1f}" stroke="{INK}" stroke-dasharray="5 4"/>',
        f'<text x="{WIDTH - RIGHT}" y="{_y(deadline) - 5:.1f}" text-anchor="end" fill="{INK}">deadline {deadline:g} s</text>',
    ]
    for place, phase in enumerate(phases):
        left = LEFT + place * room
        lines.append(
            f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>'
        )
        lines.append(
            f'<text x="{left + room / 2:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" fill="{INK}">{escape(phase.name)}</text>'
        )
        lines += _dots(phase, left + 6, room - 12)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _dots(phase: Phase, left: float, room: float) -> list[str]:
    """In the order in which they were sent; where all were sent at once, spread by their place in the wave.

    One path for all of a kind, because a browser draws thousands of circles slowly: a line of no length is a dot.
    """
    number = max(len(phase.workflows) - 1, 1)
    strokes: dict[tuple[str, bool], list[str]] = {}
    for place, each in enumerate(phase.workflows):
        dot = f"M{left + room * place / number:.1f} {_y(each.seconds):.1f}h0"
        strokes.setdefault((each.kind, each.answered), []).append(dot)
    return [
        f'<path d="{"".join(dots)}" stroke="{COLOURS[kind]}" stroke-linecap="round" '
        f'stroke-width="{3 if answered else 6}" stroke-opacity="{0.6 if answered else 1}"/>'
        for (kind, answered), dots in strokes.items()
    ]


def _legend() -> list[str]:
    lines = []
    for place, (kind, colour) in enumerate(COLOURS.items()):
        x = LEFT + place * 180
        lines.append(f'<circle cx="{x + 5}" cy="42" r="5" fill="{colour}"/>')
        lines.append(f'<text x="{x + 16}" y="46" fill="{INK}">{escape(WORDS[kind])}</text>')
    lines.append(f'<text x="{LEFT + 360}" y="46" fill="{INK}">large dot: not answered</text>')
    return lines


def _rule(seconds: float) -> str:
    y = _y(seconds)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{seconds:g} s</text>'
    )


def _y(seconds: float) -> float:
    low, high = math.log10(LOW), math.log10(HIGH)
    part = (math.log10(min(max(seconds, LOW), HIGH)) - low) / (high - low)
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
