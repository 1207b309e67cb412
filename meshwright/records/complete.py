"""Is everything there, and twice: the spans of a request and its decision rows, each held against the other.

A view that lost something looks like work that was not done; so for each call and verdict both sides are looked for, by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from meshwright.records import correlation, semconv

#: As OTLP numbers the kinds of spans.
SERVER, CLIENT = 2, 3
GATE = "gate"
#: What a CLIENT span of an operation has exactly one of.
PARTNERS: Mapping[str, frozenset[str]] = {
    semconv.INVOKE_AGENT: frozenset({"agent_call"}),
    semconv.EXECUTE_TOOL: frozenset({"tool_call", "effect"}),
    semconv.CHAT: frozenset({"model_call"}),
}
#: Kinds of rows that are made in a span of their own, by the operation of that span.
OPERATIONS = {kind: operation for operation, kinds in PARTNERS.items() for kind in kinds}


class Span(Protocol):
    """A span as a backend holds it; ids in hex, `parent` empty for a root."""

    @property
    def trace(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def parent(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> int: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is not as it must be: what, where (a span's or a row's id), and what it is about."""

    what: str
    where: str
    about: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.about} ({self.where})"


def flaws(spans: Iterable[Span], decisions: Iterable[Mapping[str, Any]]) -> list[Flaw]:
    """What is wrong with one request: `spans` of its trace, each as often as it was told, and its `decisions` as JSON (a row may come
    twice, from who made it and from who heard of it). Empty where every span and every row has its partner."""
    told = _once(spans)
    rows = {str(row.get("id", "")): row for row in decisions}
    below: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows.values():
        below[str(row.get("span", ""))].append(row)
    found = list(_tree(told))
    for key, each in told.items():
        found += _partners(key, each, below.get(key, ()))
    for row in rows.values():
        found += _row(row, told)
    return found


@dataclass(slots=True)
class _Told:
    """A span, with all that was said of it: who takes work over tells the span of the dead again."""

    span: Span
    attributes: dict[str, Any]
    decisions: set[str]

    @property
    def operation(self) -> str:
        return str(self.attributes.get(semconv.OPERATION, "")) if self.span.kind == CLIENT else ""


def _once(spans: Iterable[Span]) -> dict[str, _Told]:
    told: dict[str, _Told] = {}
    for span in spans:
        known = told.setdefault(span.id, _Told(span, {}, set()))
        known.attributes |= span.attributes
        known.decisions |= set(span.attributes.get(semconv.DECISIONS, ()))
    return told


def _tree(told: Mapping[str, _Told]) -> Iterator[Flaw]:
    """One trace, one root, no orphan, one id on everything."""
    roots = [each.span for each in told.values() if not each.span.parent]
    if told and not roots:
        yield Flaw("no root", next(iter(told)), "every span has a parent")
    for root in roots[1:]:
        yield Flaw("second root", root.id, root.name)
    first = next(iter(told.values()), None)
    for key, each in told.items():
        assert first is not None
        if each.span.trace != first.span.trace:
            yield Flaw("another trace", key, each.span.name)
        if each.span.parent and each.span.parent not in told:
            yield Flaw("orphan", key, each.span.name)
        for name in (correlation.CORRELATION, correlation.SESSION):
            if each.attributes.get(name) != first.attributes.get(name):
                yield Flaw(f"another {name}", key, each.span.name)


def _partners(key: str, told: _Told, rows: Sequence[Mapping[str, Any]]) -> Iterator[Flaw]:
    """A span, and the rows that were made in it."""
    name = told.span.name
    if wanted := PARTNERS.get(told.operation):
        partners = [row for row in rows if row.get("kind") in wanted]
        if not partners:
            yield Flaw("span without row", key, name)
        elif len(partners) > 1:
            yield Flaw("span with several rows", key, f"{name}: {sorted(str(p['kind']) for p in partners)}")
    if name == GATE:
        judged = [row for row in rows if row.get("kind") == "gate"]
        if len(judged) < len(told.attributes.get(semconv.VERDICTS, ())):
            yield Flaw("verdict without row", key, str(told.attributes[semconv.VERDICTS]))
    made = {str(row["id"]) for row in rows}
    for decision in sorted(told.decisions - made):
        yield Flaw("named without row", decision, name)
    for row in rows:
        if row["id"] not in told.decisions:
            yield Flaw("row not named", str(row["id"]), f"{row.get('kind')} on {name}")


def _row(row: Mapping[str, Any], told: Mapping[str, _Told]) -> Iterator[Flaw]:
    """A row, and the span that it was made in."""
    key, kind, where = str(row.get("id", "")), str(row.get("kind", "")), str(row.get("span", ""))
    each = told.get(where)
    about = f"{kind} of {row.get('agent')}: {row.get('outcome')}"
    if each is None:
        # A row that was made where no span is, such as when a person decides, hangs on nothing; one that names a span is lost.
        if where or kind in OPERATIONS:
            yield Flaw("row without span", key, about)
        return
    if row.get("trace") != each.span.trace:
        yield Flaw("row of another trace", key, about)
    if (operation := OPERATIONS.get(kind)) and each.operation != operation:
        yield Flaw("row on another span", key, f"{about}, on {each.span.name}")
