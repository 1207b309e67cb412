"""Decisions put together again: a run as a tree of what followed from what, and all that led to one action.

They come from many agents, whose clocks differ and of whom each says what it likes. So nothing here fails: a parent that is not
there, a circle, or nonsense makes a root of a decision, never loses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: How deep a tree may become, so that whoever walks it may recurse; what would be deeper stands beside what it followed from.
DEEP = 64
#: What an agent did for its answer, and what came of it only for one action.
_WORK = ("tool_call", "model_call", "context", "agent_call", "route", "plan", "budget", "resolve_conflict")
#: Of what a number may come to: JSON has larger ones than a float.
_MUCH = 1e300

Told = Mapping[str, Any]


@dataclass
class Node:
    """A decision, and what followed from it, the oldest first."""

    decision: dict[str, Any]
    below: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[int, Node]]:
        """This and all that is below, in the order in which one reads it, each with its depth."""
        waiting = [(0, self)]
        while waiting:
            depth, node = waiting.pop()
            yield depth, node
            waiting += [(depth + 1, each) for each in reversed(node.below)]


def tree(decisions: Sequence[Told]) -> list[Node]:
    """What began by itself, each with what followed from it. What an agent decided stands below the call that asked it."""
    rows = _rows(decisions)
    above = _above(rows)
    nodes = {name: Node(row) for name, row in rows.items()}
    roots = []
    for name in rows:
        path = _path(name, above)
        if len(path) > 1:
            nodes[path[min(len(path) - 1, DEEP - 1) - 1]].below.append(nodes[name])
        else:
            roots.append(nodes[name])
    return roots


def why(decisions: Sequence[Told], action: str) -> list[dict[str, Any]]:
    """All that led to the action with this key, and what came of it, the oldest first; nothing for one that is not known.

    That is: the verdicts on it, what people said of it, its effect, the disagreements it was a side of; who proposed it, and why that
    one was asked; what that agent read and was told; and the same of the parts whose facts it was given.
    """
    rows = _rows(decisions)
    nodes: dict[str, Node] = {}
    above: dict[str, str] = {}
    for root in tree(decisions):
        for _, node in root.walk():
            nodes[node.decision["id"]] = node
            above |= {each.decision["id"]: node.decision["id"] for each in node.below}
    keys = _became(rows, action)
    chosen: set[str] = set()
    asked = [name for name, row in rows.items() if keys & _actions(row)]
    while asked:
        name = asked.pop()
        if name in chosen:
            continue
        chosen.add(name)
        row = rows[name]
        if name in above:
            asked.append(above[name])
        if row.get("kind") == "agent_call":
            chosen |= {each.decision["id"] for _, each in nodes[name].walk() if _is_work(each.decision, keys)}
        if row.get("kind") == "route":
            asked += _answers(rows, row)
    return [row for name, row in rows.items() if name in chosen]


def _rows(decisions: Sequence[Told]) -> dict[str, dict[str, Any]]:
    """By id, the oldest first, and last what it came to in the end, which is as old as the work; of two with one id the first counts."""
    known: dict[str, dict[str, Any]] = {}
    for each in decisions:
        if isinstance(each, Mapping) and isinstance(name := each.get("id"), str) and name:
            known.setdefault(name, dict(each))
    return dict(
        sorted(known.items(), key=lambda item: (item[1].get("kind") == "final", _number(item[1].get("at"))))
    )


def _above(rows: Mapping[str, Told]) -> dict[str, str]:
    """Of each decision the one it followed from: by its own word, else by that of the call that asked the agent which made it."""
    calls = [(name, row) for name, row in rows.items() if row.get("kind") == "agent_call"]
    named = {below: name for name, row in calls for below in _texts(row.get("below"))}
    tasks: dict[str, list[str]] = {}
    for name, row in calls:
        if row.get("remote"):
            tasks.setdefault(str(row["remote"]), []).append(name)
    found = {}
    for name, row in rows.items():
        parent = row.get("parent")
        if not isinstance(parent, str) or parent not in rows:
            same = tasks.get(str(row.get("task") or ""), [])
            turn = max(int(_number(row.get("turn"))), 1)
            parent = named.get(name) or (same[min(turn, len(same)) - 1] if same else "")
        if parent and parent != name:
            found[name] = parent
    return found


def _path(name: str, above: Mapping[str, str]) -> list[str]:
    """From the root to this one, both with it. In a circle the one with the first id is the root."""
    path, seen = [name], {name: 0}
    while (name := above.get(name, "")) and name not in seen:
        seen[name] = len(path)
        path.append(name)
    if name in seen:
        circle = path[seen[name] :]
        first = min(circle)
        path = path[: path.index(first) + 1]
    return path[::-1]


def _became(rows: Mapping[str, Told], action: str) -> set[str]:
    """The action, and those that people made it of."""
    made = {
        str(more["became"]): str(row.get("action") or "")
        for row in rows.values()
        if isinstance(more := row.get("more"), Mapping) and more.get("became")
    }
    keys: set[str] = set()
    while action and action not in keys:
        keys.add(action)
        action = made.get(action, "")
    return keys


def _actions(row: Told) -> set[str]:
    """The actions that a decision is about; a disagreement is about those of all its sides."""
    more = row.get("more")
    return {
        str(row.get("action") or ""),
        *(_texts(more.get("actions")) if isinstance(more, Mapping) else ()),
    } - {""}


def _is_work(row: Told, keys: set[str]) -> bool:
    about = _actions(row)
    return row.get("kind") in _WORK and (not about or bool(about & keys))


def _given(route: Told) -> set[str]:
    """The parts whose facts were passed on."""
    passed = route.get("passed")
    pieces = (
        [each for each in passed if isinstance(each, Mapping)] if isinstance(passed, list | tuple) else []
    )
    sources = [str(each.get("source") or "") for each in pieces]
    return {source.removeprefix("finding:") for source in sources if source.startswith("finding:")}


def _answers(rows: Mapping[str, Told], route: Told) -> list[str]:
    """What had answered, by then, the parts whose facts were passed on."""
    given = _given(route)
    return [
        name
        for name, row in rows.items()
        if row.get("kind") == "agent_call"
        and str(row.get("subtask") or "") in given
        and row.get("task") == route.get("task")
        and row.get("outcome") in ("answered", "stand-in")
        and _number(row.get("at")) <= _number(route.get("at"))
    ]


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []


def _number(value: Any) -> float:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return float(min(max(value, -_MUCH), _MUCH)) if is_one else 0.0
