"""More than can be done: what is taken is answered, what is not taken is told when to come back, and who is sick is noticed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from pydantic import BaseModel

from meshwright.agent import Job
from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen, PeerTimedOut, PeerUnreachable
from meshwright.findings import Finding, Part, Split, Subtask
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.breaker import FAIL_MAX
from meshwright.outbound.directory import Directory
from meshwright.outbound.toolbox import Toolbox
from meshwright.records.minutes import Minutes
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access, ToolServer
from orchestrator.finish import cut_short
from orchestrator.work import new_work, report


class Held:
    """A playbook that does not go on before it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def split(self, subtask: Subtask, job: Job) -> Split:
        self.begun.set()
        await self.go.wait()
        return Split(subtasks=[Subtask(id="look", skill="order-status", instruction="look at it")])

    async def work(self, subtask: Subtask, job: Job) -> Finding:
        self.begun.set()
        await self.go.wait()
        return Finding(reply="done")


async def unkept(state: dict[str, Any]) -> None:
    """Here nobody takes the run over."""


async def test_a_request_whose_turn_cannot_come_is_answered_in_time_and_handed_to_a_person(
    start_team: Any,
) -> None:
    held = Held()
    async with start_team(at_once=1, triage=held.split) as team:
        first = asyncio.create_task(team.report("look"))
        await held.begun.wait()
        told = await team.report("look again", seconds=1.5)
        assert told["outcome"] == "escalated"
        assert "too much is asked" in told["gaps"][0]["why"]
        assert told["steps"] == []
        assert told["degraded"] == ["overloaded"]
        assert "too much is asked" in team.workshop.actions("escalate")[0]["reason"]
        held.go.set()
        assert (await first)["outcome"] == "done"


async def test_an_agent_that_is_full_refuses_before_it_stores_and_says_when_to_come_back(
    start_team: Any,
) -> None:
    held = Held()
    async with start_team(at_once=1, queue=1, orders=held.work) as team:
        client, token = team.mesh.client(), team.ring.signer("operator").token("orders")

        async def ask(number: int) -> Any:
            message = {"messageId": f"m{number}", "role": "ROLE_USER", "parts": [{"text": "do it"}]}
            return await client.post(
                "http://orders", json=_call("SendMessage", message=message), headers=head
            )

        async def places() -> dict[str, int]:
            found: dict[str, int] = (await client.get("http://orders/readyz")).json()["places"]
            return found

        head = {"authorization": f"Bearer {token}", "a2a-version": "1.0"}
        working = asyncio.create_task(ask(1))
        await held.begun.wait()
        waiting = asyncio.create_task(ask(2))
        while not (await places())["waiting"]:
            pass
        refused = await ask(3)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "no more can" in refused.json()["error"]["message"]
        held.go.set()
        ended = [
            answer.json()["result"]["task"]["status"]["state"] for answer in (await working, await waiting)
        ]
        assert ended == ["TASK_STATE_COMPLETED"] * 2
        listed = await client.post("http://orders", json=_call("ListTasks"), headers=head)
        assert len(listed.json()["result"]["tasks"]) == 2
        assert (await places())["taken"] == 0


