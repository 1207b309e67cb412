"""Spans told again from rows: what a process that was killed had ended, and not sent yet.

Spans wait a moment to be sent, and die with their process; rows do not. Since a span's id follows from its place, and a row knows its
span and the one above, whoever comes after can tell the same spans again: who takes a turn up for the steps of that turn, who starts
for the last seconds of who was here before. A span that had arrived after all comes twice under one id, which is one span.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from meshwright.errors import StoreUnavailable
from meshwright.records import correlation, semconv, tracing

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction

log = logging.getLogger(__name__)

#: Seconds before the last row from which on a span may not have been sent: a batch waits five, as the SDK has it, and may take three to be sent.
UNSENT = 9.0
#: Seconds that a span may have lasted, and rows that are read.
LONGEST, MOST = 120.0, 2_000

_ROWS = (
    "SELECT d.body, d.task_id, t.context_id, t.state, t.answered FROM decisions d JOIN tasks t ON t.id = d.task_id"
    " WHERE d.agent = ? AND d.heard = 0 AND d.at > ? AND (? = '' OR d.task_id = ?) ORDER BY d.at DESC LIMIT ?"
)
#: By the kind of a row: the kind of its span, its operation, and whether what was selected is in its name.
_SPANS: Mapping[str, tuple[SpanKind, str, bool]] = {
    "agent_call": (SpanKind.CLIENT, semconv.INVOKE_AGENT, True),
    "tool_call": (SpanKind.CLIENT, semconv.EXECUTE_TOOL, True),
    "effect": (SpanKind.CLIENT, semconv.EXECUTE_TOOL, True),
    "model_call": (SpanKind.CLIENT, semconv.CHAT, True),
    "plan": (SpanKind.INTERNAL, semconv.PLAN, False),
    "gate": (SpanKind.INTERNAL, "gate", False),
}
#: What spans without an operation of GenAI's are in a viewer.
_VIEWED = {"plan": semconv.CHAIN, "gate": semconv.GUARDRAIL}
#: Attributes of a span that a row has as fields.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "agent_call": {"selected": semconv.AGENT, "agent": semconv.CALLER, "remote": semconv.A2A_TASK},
    "tool_call": {"selected": semconv.TOOL},
    "effect": {"selected": semconv.TOOL},
    "model_call": {
        "selected": semconv.REQUEST_MODEL,
        "tokens_in": semconv.INPUT_TOKENS,
        "tokens_out": semconv.OUTPUT_TOKENS,
    },
}


async def retell(
    database: Database, agent: str, task: str = "", turn: int = 0, *, operation: str = ""
) -> int:
    """Tell again what was decided in the turn of a task that is being taken up; without one, in the last seconds of this `agent`, and
    then also the turns that have ended, as `operation`. Returns how many spans that were; 0 where nobody listens, or the database cannot be
    reached."""
    if not tracing.listened_to():
        return 0
    try:
        rows = await database.read(lambda tx: _rows(tx, agent, task))
        found = [(row, json.loads(row["body"])) for row in rows]
        if task:
            found = [(row, body) for row, body in found if body.get("turn", 1) == turn]
        else:
            last = max((_end(body) for _, body in found), default=0.0)
            found = [(row, body) for row, body in found if _end(body) > last - UNSENT]
        told = 0
        found.sort(key=lambda pair: (pair[0]["task_id"], pair[1].get("turn", 1)))
        for (task_id, number), several in groupby(found, lambda p: (p[0]["task_id"], p[1].get("turn", 1))):
            some = list(several)
            headers = await database.read(lambda tx, t=task_id, n=number: _headers(tx, t, n))  # type: ignore[misc]
            if headers is not None:
                told += _turn(headers, number, some, operation)
    except StoreUnavailable as error:
        log.info("no span is told again: %s", error)
        return 0
    return told


async def _rows(tx: Transaction, agent: str, task: str) -> list[Row]:
    since = 0.0
    if not task:
        newest = await tx.execute(
            "SELECT at FROM decisions WHERE agent = ? AND heard = 0 ORDER BY at DESC LIMIT 1", agent
        )
        if not newest:
            return []
        since = newest[0]["at"] - UNSENT - LONGEST
    return await tx.execute(_ROWS, *(agent, since, task, task, MOST))


async def _headers(tx: Transaction, task: str, turn: int) -> dict[str, str] | None:
    rows = await tx.execute("SELECT headers FROM inbox WHERE task_id = ? AND turn = ?", task, turn)
    return dict(json.loads(rows[0]["headers"])) if rows else None


def _end(body: Mapping[str, Any]) -> float:
    return float(body["at"]) + float(body.get("ms", 0)) / 1000


def _turn(
    headers: Mapping[str, str], number: int, some: Sequence[tuple[Row, dict[str, Any]]], operation: str
) -> int:
    """The spans of one turn; with `operation` its own, too, if it has ended."""
    row, first = some[0]
    whole = [body for _, body in some]
    by_span: dict[str, list[dict[str, Any]]] = defaultdict(list)
    told = 0
    with tracing.again(
        *(headers, row["task_id"], number, str(row["context_id"]), str(first.get("run", ""))),
        str(first.get("caller", "")),
    ) as place:
        for body in whole:
            if body.get("trace") == place.trace:  # else nobody listened when it was made
                by_span[body["span"]].append(body)
        own = by_span.pop(place.span, [])
        if operation and (own or by_span) and row["answered"] >= number:
            notes = {semconv.OPERATION: operation, **_of_turn(row, first)}
            _tell(f"{operation} {first['agent']}", SpanKind.SERVER, place, notes, own, whole)
            told += 1
        for span, bodies in by_span.items():
            # a step of a run has rows of other kinds, too; those say nothing of the span itself
            its = next((each for each in bodies if each["kind"] in _SPANS and each.get("above")), None)
            if its is None:
                continue
            kind, what, named = _SPANS[its["kind"]]
            name = f"{what} {its.get('selected', '')}" if named else what
            where = tracing.Place(place.trace, span, its["above"])
            _tell(name, kind, where, _attributes(its, what), bodies, bodies)
            told += 1
    return told


def _of_turn(row: Row, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        semconv.AGENT: body["agent"],
        semconv.CALLER: body.get("caller", ""),
        semconv.CONVERSATION: correlation.as_id(str(row["context_id"])),
        semconv.A2A_TASK: row["task_id"],
        semconv.A2A_STATE: row["state"],
    }


def _attributes(body: Mapping[str, Any], what: str) -> dict[str, Any]:
    kind = body["kind"]
    notes: dict[str, Any] = {semconv.OPERATION: what} if what != "gate" else {}
    if viewed := _VIEWED.get(kind):
        notes[semconv.KIND] = viewed
    notes |= {name: body[field] for field, name in _FIELDS.get(kind, {}).items() if body.get(field)}
    if body.get("deadline_ms") is not None:
        notes[semconv.DEADLINE] = body["deadline_ms"]
    return notes


def _tell(
    name: str,
    kind: SpanKind,
    place: tracing.Place,
    notes: dict[str, Any],
    bodies: Sequence[Mapping[str, Any]],
    whole: Sequence[Mapping[str, Any]],
) -> None:
    """A span with the `bodies` of the rows that were made in it, over the time of the `whole`."""
    ids = tuple(body["id"] for body in bodies)
    began, ended = min(float(body["at"]) for body in whole), max(map(_end, whole))
    tracing.tell_again(
        name, kind, place, {**notes, semconv.DECISIONS: ids, semconv.RETOLD: True}, began, ended
    )
