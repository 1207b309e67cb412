"""A playbook in a process of its own proposes and asks as any other: its worker ends with the question, and another goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from benchmarks.runaway.household import Household, household

SOURCE = """
import os
from meshwright import serve
from meshwright.agent import Agent, Job
from meshwright.errors import InvalidRequest
from meshwright.findings import Finding, Proposal, Subtask


async def playbook(subtask: Subtask, job: Job) -> Finding:
    thing = await job.tools.call("look_at", thing="t1")
    try:
        await job.propose(Proposal(action="paint", arguments={"x": float("nan")}))
    except InvalidRequest as error:
        refused = str(error)
    settled = await job.propose(Proposal(action="paint", arguments={"thing_id": thing["name"]}))
    colour = await job.ask("Which colour?")
    facts = {"state": settled.state, "receipt": settled.receipt, "refused": refused, "pid": os.getpid()}
    return Finding(reply=colour, facts=facts)


AGENT = Agent("wild", playbook=playbook, isolation="process")

if __name__ == "__main__":
    serve("wild", "wild_too:AGENT")
"""


async def say(agent: Household, name: str, task: str, content: dict[str, Any]) -> dict[str, Any]:
    """One message to the agent; its task."""
    message = {
        "messageId": name,
        "role": "ROLE_USER",
        "parts": [{"data": content}],
        **({"taskId": task} if task else {}),
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    async with httpx.AsyncClient() as client:
        answer = (await client.post(agent.url, json=body, headers={"a2a-version": "1.0"}, timeout=60)).json()
    assert "result" in answer, answer
    found: dict[str, Any] = answer["result"]["task"]
    return found


async def test_proposals_and_questions_go_through_the_pipe(tmp_path: Path) -> None:
    subtask = {"id": "s", "skill": "behave", "instruction": "paint"}
    with household(tmp_path / "here", source=SOURCE, KILL_GRACE="0.2") as agent:
        task = await say(agent, "m1", "", {"subtask": subtask})
        asks = task["status"]["message"]["parts"][1]["data"]["asks"]
        assert asks["proposal"]["arguments"] == {"thing_id": "T1"}
        settled = {"state": "applied", "receipt": {"summary": "T1 is red"}}
        task = await say(agent, "m2", task["id"], {"answers": {"id": asks["id"], "settled": settled}})
        asks = task["status"]["message"]["parts"][1]["data"]["asks"]
        assert asks["question"]["text"] == "Which colour?"
        task = await say(agent, "m3", task["id"], {"answers": {"id": asks["id"], "text": "red"}})
    finding = task["artifacts"][0]["parts"][-1]["data"]
    assert finding["reply"] == "red"
    assert finding["facts"]["receipt"] == {"summary": "T1 is red"}
    assert "no JSON" in finding["facts"]["refused"]
    assert finding["usage"]["tools"] == ["workshop.look_at"]
