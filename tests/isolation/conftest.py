"""A wild agent in a real server, its tool server, and a way to ask it that says who did the work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from benchmarks.runaway.household import Household, household
from meshwright.extension import URI
from meshwright.parts import whole_numbers


@dataclass(frozen=True, slots=True)
class Told:
    """An answer of the wild agent: `code` is empty where it is one; `pid` is the process that did the work."""

    state: str
    code: str
    text: str
    facts: dict[str, Any]
    usage: dict[str, Any]
    pid: int
    task: str


Ask = Callable[..., Awaitable[Told]]

#: What each invocation may have here, so that a runaway's end does not take long.
LIMITS = {"WORKER_MEMORY": "256", "WORKER_CPU": "3", "KILL_GRACE": "0.2"}


@pytest.fixture(scope="session")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    with household(tmp_path_factory.mktemp("wild") / "here", **LIMITS) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def ask(client: httpx.AsyncClient) -> Ask:
    async def asking(
        of: Household, behaviour: str, *, seconds: float = 5.0, now: bool = False, patience: float = 60.0
    ) -> Told:
        body, note = of.request(behaviour, now=now)
        headers = {"a2a-version": "1.0", "x-mesh-deadline-ms": str(int(seconds * 1000))}
        answer = (await client.post(of.url, json=body, headers=headers, timeout=patience)).json()
        assert "result" in answer, answer
        task = whole_numbers(answer["result"]["task"])
        notes = task.get("metadata", {}).get(URI, {})
        parts = [part for artifact in task.get("artifacts", ()) for part in artifact["parts"]]
        data = [part["data"] for part in parts if "data" in part]
        pid = note.pid(within=10 if now else 0)
        note.close()
        return Told(
            state=task["status"]["state"].removeprefix("TASK_STATE_"),
            code=notes.get("code", ""),
            text=" ".join(part["text"] for part in task["status"].get("message", {}).get("parts", ())),
            facts=data[0]["facts"] if data else {},
            usage=notes.get("usage", {}),
            pid=pid,
            task=task["id"],
        )

    return asking
