"""A handbook in Markdown as articles: one per heading that has a text of its own."""

from __future__ import annotations

import re

from shop.models import Article

_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"\s*(```|~~~)")


def articles(markdown: str) -> list[Article]:
    """The articles in order. A deeper heading carries its parents' titles, because it is found alone."""
    found: list[Article] = []
    names: set[str] = set()
    above: dict[int, str] = {}
    title, lines, fenced = "", list[str](), False

    def finish() -> None:
        text = "\n".join(lines).strip()
        if title and text:
            found.append(Article(article=_name(title, names), title=title, text=text))

    for line in markdown.splitlines():
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if not heading:
            lines.append(line)
            continue
        finish()
        level = len(heading[1])
        above = {at: name for at, name in above.items() if at < level} | {level: heading[2]}
        title, lines = ": ".join(name for at, name in above.items() if at > 1 or level == 1), []
    finish()
    return found


def _name(title: str, taken: set[str]) -> str:
    """A short name made of the title that no other article has."""
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "article"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name)
    return name
