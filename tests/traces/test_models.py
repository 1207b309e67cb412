"""A model call is told with its tokens and its price, as viewers count them, and without a word of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from meshwright.budget import Budget, Price
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, PeerUnreachable
from meshwright.outbound.model import Model
from meshwright.records.telemetry import Telemetry
from meshwright.testing import ScriptedModel
from meshwright.testing.backend import TraceBackend, observation


async def told(backend: TraceBackend, script: list[Any]) -> Any:
    """The span of one completion."""
    telemetry = Telemetry("advisor", backend.exporter())
    async with ScriptedModel(script).serving() as server:
        model = Model("openai/small", server.url, "sk-secret-key", Price(3_000_000, 15_000_000))
        telemetry.start()
        try:
            messages = [{"role": "user", "content": "I am Ada Lovelace"}]
            await model.chat(messages, by=Deadline.after(20), budget=Budget(limit=50_000))
        finally:
            await asyncio.to_thread(telemetry.stop)
    (span,) = backend.spans
    return span


@pytest.mark.usefixtures("model_clients")
async def test_a_completion_has_its_tokens_and_its_price(backend: TraceBackend) -> None:
    span = await told(backend, ["Dear Ada, the answer is forty-two."])
    seen = observation(span)
    assert (span.name, seen["type"], seen["model"]) == ("chat openai/small", "GENERATION", "small")
    used = seen["usage"]
    assert used["input_tokens"] > 0
    assert used["output_tokens"] > 0
    assert seen["cost"] == pytest.approx((3 * used["input_tokens"] + 15 * used["output_tokens"]) / 1_000_000)
    assert span.attributes["gen_ai.provider.name"] == "openai"
    sent = b"".join(backend.bodies)
    assert not any(word in sent for word in (b"Lovelace", b"forty-two", b"sk-secret"))


@pytest.mark.usefixtures("model_clients")
@pytest.mark.parametrize("lie", [10**30, -5, "many", None, 1.5])
async def test_a_usage_that_cannot_be_costs_no_span(backend: TraceBackend, lie: object) -> None:
    usage = {"prompt_tokens": lie, "completion_tokens": 3}
    body = {
        "id": "x", "object": "chat.completion", "created": 0, "model": "\ud800",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
        "usage": usage,
    }  # fmt: skip
    with contextlib.suppress(MeshError):  # LiteLLM may not take it for an answer
        await told(backend, [{"raw": json.dumps(body).encode()}])
    assert [span.name for span in backend.spans] == ["chat openai/small"]


@pytest.mark.usefixtures("model_clients")
async def test_one_that_fails_says_how(backend: TraceBackend) -> None:
    with pytest.raises(PeerUnreachable):
        await told(backend, [{"status": 500}])
    (span,) = backend.spans
    assert (span.failed, span.attributes["error.type"], span.status) == (True, "PeerUnreachable", "")
