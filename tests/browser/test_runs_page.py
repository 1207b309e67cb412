"""The Runs pages in Chromium, over runs of a real team: found by eye, by keyboard, and without JavaScript.

Three of the runs end with a wrong answer whose cause is planted: somebody stood in who knows nothing, a tool told a wrong price, an agent
was not told what another had found out. Who looks at the pages alone can say which.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from a2a.types import Message, Part
from playwright.async_api import Locator, expect
from pydantic import BaseModel

from aggregator.agent import AGENT as AGGREGATOR
from console.app import console_app
from meshwright.agent import Agent, Job, Playbook
from meshwright.deadline import Deadline
from meshwright.findings import Evidence, Finding, Proposal, Split, Subtask
from meshwright.inbound.server import agent_app
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.directory import Directory
from meshwright.protojson import to_dict
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring, policy_in
from meshwright.testing.serving import serving
from meshwright.toolserver import Access, Call, ToolServer
from orchestrator.server import orchestrator_app

PEOPLE = ("operator",)
RULES = """
@id("painting") @source("test") @why("things are painted")
permit (principal, action == Action::"paint", resource);

@id("expensive") @source("test") @why("it is expensive")
forbid (principal, action == Action::"paint", resource)
unless { context.approvals >= 1 || (context has thing.price && context.thing.price <= 100) };
"""
FACTS = """
[needs]
paint = ["thing"]
[facts.thing]
tool = "look_at"
arguments = { thing_id = "proposal.thing_id" }
keep = ["price"]
"""
Look = Callable[..., Any]
DESK, PHONE = (1280, 800), (390, 844)


class Thing(BaseModel):
    thing_id: str
    price: int


class Receipt(BaseModel):
    summary: str


def workshop(prices: dict[str, int]) -> ToolServer:
    """Where things are looked at and painted, and the desk."""
    server = ToolServer("workshop", version="1")

    @server.read
    async def look_at(thing_id: str) -> Thing:
        """A thing and its price."""
        return Thing(thing_id=thing_id, price=prices[thing_id])

    @server.write
    async def paint(thing_id: str, colour: str, call: Call) -> Receipt:
        """Paint a thing."""
        return Receipt(summary=f"{thing_id} is {colour}")

    @server.write
    async def reply(ticket_id: str, text: str, call: Call) -> Receipt:
        """Answer the customer."""
        return Receipt(summary="replied")

    @server.write
    async def escalate(ticket_id: str, reason: str, summary: str, call: Call) -> Receipt:
        """Hand over to a person."""
        return Receipt(summary="handed over")

    @server.write
    async def close(ticket_id: str, outcome: str, call: Call) -> Receipt:
        """End the ticket."""
        return Receipt(summary="closed")

    return server


async def split(subtask: Subtask, job: Job) -> Split:
    """`paint t1 red`: where it will stand is found out first, then it is looked at, then it is painted."""
    thing, colour = subtask.instruction.split()[1:3]
    place = Subtask(id="place", skill="profile-read", instruction=f"where will {thing} stand?")
    look = Subtask(id="look", skill="order-status", instruction=f"look at {thing}", details={"thing": thing})
    details = {"thing": thing, "colour": colour}
    paint = Subtask(id="paint", skill="order-change", instruction=subtask.instruction, details=details)
    return Split(topic="paint", subtasks=[place, look, paint.model_copy(update={"needs": ["look"]})])


async def records(subtask: Subtask, job: Job) -> Finding:
    return Finding(facts={"stands": "outdoors, in the rain"}, reply="It will stand outdoors.")


async def painter(subtask: Subtask, job: Job) -> Finding:
    thing = subtask.details["thing"]
    told = await job.tools.call("look_at", thing_id=thing)
    if subtask.skill == "order-status":
        return Finding(facts={"seen": True}, reply=f"{thing} costs {told['price']}.")
    kind = "weatherproof" if "place" in subtask.context else "water-based"
    arguments = {"thing_id": thing, "colour": subtask.details["colour"]}
    seen = [Evidence(source="tool:workshop.look_at", quote=thing)]
    proposal = Proposal(action="paint", arguments=arguments, evidence=seen)
    return Finding(reply=f"I use {kind} paint.", proposals=[proposal])


async def standby(subtask: Subtask, job: Job) -> Finding:
    return Finding(reply="All our things are free of charge.")


PLAYBOOKS: dict[str, Playbook] = {"triage": split, "orders": painter, "accounts": records, "standby": standby}


@dataclass
class Team:
    """A team of agents with an orchestrator, and the console before it at `base`."""

    mesh: InProcess
    ring: Keyring
    base: str = ""
    prices: dict[str, int] = field(default_factory=lambda: {"t1": 10, "t2": 500})

    async def ask(self, text: str) -> dict[str, Any]:
        """The report of a request."""
        directory = Directory(["http://orchestrator"], self.mesh.client(), self.ring.identity("operator"))
        await directory.refresh()
        peer = directory.candidates("handle-ticket")[0]
        answer = await peer.ask({}, text=text, by=Deadline.after(20))
        report: dict[str, Any] = answer.data[0]
        return report

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.mesh.client() as http:
            answer = await http.post("http://orchestrator/", json=body, headers={"a2a-version": "1.0"})
        found: dict[str, Any] = answer.json()["result"]
        return found

    async def park(self, text: str) -> str:
        """A request that then waits for a person; its task."""
        message = to_dict(Message(message_id=text, role="ROLE_USER", parts=[Part(text=text)]))
        task = (await self.call("SendMessage", message=message))["task"]
        assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        return str(task["id"])


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    names = ("orchestrator", "aggregator", "workshop", "console", *PLAYBOOKS)
    made = Team(InProcess({}), Keyring(*names, operators=PEOPLE, speakers={"console": PEOPLE}))
    mesh, ring = made.mesh, made.ring
    types = {"paint": "thing_id: String, colour: String"}
    rules = policy_in(
        tmp_path / "policy", rules=RULES, actions=types, told={"thing": "{ price?: Long }"}, facts=FACTS
    )
    peers = ",".join(f"http://{name}" for name in (*PLAYBOOKS, "aggregator"))
    settings = Settings.model_validate(
        {"home": tmp_path, "peers": peers, "tools": "http://workshop", "policy": rules, "refresh": 3600}
    )
    for agent in (*(Agent(name, playbook=playbook) for name, playbook in PLAYBOOKS.items()), AGGREGATOR):
        mesh.apps[f"http://{agent.name}"] = agent_app(
            agent, settings, ring.identity(agent.name), mesh.client()
        )
    access = Access({"orders": ("workshop.*",), "orchestrator": ("workshop.*",)}, {"orchestrator": ("*",)})
    tools = ring.identity("workshop", open_to_strangers=False)
    mesh.apps["http://workshop"] = tool_app(workshop(made.prices), settings, tools, access)
    mesh.apps["http://orchestrator"] = orchestrator_app(
        settings, ring.identity("orchestrator"), mesh.client()
    )
    wanted = Settings.model_validate({"peers": "http://orchestrator", "home": tmp_path})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(mesh.running())
        app = console_app(wanted, mesh.client(), ring.identity("console"))
        made.base = await stack.enter_async_context(serving(app))
        yield made


def region(sight: Any, name: str) -> Locator:
    found: Locator = sight.page.get_by_role("region", name=name)
    return found


async def test_a_wrong_answer_of_somebody_who_stood_in_is_traced_to_that_agent(
    team: Team, look: Look
) -> None:
    team.mesh.down.add("http://orders")
    assert "free of charge" in (await team.ask("paint t1 red"))["reply"]
    sight = await look(team.base)
    await sight.go("/runs")
    await sight.page.get_by_role("link", name="paint t1 red").click()
    first = region(sight, "Look here first")
    await expect(first).to_contain_text(
        "chose Standby for “look”, who stands in for the agents whose work it is"
    )
    await expect(first).to_contain_text("orchestrator asked Orders")
    await sight.page.get_by_role("link", name="Why this answer?").click()
    await expect(
        sight.page.get_by_role("heading", name=re.compile("chose Standby for “look”"))
    ).to_be_visible()
    await expect(sight.page.get_by_text("Not Orders").first).to_be_visible()


async def test_a_wrong_answer_from_a_wrong_tool_result_is_traced_to_that_result(
    team: Team, look: Look
) -> None:
    team.prices["t2"] = 5
    assert "t2 costs 5." in (await team.ask("paint t2 red"))["reply"]
    sight = await look(team.base)
    await sight.go("/runs")
    await sight.page.get_by_role("link", name="paint t2 red").click()
    done = region(sight, "What was done, and what was not")
    await done.get_by_role("link", name="Why did this happen: paint").click()
    await expect(sight.page.get_by_role("heading", level=1)).to_have_text("Why was paint carried out?")
    step = sight.page.get_by_role("listitem").filter(
        has=sight.page.get_by_role("heading", name="orders read look_at")
    )
    await expect(step.first).to_contain_text("price: 5")
    rule = sight.page.get_by_role("listitem").filter(
        has=sight.page.get_by_role("heading", name="The policy allowed paint")
    )
    await expect(rule).to_contain_text("price: 5, from look_at")


async def test_a_wrong_answer_for_want_of_context_is_traced_to_what_was_left_out(
    team: Team, look: Look
) -> None:
    assert "water-based" in (await team.ask("paint t1 red"))["reply"]
    sight = await look(team.base, size=PHONE)
    await sight.go("/runs")
    await sight.page.get_by_role("link", name="paint t1 red").click()
    left = region(sight, "What was left out").get_by_role("listitem").filter(has_text="finding.place")
    await expect(left).to_contain_text("not to Orders: it")
    await left.get_by_role("link").click()
    decision = sight.page.locator("details[open]")
    await expect(decision).to_contain_text("chose Orders for “paint”")
    await expect(decision.get_by_text("finding.place")).to_be_visible()
    await expect(decision).to_be_in_viewport()


@pytest.mark.parametrize(
    ("size", "dark", "names"),
    [
        (DESK, False, ("list", "none", "run", "why", "waiting", "long")),
        (DESK, True, ("list", "stand-in", "unfolded")),
        (PHONE, True, ("list", "stand-in", "why", "long")),
    ],
    ids=["light", "dark", "phone"],
)
async def test_the_pages_have_no_fault_that_axe_finds(
    team: Team, look: Look, size: tuple[int, int], dark: bool, names: tuple[str, ...]
) -> None:
    run = (await team.ask("paint t1 red"))["id"]
    long = (await team.ask("paint t1 green " + "and then tell me what it looks like, " * 100 + "W" * 500))[
        "id"
    ]
    await team.park("paint t2 red")
    team.mesh.down.add("http://orders")
    lost = (await team.ask("paint t1 blue"))["id"]
    sight = await look(team.base, size=size, dark=dark)
    await sight.go("/runs?state=waiting")
    paths = {
        "list": "/runs",
        "none": "/runs?q=nothing-like-it",
        "run": f"/runs/{run}",
        "unfolded": f"/runs/{run}?kind=route&open=all",
        "why": f"/runs/{run}/why",
        "waiting": await sight.page.get_by_role("link", name="paint t2 red").get_attribute("href"),
        "stand-in": f"/runs/{lost}",
        "long": f"/runs/{long}",
    }
    for name in names:
        await sight.go(paths[name])
        assert await sight.violations() == [], name
        assert not await sight.is_too_wide(), name
        await sight.shot(f"runs-{name}-{size[0]}-{'dark' if dark else 'light'}")


async def test_a_run_is_found_opened_and_understood_by_keyboard(team: Team, look: Look) -> None:
    await team.ask("paint t1 red")
    await team.ask("paint t1 blue")
    sight = await look(team.base)
    await sight.go("/runs")
    for key in ("j", "j", "k", "j", "Enter"):
        await sight.page.keyboard.press(key)
    await expect(sight.page.get_by_role("heading", level=1)).to_have_text("paint t1 red")
    await sight.page.wait_for_load_state()
    await sight.page.keyboard.press("j")
    await sight.page.keyboard.press("Enter")
    await expect(sight.page.locator("details[open]")).to_contain_text("split the request into 3 parts")
    await sight.page.keyboard.press("u")
    await expect(sight.page.get_by_role("heading", level=1)).to_have_text("Runs")


async def test_without_javascript_a_run_is_filtered_unfolded_and_explained(team: Team, look: Look) -> None:
    await team.ask("paint t1 red")
    sight = await look(team.base, js=False)
    await sight.go("/runs")
    await sight.page.get_by_label("Words of the request, or an id").fill("t1")
    await sight.page.get_by_role("button", name="Search").click()
    await sight.page.get_by_role("link", name="paint t1 red").click()
    kinds = sight.page.get_by_role("navigation", name="Kind of decision")
    await kinds.get_by_role("link", name="Tool").click()
    await sight.page.get_by_role("link", name="Unfold all").click()
    shown = sight.page.locator("details.decision")
    await expect(shown).to_have_count(2)
    await expect(shown.first).to_contain_text('"price": 10')
    await (
        region(sight, "What was done, and what was not")
        .get_by_role("link", name="Why did this happen: paint")
        .click()
    )
    await expect(sight.page.get_by_role("heading", name="The policy allowed paint")).to_be_visible()


async def test_a_run_is_copied_as_json(team: Team, look: Look) -> None:
    run = (await team.ask("paint t1 red"))["id"]
    sight = await look(team.base)
    await sight.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sight.go(f"/runs/{run}")
    await sight.page.get_by_role("button", name="Copy as JSON").click()
    await expect(sight.page.get_by_role("status").last).to_have_text("Copied")
    copied = json.loads(await sight.page.evaluate("() => navigator.clipboard.readText()"))
    assert copied["run"]["id"] == run
    assert {"plan", "route", "agent_call", "gate", "effect", "final"} <= {
        each["kind"] for each in copied["decisions"]
    }


async def test_who_does_not_see_the_page_hears_that_a_run_has_ended(team: Team, look: Look) -> None:
    task = await team.park("paint t2 red")
    sight = await look(team.base, clock=True)
    await sight.go("/runs")
    await sight.page.get_by_role("link", name="paint t2 red").click()
    await expect(sight.page.get_by_role("heading", level=1)).to_have_text("paint t2 red")
    await team.call("CancelTask", id=task)
    await sight.wait(4)
    await expect(sight.page.get_by_role("status").last).to_have_text("It is canceled now.")


async def test_what_cannot_be_had_is_not_copied_and_everybody_is_told(team: Team, look: Look) -> None:
    run = (await team.ask("paint t1 red"))["id"]
    sight = await look(team.base)
    await sight.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sight.go(f"/runs/{run}")
    told = sight.page.get_by_role("status").last
    await sight.page.get_by_role("button", name="Copy as JSON").click()
    await expect(told).to_have_text("Copied")
    await expect(told).to_be_in_viewport()
    team.mesh.down.add("http://orchestrator")
    await sight.page.get_by_role("button", name="Copy as JSON").click()
    await expect(told).to_have_text(re.compile("Nothing was copied"))
    assert await sight.violations() == []
    assert run in await sight.page.evaluate("() => navigator.clipboard.readText()"), "what was copied before"


async def test_a_request_that_wants_to_be_executed_or_misread_is_text_and_fits_the_screen(
    team: Team, look: Look
) -> None:
    await team.ask(f"paint <img/src=x/onerror=document.title='owned'> red \u202egnp.exe {'long' * 400}")
    sight = await look(team.base, size=PHONE)
    await sight.go("/runs")
    await sight.page.get_by_role("link", name="paint <img").click()
    await expect(sight.page.get_by_role("heading", level=1)).to_contain_text("red \\u202egnp.exe")
    await sight.page.get_by_role("link", name="Unfold all").click()
    assert not await sight.is_too_wide()
    assert await sight.page.title() != "owned"


async def test_the_list_shows_a_new_run_by_itself_and_keeps_the_place_of_whoever_reads(
    team: Team, look: Look
) -> None:
    await team.ask("paint t1 red")
    sight = await look(team.base)
    await sight.go("/runs")
    await sight.page.keyboard.press("j")
    await team.ask("paint t1 blue")
    await expect(sight.page.get_by_role("link", name="paint t1 blue")).to_be_visible()
    await expect(sight.page.get_by_role("link", name="paint t1 red")).to_be_focused()