def _call(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def test_a_run_that_is_cut_short_says_what_is_missing_and_what_is_not_known() -> None:
    class Nothing:
        closing = None

    told: list[str] = []

    class Log:
        async def record(self, claim: Any, *entries: Any, minutes: Minutes) -> None:
            told.extend(entry.kind for entry in entries)
            told.extend(f"{decision.kind} {decision.outcome}" for decision in minutes.open)

    class Drive:
        policy, store, claim, run, minutes = Nothing(), Log(), None, "run", Minutes("orchestrator")

    parts = [Subtask(id=name, skill="s", instruction=f"do {name}").model_dump() for name in ("one", "two")]
    paint = {"action": "paint", "arguments": {}, "subtask": "one"}
    state: dict[str, Any] = {
        **new_work("run", "do one and two"),
        "plan": parts,
        "findings": {"one": Finding(reply="One is done.").model_dump(mode="json")},
        "actions": [{"key": "k", "proposal": paint, "verdict": {"why": ""}, "state": "open"}],
    }
    drive: Any = Drive()
    ended = await cut_short(state, drive, unkept)
    assert ended["outcome"] == "degraded"
    assert [gap["what"] for gap in ended["gaps"]] == ["do two", "the final check of the answers", "paint"]
    assert ended["actions"][0]["state"] == "unknown"
    assert told == ["effect.unknown", "effect unknown"]
    assert await cut_short(ended, drive, unkept) is ended
    assert report(ended)["degraded"] == ["deadline-exceeded"]


async def no_split(subtask: Subtask, job: Job) -> Part:
    return Finding(reply="I do not split")


async def test_a_peer_that_answers_nonsense_again_and_again_is_not_asked_any_more(start_team: Any) -> None:
    async with start_team(triage=no_split) as team:
        for number in range(6):
            await team.report(f"paint t1 colour{number}")
        peers = (await team.operator("GET", "/peers")).json()["peers"]
        assert {peer["name"]: peer["breaker"] for peer in peers}["triage"] == "open"


class Number(BaseModel):
    value: int


def tool_server() -> ToolServer:
    server = ToolServer("sick", version="1")

    @server.read
    async def slow() -> Number:
        """Never comes back."""
        await asyncio.Event().wait()
        return Number(value=1)

    @server.read
    async def broken() -> Number:
        """Does what it should not."""
        raise ZeroDivisionError

    return server


@pytest.mark.parametrize(("tool", "error"), [("slow", PeerTimedOut), ("broken", PeerUnreachable)])
async def test_a_tool_server_that_says_itself_that_it_failed_is_sick_all_the_same(
    tool: str, error: type[Exception]
) -> None:
    ring, mesh = Keyring("sick", "orders"), InProcess({})
    rules = Access({"orders": ("sick.*",)}, {})
    identity = ring.identity("sick", open_to_strangers=False)
    mesh.apps["http://sick"] = tool_app(tool_server(), Settings(), identity, rules)
    async with mesh.running():
        toolbox = Toolbox(["http://sick"], mesh.client(), ring.identity("orders"))
        await toolbox.schemas(Deadline.after(20))

        async def call() -> None:
            with pytest.raises(error):
                await toolbox.session(by=Deadline.after(0.5)).call(tool)

        breaker = toolbox.hosts[0].breaker
        async with asyncio.timeout(30):
            while (
                breaker.state == "closed"
            ):  # on a busy machine a call may have too little time to tell anything
                await asyncio.gather(*(call() for _ in range(5)))
        assert breaker.failures.total() >= FAIL_MAX
        with pytest.raises(BreakerOpen):
            await toolbox.session(by=Deadline.after(0.5)).call(tool)


async def test_work_that_swallows_its_cancellation_is_left_behind_without_a_place(start_team: Any) -> None:
    go = asyncio.Event()

    async def stubborn(subtask: Subtask, job: Job) -> Finding:
        while subtask.instruction == "for ever" and not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()
        return Finding(reply="done")

    async with start_team(at_once=2, orders=stubborn) as team:
        directory = Directory(["http://orders"], team.mesh.client(), team.ring.identity("operator"))
        await directory.refresh()
        (orders,) = directory.candidates("order-status")

        async def ask(instruction: str, seconds: float) -> Any:
            subtask = Subtask(id="s", skill="order-status", instruction=instruction)
            content = {"subtask": subtask.model_dump(mode="json")}
            return await orders.ask(content, by=Deadline.after(seconds))

        for _ in range(2):
            with pytest.raises(PeerTimedOut):
                await ask("for ever", 0.6)
        assert (await ask("once", 20)).data[0]["reply"] == "done"
        go.set()
        async with team.mesh.client() as client:
            places = (await client.get("http://orders/readyz")).json()["places"]
    assert places["taken"] == 0
