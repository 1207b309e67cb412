"""Whoever writes an agent is told what is wrong with it, in their log; whoever asked it is not."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from meshwright.agent import Agent, Job
from meshwright.findings import Subtask
from meshwright.inbound.server import agent_app
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring

ORIGIN = "http://orders"


async def answer_of(playbook: Any) -> str:
    """What a client is told by an agent with this playbook."""
    settings = Settings(database="memory:")
    identity = Keyring("orders").identity("orders")
    app = agent_app(Agent("orders", playbook=playbook), settings, identity)
    message = {"messageId": uuid.uuid4().hex, "role": "ROLE_USER", "parts": [{"text": "where is it?"}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with InProcess({ORIGIN: app}).running() as mesh, mesh.client() as http:
        return (await http.post(ORIGIN, json=body, headers={"a2a-version": "1.0"})).text


@pytest.mark.parametrize("wrong", ["on its way", None, {"reply": "on its way"}, 7], ids=repr)
async def test_a_playbook_that_answers_with_no_finding_is_told_what_it_answered_with(
    wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def playbook(subtask: Subtask, job: Job) -> Any:
        return wrong

    told = await answer_of(playbook)
    assert "internal error; the log of orders has it" in told
    assert "TypeError" not in told
    returned = type(wrong).__name__
    assert f"TypeError: the playbook of orders must return a Finding; it returned: {returned}" in caplog.text


def test_a_misspelt_isolation_is_none_that_an_agent_can_have() -> None:
    async def playbook(subtask: Subtask, job: Job) -> Any: ...

    with pytest.raises(ValueError, match="isolation is task or process, not 'procces'"):
        Agent("orders", playbook=playbook, isolation="procces")  # type: ignore[arg-type]
