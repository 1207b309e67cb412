"""A person's word as a span: in the trace of the request that it is about, however much later and in whichever process it comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from meshwright.records import semconv, tracing

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction

_BEGAN = (
    "SELECT i.headers, i.task_id, t.context_id, r.run FROM reviews r JOIN runs u ON u.id = r.run"
    " JOIN tasks t ON t.id = u.task_id JOIN inbox i ON i.task_id = u.task_id AND i.turn = 1 WHERE r.id = ?"
)


@asynccontextmanager
async def word_of(database: Database, review: str, decision: str) -> AsyncIterator[None]:
    """Around a word on `review`; without a listener, and for a review that nobody knows, there is nothing around it."""

    async def op(tx: Transaction) -> list[Row]:
        return await tx.execute(_BEGAN, review)

    rows = await database.read(op) if tracing.listened_to() else []
    if not rows:
        yield
        return
    began = rows[0]
    headers = {str(name): str(value) for name, value in json.loads(began["headers"]).items()}
    told = {semconv.KIND: semconv.GUARDRAIL, semconv.OUTCOME: decision}
    with (
        tracing.after(headers, began["task_id"], began["context_id"], began["run"]),
        tracing.span("decide", told),
    ):
        yield
