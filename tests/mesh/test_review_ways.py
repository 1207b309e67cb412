"""From a proposal to people and back: edited, expired, taken up by another process, decided by message; and what goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from a2a.types import Message, Part

from meshwright.agent import Job
from meshwright.database import open_database
from meshwright.findings import Evidence, Finding, Proposal, Subtask
from meshwright.parts import data_part
from meshwright.protojson import to_dict
from meshwright.reviews.overdue import Watch
from meshwright.reviews.store import ReviewStore
from meshwright.testing import lifespan_of
from orchestrator.server import orchestrator_app

PEOPLE = ("operator", "ann", "bob")
WEEK = 7 * 86_400.0


class Client:
    """Whoever sends the ticket, by A2A; a stranger, or by name."""

    def __init__(self, team: Any, http: httpx.AsyncClient, name: str = "", ms: int = 20_000) -> None:
        token = team.ring.signer(name).token("orchestrator") if name else ""
        self._headers = {
            "a2a-version": "1.0",
            "x-mesh-deadline-ms": str(ms),
            **({"authorization": f"Bearer {token}"} if name else {}),
        }
        self._http, self._sent = http, 0

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = (await self._http.post("http://orchestrator/", json=body, headers=self._headers)).json()
        found: dict[str, Any] = answer.get("result", answer)
        return found

    async def send(self, *parts: Any, task: str = "") -> dict[str, Any]:
        """The task, when it rests."""
        self._sent += 1
        message = Message(message_id=f"{id(self)}-{self._sent}", role="ROLE_USER", task_id=task)
        message.parts.extend(Part(text=p) if isinstance(p, str) else data_part(p) for p in parts)
        found = await self.call("SendMessage", {"message": to_dict(message)})
        return dict(found["task"])

    async def ended(self, task: str) -> dict[str, Any]:
        while True:
            found = await self.call("GetTask", {"id": task})
            if found["status"]["state"] not in ("TASK_STATE_INPUT_REQUIRED", "TASK_STATE_WORKING"):
                return found
            await asyncio.sleep(0)


def report_of(task: dict[str, Any]) -> dict[str, Any]:
    """The report that the client has got last."""
    (found,) = (part["data"] for part in task["artifacts"][-1]["parts"] if "data" in part)
    return dict(found)


def words_of(task: dict[str, Any]) -> str:
    return " ".join(part.get("text", "") for part in task["status"]["message"]["parts"])


def asked_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    (found,) = (part["data"] for part in task["status"]["message"]["parts"] if "data" in part)
    return list(found["reviews"])


def proposes(*things: str) -> Any:
    """An agent that wants each of the things painted."""

    async def painter(subtask: Subtask, job: Job) -> Finding:
        if subtask.skill == "order-status":
            return Finding(reply="I looked.")
        evidence = [Evidence(source="ticket", quote="paint")]
        return Finding(
            reply="They can be painted.",
            proposals=[
                Proposal(action="paint", arguments={"thing_id": t, "colour": "gold"}, evidence=evidence)
                for t in things
            ],
        )

    return painter


async def say(team: Any, person: str, review: str, decision: str, **more: Any) -> httpx.Response:
    word = {"decision": decision, "reason": "so", **more}
    answer: httpx.Response = await team.operator("POST", f"/reviews/{review}", name=person, json=word)
    return answer


async def only(team: Any, **query: str) -> dict[str, Any]:
    """The one open review, in full."""
    while len(rows := (await team.operator("GET", "/reviews", params=query)).json()["reviews"]) != 1:
        await asyncio.sleep(0)
    page: dict[str, Any] = (await team.operator("GET", f"/reviews/{rows[0]['id']}")).json()
    return page


async def test_a_client_hears_what_waits_and_what_was_done_meanwhile(start_team: Any) -> None:
    async with start_team(orders=proposes("t1", "t2")) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t1 and t2")
        assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "gold"}]
        report = report_of(task)
        assert {v["arguments"]["thing_id"]: v["state"] for v in report["verdicts"]} == {
            "t1": "applied",
            "t2": "waiting",
        }
        assert "one proposal waits for a person to decide: paint (it is expensive)" in words_of(task)
        (asked,) = asked_of(task)
        assert asked.keys() == {"id", "action", "why", "risk", "expires"}
        assert (await say(team, "operator", asked["id"], "approve")).status_code == 200
        await client.ended(task["id"])
        assert [each["thing_id"] for each in team.workshop.actions("paint")] == ["t1", "t2"]


async def test_what_is_approved_is_done_while_another_part_still_waits(start_team: Any) -> None:
    async with start_team(orders=proposes("t2", "t3")) as team, team.mesh.client() as http:
        team.workshop.prices["t3"] = 900
        client = Client(team, http)
        task = await client.send("paint both")
        first, second = asked_of(task)
        await say(team, "operator", first["id"], "approve")
        while not team.workshop.actions("paint"):
            await asyncio.sleep(0)
        while (task := await client.call("GetTask", {"id": task["id"]}))["status"][
            "state"
        ] == "TASK_STATE_WORKING" or len(asked_of(task)) != 1:
            await asyncio.sleep(0)
        assert asked_of(task)[0]["id"] == second["id"]
        await say(team, "operator", second["id"], "reject", reason="too much gold")
        report = report_of(await client.ended(task["id"]))
        assert [each["thing_id"] for each in team.workshop.actions("paint")] == ["t2"]
        assert any("too much gold" in gap["why"] for gap in report["gaps"])


async def test_an_edit_that_the_policy_allows_is_applied_and_what_was_proposed_is_not(
    start_team: Any,
) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        review = await only(team)
        edit = {"thing_id": "t1", "colour": "gold"}
        answer = await say(
            team, "ann", review["id"], "edit", arguments=edit, hash=review["hash"], reason="the cheap one"
        )
        assert (answer.status_code, answer.json()["state"]) == (200, "edit")
        report = report_of(await client.ended(task["id"]))
        assert team.workshop.actions("paint") == [edit]
        assert [v["state"] for v in report["verdicts"]] == ["edited", "applied"]
        assert answer.json()["became"] not in ("", review["id"])
        assert (report["outcome"], report["verdicts"][1]["proposed_by"]) == ("done", "ann")


async def test_what_needs_two_people_is_done_when_two_have_approved_and_its_grant_names_both(
    start_team: Any,
) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        team.workshop.prices["t2"] = 5000
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        review = await only(team)
        assert (review["needed"], review["risk"]) == (2, "high")
        for again in (200, 409):  # the same person twice is one person
            answer = await say(team, "ann", review["id"], "approve", hash=review["hash"])
            assert answer.status_code == again
        assert (await only(team))["state"] == "open"
        assert team.workshop.actions("paint") == []
        assert (await say(team, "bob", review["id"], "approve", hash=review["hash"])).status_code == 200
        await client.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]
        (write,) = (call for call in team.workshop.calls if call.grant.tool == "paint")
        assert sorted(write.grant.approvers) == ["ann", "bob"]


async def test_what_needs_more_people_by_the_time_it_is_approved_waits_for_the_others(
    start_team: Any,
) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        review = await only(team)
        assert review["needed"] == 1
        team.workshop.prices["t2"] = 5000
        assert (await say(team, "ann", review["id"], "approve", hash=review["hash"])).status_code == 200
        again = await only(team)
        assert (again["id"], again["needed"], [each["by"] for each in again["approvals"]]) == (
            review["id"],
            2,
            ["ann"],
        )
        assert team.workshop.actions("paint") == []
        assert (await say(team, "bob", review["id"], "approve", hash=review["hash"])).status_code == 200
        await client.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]


async def test_an_edit_that_needs_people_needs_others_than_its_editor(start_team: Any) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        review = await only(team)
        await say(team, "ann", review["id"], "edit", arguments={"thing_id": "t2", "colour": "red"})
        edited = await only(team)
        assert edited["id"] != review["id"]
        assert (edited["proposed_by"], edited["edited_from"]["arguments"]) == ("ann", review["arguments"])
        assert (edited["provenance"], edited["amount"]) == (
            {"colour": "person", "thing_id": "customer"},
            500,  # by the facts, whatever the agent had said
        )
        assert (await say(team, "ann", edited["id"], "approve")).status_code == 403
        assert (await say(team, "bob", review["id"], "approve")).status_code == 409
        assert (await say(team, "bob", edited["id"], "approve", hash=edited["hash"])).status_code == 200
        await client.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "red"}]


async def test_an_edit_to_what_cannot_be_is_rejected_and_the_run_says_so(start_team: Any) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        review = await only(team)
        await say(team, "ann", review["id"], "edit", arguments={"thing_id": "nothing", "colour": "red"})
        if (await client.call("GetTask", {"id": task["id"]}))["status"]["state"] != "TASK_STATE_COMPLETED":
            again = await only(team)  # a fact that cannot be looked up: a person decides
            await say(team, "bob", again["id"], "reject", reason="there is no such thing")
        report = report_of(await client.ended(task["id"]))
        assert team.workshop.actions("paint") == []
        assert report["outcome"] == "escalated"


async def test_an_edit_to_what_was_done_already_does_it_no_second_time(start_team: Any) -> None:
    async with start_team(orders=proposes("t1", "t2"), operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint both")
        review = await only(team)
        await say(team, "ann", review["id"], "edit", arguments={"thing_id": "t1", "colour": "gold"})
        report = report_of(await client.ended(task["id"]))
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "gold"}]
        assert [v["state"] for v in report["verdicts"]] == ["applied", "edited"]


async def test_what_was_approved_is_not_done_when_it_is_not_what_the_run_would_do(start_team: Any) -> None:
    """Whoever owns the database shows one thing to people while the run is about another."""
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        review = await only(team)
        database = await open_database(team.settings.database_of("orchestrator"))
        harmless = json.dumps({"thing_id": "t1", "colour": "white"})
        await database.execute("UPDATE reviews SET arguments=?, hash='' WHERE id=?", harmless, review["id"])
        await database.close()
        shown = await only(team)
        assert (await say(team, "ann", review["id"], "approve", hash=shown["hash"])).status_code == 200
        report = report_of(await client.ended(task["id"]))
        assert team.workshop.actions("paint") == []
        assert any("not what would be done" in gap["why"] for gap in report["gaps"])


async def test_what_nobody_decides_in_time_is_not_done_and_a_colleague_gets_it(start_team: Any) -> None:
    async with start_team() as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        database = await open_database(team.settings.database_of("orchestrator"))
        await database.execute("UPDATE reviews SET due=due-?, expires=expires-?", 2 * WEEK, 2 * WEEK)
        await Watch(ReviewStore(database, "orchestrator")).look()
        await client.ended(task["id"])
        await database.close()
        assert team.workshop.actions("paint") == []
        assert "nobody decided within 14 days" in team.workshop.actions("escalate")[0]["reason"]


async def test_two_approvals_go_through_and_one_does_not(start_team: Any) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        review = await only(team)
        database = await open_database(team.settings.database_of("orchestrator"))
        await database.execute("UPDATE reviews SET needed=2")
        await database.close()
        assert (await say(team, "ann", review["id"], "approve")).json()["state"] == "open"
        assert (await say(team, "ann", review["id"], "approve")).status_code == 409
        assert team.workshop.actions("paint") == []
        assert (await say(team, "bob", review["id"], "approve")).json()["state"] == "approve"
        await client.ended(task["id"])
        assert len(team.workshop.actions("paint")) == 1


async def test_a_week_and_a_restart_later_it_goes_on_where_it_stood(start_team: Any) -> None:
    async with start_team(orders=proposes("t1", "t2"), operators=PEOPLE) as team, team.mesh.client() as http:
        task = await Client(team, http).send("paint both")
        review = await only(team)
        database = await open_database(team.settings.database_of("orchestrator"))
        times = "created=created-?, updated=updated-?, due=due-?, lease_until=lease_until-?"
        await database.execute(f"UPDATE tasks SET {times}", WEEK, WEEK, WEEK, WEEK)
        await database.execute("UPDATE runs SET started=started-?", WEEK)
        await database.execute(
            "UPDATE reviews SET created=created-?, due=due-?, expires=expires-?", WEEK, WEEK, WEEK
        )
        await database.execute("UPDATE inbox SET until=until-?", WEEK)
        await database.close()
        asked = len(team.mesh.seen)
        reborn = orchestrator_app(team.settings, team.ring.identity("orchestrator"), team.mesh.client())
        team.mesh.apps["http://orchestrator"] = reborn
        async with lifespan_of(reborn):
            while (await team.operator("GET", "/readyz")).status_code != 200:
                await asyncio.sleep(0)
            again = await only(team)
            assert (again["hash"], again["state"]) == (review["hash"], "open")
            assert (await say(team, "ann", review["id"], "approve", hash=review["hash"])).status_code == 200
            report = report_of(await Client(team, http).ended(task["id"]))
        assert [each["thing_id"] for each in team.workshop.actions("paint")] == ["t1", "t2"]
        assert (report["outcome"], len(team.workshop.actions("reply"))) == ("done", 1)
        agents = ("http://triage", "http://orders", "http://aggregator")
        posts = [r for r in team.mesh.seen[asked:] if r.method == "POST" and str(r.url).startswith(agents)]
        assert posts == []  # nothing of what was done before is done again


@pytest.mark.parametrize("by", ["", "orders"], ids=["a stranger", "an agent"])
async def test_a_decision_that_comes_as_a_message_of_no_operator_is_refused_in_words(
    start_team: Any, by: str
) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http, by)
        task = await client.send("paint t2 gold")
        (asked,) = asked_of(task)
        word = {"review": asked["id"], "decision": "approve", "reason": "I say so"}
        follow_up = await client.send(word, "I approve", task=task["id"])
        assert follow_up["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert words_of(follow_up).startswith("only an operator decides reviews\none proposal waits")
        alone = await client.send(word)
        assert (alone["status"]["state"], words_of(alone)) == (
            "TASK_STATE_REJECTED",
            "only an operator decides reviews",
        )
        assert team.workshop.actions("paint") == []
        assert (await only(team))["state"] == "open"


async def test_an_operator_decides_by_message_under_the_same_rules(start_team: Any) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        ann, bob = Client(team, http, "ann"), Client(team, http, "bob")
        task = await ann.send("paint t2 gold")
        review = await only(team)
        word = {"review": review["id"], "decision": "approve", "reason": "fine", "hash": review["hash"]}
        own = await ann.send(word, task=task["id"])  # her own request
        assert own["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert "nobody approves what they proposed themselves" in words_of(own)
        for wrong, why in (
            ({"hash": "0"}, "look at the review again"),
            ({"decision": "apply"}, "approve"),
            ({"review": "k"}, "no review"),
        ):
            refused = await bob.send({**word, **wrong})
            assert (refused["status"]["state"], why in words_of(refused)) == ("TASK_STATE_REJECTED", True)
        told = await bob.send(word)
        assert told["status"]["state"] == "TASK_STATE_COMPLETED"
        assert told["artifacts"][0]["parts"][0]["text"] == "paint: approved"
        await ann.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]
        late = await bob.send(word)
        assert "bob already decided this review" in words_of(late)


async def test_who_asked_may_reject_or_edit_by_message_on_the_task_itself(start_team: Any) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        ann = Client(team, http, "ann")
        task = await ann.send("paint t2 gold")
        review = await only(team)
        word = {
            "review": review["id"],
            "decision": "edit",
            "reason": "cheaper",
            "arguments": {"thing_id": "t1", "colour": "gold"},
        }
        told = await ann.send(word, task=task["id"])
        assert "paint: edited\nwhat people decided is being done" in words_of(told)
        await ann.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "gold"}]


@pytest.mark.parametrize("by", ["", "ann"], ids=["a stranger", "an operator"])
async def test_two_decisions_in_one_message_are_none_and_what_waits_goes_on_waiting(
    start_team: Any, by: str
) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http, by)
        task = await client.send("paint t2 gold")
        review = await only(team)
        word = {"review": review["id"], "decision": "reject", "reason": "no"}
        told = await client.send(word, word, task=task["id"])
        assert told["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert ("a message decides one review" if by else "only an operator") in words_of(told)
        assert (await say(team, "bob", review["id"], "approve")).status_code == 200
        await client.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]


async def test_a_client_without_time_does_not_end_what_waits(start_team: Any) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        hurried = Client(team, http, ms=300)
        for _ in range(3):
            await hurried.send("is it done?", task=task["id"])
        review = await only(team)
        await say(team, "ann", review["id"], "approve")
        await client.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]


@pytest.mark.parametrize("ms", [0, 100])
@pytest.mark.parametrize(
    "part", [{"text": "is it done?"}, {"url": "http://pictures/1.png"}], ids=["words", "a file"]
)
async def test_nothing_a_client_sends_ends_what_waits_for_want_of_time(
    start_team: Any, part: dict[str, str], ms: int
) -> None:
    async with start_team(operators=PEOPLE) as team, team.mesh.client() as http:
        client = Client(team, http)
        task = await client.send("paint t2 gold")
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [part], "taskId": task["id"]}
        told = (await Client(team, http, ms=ms).call("SendMessage", {"message": message}))["task"]
        assert words_of(told).startswith("one proposal waits")
        review = await only(team)
        await say(team, "ann", review["id"], "approve")
        await client.ended(task["id"])
        assert team.workshop.actions("paint") == [{"thing_id": "t2", "colour": "gold"}]
