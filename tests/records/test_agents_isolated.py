"""A playbook in a process of its own: what its server did for it, and what it says that it left out, are the same decisions."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx

from benchmarks.runaway.household import household

SOURCE = """
from meshwright import serve
from meshwright.agent import Agent, Job
from meshwright.errors import MeshError
from meshwright.findings import Finding, Subtask


async def playbook(subtask: Subtask, job: Job) -> Finding:
    for thing in ("t1", "t1"):
        await job.tools.call("look_at", thing=thing)
    try:
        await job.tools.call("no_such_tool", of="t1")
    except MeshError:
        job.omitted("history", "stale", size=10**30)
    try:
        job.omitted("history", "laziness")
    except ValueError:
        job.omitted("note\\ud800", "relevance", size=3)
    return Finding(reply="Done.")


AGENT = Agent("wild", playbook=playbook, isolation="process")

if __name__ == "__main__":
    serve("wild", "wild_too:AGENT")
"""


def kept(folder: Path) -> list[dict[str, Any]]:
    for file in folder.rglob("*.db"):
        with sqlite3.connect(file) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
            if "decisions" in tables:
                found = [
                    json.loads(body) for (body,) in database.execute("SELECT body FROM decisions ORDER BY at")
                ]
                if found:
                    return found
    return []


async def test_a_worker_leaves_the_rows_that_a_task_leaves(tmp_path: Path) -> None:
    subtask = {"id": "s", "skill": "behave", "instruction": "look"}
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"data": {"subtask": subtask}}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    with household(tmp_path / "here", source=SOURCE, KILL_GRACE="0.2") as agent:
        async with httpx.AsyncClient() as client:
            answer = (
                await client.post(agent.url, json=body, headers={"a2a-version": "1.0"}, timeout=60)
            ).json()
        rows = kept(agent.folder)
    assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    calls = [(row["selected"], row["outcome"]) for row in rows if row["kind"] == "tool_call"]
    assert calls == [("look_at", "answered"), ("look_at", "answered"), ("no_such_tool", "failed")]
    (context,) = [row for row in rows if row["kind"] == "context"]
    assert [(left["key"], left["why"], left["bytes"]) for left in context["omitted"]] == [
        ("history", "stale", 2**53),
        ("note?", "relevance", 3),
    ]
