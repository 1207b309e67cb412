"""How a review looks on a terminal: exactly what would run, with nothing hidden in it, and everything that speaks for and against.

Pages come from a mesh that may be newer or older than this CLI, so every field is optional here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from meshwright.cli.console import plain
from meshwright.cli.reports import money

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_RISK = {"high": "red", "medium": "yellow", "low": "green"}
#: Letters of an id that a list shows.
SHORT = 8


def listed(rows: list[dict[str, Any]]) -> Table:
    """The queue, a line for each."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for column in ("review", "risk", "what would run", "why it stopped", "stands", "run"):
        table.add_column(column, overflow="fold", no_wrap=column in ("review", "run"))  # to be copied
    for row in rows:
        risk = plain(row.get("risk") or "")
        policy = f" [{plain(row['policy'])}]" if row.get("policy") else ""
        table.add_row(
            Text(plain(row.get("id", ""))[:SHORT]),
            Text(f"{risk} !" if row.get("escalated") else risk, _RISK.get(risk, "")),
            Text.assemble(call(row), ("  odd characters", "red") if row.get("odd") else ""),
            Text(f"{plain(row.get('why', ''))}{policy}"),
            Text(standing(row)),
            Text(plain(row.get("run", ""))),
        )
    return table


def sheet(page: dict[str, Any], digest: str) -> Table:
    """All of one review. `digest` is the hash of what is shown here."""
    from rich.text import Text

    source = ", ".join(plain(page[name]) for name in ("policy", "source") if page.get(name))
    amount = "" if page.get("amount") is None else money(page["amount"])
    before = page.get("edited_from") or {}
    return fields(
        [
            ("review", Text.assemble(plain(page.get("id", "")), (f"  {standing(page)}", "yellow"))),
            ("risk", Text(plain(page.get("risk") or ""), _RISK.get(str(page.get("risk")), ""))),
            ("would run", call(page, lines=True)),
            ("moves", amount),
            ("odd", Text("\n".join(plain(remark) for remark in page.get("remarks") or []), "red")),
            ("hash", Text(digest, "dim")),
            ("why it stopped", f"{plain(page.get('why') or '')}{f'  [{source}]' if source else ''}"),
            ("proposed by", _said(page.get("proposed_by"), page.get("says"))),
            ("instead of", call({**page, **before}) if before else ""),
            ("came from", "\n".join(f"{plain(k)}: {plain(v)}" for k, v in (page.get("provenance") or {}).items())),
            ("two sides", _sides(page.get("conflict") or {})),
            ("evidence", "\n".join(_said(e.get("source"), e.get("quote")) for e in page.get("evidence") or [])),
            ("the request", _said(page.get("client") or "a stranger", page.get("request"))),
            ("approved by", "\n".join(_said(v.get("by"), v.get("reason")) for v in page.get("approvals") or [])),
            ("decided by", _said(page.get("decided_by"), page.get("reason")) if page.get("decided_by") else ""),
            ("run", plain(page.get("run", ""))),
        ]
    )  # fmt: skip


def fields(rows: list[tuple[str, Text | str]]) -> Table:
    """Two columns; what is empty is left out."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        if str(value):
            table.add_row(label, value if isinstance(value, Text) else Text(value))
    return table


def call(page: dict[str, Any], *, lines: bool = False) -> Text:
    """An action with its arguments as the JSON that will run, each on a line of its own if wanted."""
    from rich.text import Text

    from meshwright.reviews.visible import shown, visible

    given = [
        f"{shown(plain_key)}: {visible(value)}"
        for plain_key, value in sorted((page.get("arguments") or {}).items())
    ]
    inner = "".join(f"\n  {each}" for each in given) if lines else f"({', '.join(given)})"
    return Text.assemble((plain(page.get("action", "?")), "bold"), plain(inner))


def standing(page: dict[str, Any]) -> str:
    """Where a review stands, in a few words."""
    if page.get("state") != "open":
        return f"{plain(page.get('state', ''))}, by {plain(page.get('decided_by') or 'nobody')}"
    needed, done = page.get("needed") or 1, len(page.get("approvals") or [])
    words = ["open"] if needed == 1 else [f"needs {needed} people", *([f"{done} approved"] if done else [])]
    words += ["escalated"] if page.get("escalated") else [_until("due", page.get("due"))]
    words += [_until("expires", page.get("expires"))]
    if page.get("claimed_by") and (page.get("claimed_until") or 0) > time.time():
        words.append(f"claimed by {plain(page['claimed_by'])}")
    return " · ".join(word for word in words if word)


def _until(word: str, instant: Any) -> str:
    if not isinstance(instant, int | float):
        return ""
    left = max(instant - time.time(), 0)
    return f"{word} in {left / 86_400:.0f} d" if left > 172_800 else f"{word} in {left / 3_600:.0f} h"


def _said(who: Any, words: Any) -> str:
    name = plain(who or "nobody")
    return f"{name}: {plain(words)}" if words else name


def _sides(conflict: dict[str, Any]) -> str:
    candidates = [f"- {plain(each)}" for each in conflict.get("candidates") or []]
    chosen = f"chosen: {plain(conflict['chosen'])}" if conflict.get("chosen") else ""
    return "\n".join(
        filter(
            None, [plain(conflict.get("about") or ""), *candidates, chosen, plain(conflict.get("why") or "")]
        )
    )
