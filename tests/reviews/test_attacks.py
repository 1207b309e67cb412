"""Attacks on the approval, over HTTP and with real tokens: none gets anything approved that a person did not see and may approve."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from meshwright.reviews.word import Word


async def stands(queue: Any, key: str) -> str:
    return str((await queue.reviews.one(key))["state"])


async def test_a_stranger_and_an_agent_neither_see_nor_decide(queue: Any) -> None:
    await queue.put("k1")
    for name in ("", "orders", "customer", "orchestrator"):
        for method, path in (
            ("GET", ""),
            ("GET", "/k1"),
            ("POST", "/k1"),
            ("POST", "/k1/claim"),
            ("POST", "/k1/release"),
        ):
            answer = await queue.http(name, method, f"/reviews{path}", json={"decision": "approve"})
            assert answer.status_code == 403, (name, path)
            assert "gold" not in answer.text
    assert await stands(queue, "k1") == "open"


async def test_a_token_of_a_person_for_another_server_is_none(queue: Any) -> None:
    await queue.put("k1")
    token = queue.ring.signer("ann").token("orders")
    answer = await queue.http(
        "", "POST", "/reviews/k1", json={"decision": "approve"}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 401


async def test_a_review_that_is_not_there_or_of_a_made_up_id_is_not_found(queue: Any) -> None:
    await queue.put("k1")
    for key in ("k2", "K1", "k1%00", "k1%20", "..%2Freviews%2Fk1", "%F0%9F%92%A9", "x" * 5000):
        answer = await queue.say("ann", key, "approve")
        assert answer.status_code == 404, key
    assert await stands(queue, "k1") == "open"


@pytest.mark.parametrize("seen", [{"hash": "0" * 64}, {"hash": "gold"}, {"version": 7}, {"version": 0}])
async def test_a_decision_about_something_else_than_what_stands_there_is_no_decision(
    queue: Any, seen: Any
) -> None:
    await queue.put("k1")
    other = await queue.put("k2", arguments={"thing": "t2", "colour": "gold"})
    for more in (seen, {"hash": other}):
        answer = await queue.say("ann", "k1", "approve", **more)
        assert (answer.status_code, "look at the review again" in answer.text) == (409, True)
    assert await stands(queue, "k1") == "open"


async def test_the_etag_of_what_was_seen_is_held_against_what_stands_there(queue: Any) -> None:
    await queue.put("k1", needed=2)
    seen = (await queue.http("ann", "GET", "/reviews/k1")).headers["etag"]
    assert (await queue.say("bob", "k1", "approve")).status_code == 200
    word = {"decision": "approve", "reason": ""}
    for tag in (seen, '"x"', "nothing"):
        late = await queue.http("ann", "POST", "/reviews/k1", json=word, headers={"if-match": tag})
        assert late.status_code == 409
    now = (await queue.http("ann", "GET", "/reviews/k1")).headers["etag"]
    assert (
        await queue.http("ann", "POST", "/reviews/k1", json=word, headers={"if-match": now})
    ).status_code == 200


async def test_arguments_that_somebody_changed_in_the_database_are_not_approved(queue: Any) -> None:
    seen = await queue.put("k1")
    await queue.database.execute("UPDATE reviews SET arguments=? WHERE id='k1'", json.dumps({"thing": "all"}))
    for more in ({}, {"hash": seen}):
        answer = await queue.say("ann", "k1", "approve", **more)
        assert (answer.status_code, "not what was put before people" in answer.text) == (409, True)
    assert (await queue.say("ann", "k1", "reject")).status_code == 200


@pytest.mark.parametrize("who", ["ann", "Ann", "аnn"], ids=ascii)
@pytest.mark.parametrize("of", ["run", "edit"])
async def test_nobody_approves_what_they_proposed_by_whatever_spelling_of_their_name(
    queue: Any, who: str, of: str
) -> None:
    if of == "run":
        await queue.put("k1", client="ann")
    else:
        await queue.put("k1", by="ann")
    answer = await queue.say(who, "k1", "approve")
    assert (answer.status_code, "another person has to" in answer.text) == (403, True)
    assert (await queue.say("bob", "k1", "approve")).status_code == 200


async def test_one_person_under_three_spellings_is_one_of_two(queue: Any) -> None:
    await queue.put("k1", needed=2)
    codes = [(await queue.say(who, "k1", "approve")).status_code for who in ("ann", "Ann", "аnn", "ann")]
    assert (codes, await stands(queue, "k1")) == ([200, 409, 409, 409], "open")


async def test_after_its_time_nobody_approves_also_before_anybody_noticed(queue: Any) -> None:
    await queue.put("k1")
    await queue.move("k1", 14 * 86_400 + 1)
    answer = await queue.say("ann", "k1", "approve")
    assert (answer.status_code, "in time" in answer.text) == (409, True)
    await queue.reviews.overdue("k1")
    assert (await queue.say("ann", "k1", "approve")).status_code == 409
    assert await stands(queue, "k1") == "expired"


async def test_a_vote_after_an_edit_is_about_nothing(queue: Any) -> None:
    seen = await queue.put("k1", needed=2)
    assert (await queue.say("ann", "k1", "approve", hash=seen)).status_code == 200
    edit = await queue.say("carol", "k1", "edit", arguments={"thing": "t1", "colour": "red"})
    assert (edit.status_code, edit.json()["state"]) == (200, "edit")
    late = await queue.say("bob", "k1", "approve", hash=seen)
    assert (late.status_code, "carol already decided this review: it is edited" in late.text) == (409, True)


async def test_a_second_edit_to_what_was_edited_already_is_refused(queue: Any) -> None:
    await queue.put("k1", run="r")
    await queue.put("k2", run="r", arguments={"thing": "t1", "colour": "blue"})
    red = {"thing": "t1", "colour": "red"}
    assert (await queue.say("ann", "k1", "edit", arguments=red)).status_code == 200
    assert (await queue.say("bob", "k2", "edit", arguments=red)).status_code == 409


BAD = {
    "no decision": '{"reason": "so"}',
    "another decision": '{"decision": "apply"}',
    "not an object": '["approve"]',
    "not JSON": "approve",
    "a decision twice": '{"decision": "reject", "decision": "approve", "reason": "so"}',
    "a reason that is none": '{"decision": "approve", "reason": 1}',
    "a rejection without a reason": '{"decision": "reject", "reason": "  "}',
    "an edit without a reason": '{"decision": "edit", "arguments": {"thing": "t2"}}',
    "an edit without arguments": '{"decision": "edit", "reason": "so"}',
    "an approval with arguments": '{"decision": "approve", "reason": "so", "arguments": {"thing": "t2"}}',
    "no number": '{"decision": "edit", "reason": "so", "arguments": {"n": NaN}}',
    "an infinite number": '{"decision": "edit", "reason": "so", "arguments": {"n": 1e999}}',
    "a key twice": '{"decision": "edit", "reason": "so", "arguments": {"n": 1, "n": 2}}',
    "half a character": '{"decision": "edit", "reason": "so", "arguments": {"n": "\\ud800"}}',
    "a pit": '{"decision": "edit", "reason": "so", "arguments": {"n": ' + "[" * 9 + "]" * 9 + "}}",
    "an abyss": '{"decision": "edit", "reason": "so", "arguments": ' + "[" * 2000 + "]" * 2000 + "}",
    "a flood": '{"decision": "edit", "reason": "so", "arguments": {"n": "' + "x" * 20_000 + '"}}',
    "arguments in a list": '{"decision": "edit", "reason": "so", "arguments": [1]}',
    "the same arguments": '{"decision": "edit", "reason": "so", "arguments": {"colour": "gold", "thing": "t1"}}',
    "a version that is none": '{"decision": "approve", "version": true}',
    "a number without end": '{"decision": "approve", "version": ' + "9" * 5000 + "}",
    "a hash that is none": '{"decision": "approve", "hash": 5}',
}


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_what_is_no_decision_is_refused_with_a_reason(queue: Any, kind: str) -> None:
    await queue.put("k1")
    for name, body in BAD.items():
        answer = await queue.http("ann", "POST", "/reviews/k1", content=body, headers={"content-type": kind})
        assert answer.status_code == 400, (name, answer.text)
        assert answer.json()["error"]["message"], name
    assert await stands(queue, "k1") == "open"


@pytest.mark.parametrize(
    "query",
    [
        *("state=maybe", "risk=huge", "limit=0", "limit=x", "limit=9999999999999", "run=%00", "limit=٣"),
        *("limit=0000000019999999999999999999", f"limit={'0' * 4000}1{'0' * 1000}"),
    ],
)
async def test_a_look_at_nonsense_is_refused(queue: Any, query: str) -> None:
    assert (await queue.http("ann", "GET", f"/reviews?{query}")).status_code == 400
    if query.startswith("limit"):
        assert (await queue.http("ann", "GET", f"/runs?{query}")).status_code == 400


async def test_fifty_times_two_reviewers_at_once_are_one_decision_each(queue: Any) -> None:
    for number in range(50):
        await queue.put(f"k{number}", run="r", arguments={"thing": number})
    pairs = [(f"k{n}", who, what) for n in range(50) for who, what in (("ann", "approve"), ("bob", "reject"))]
    answers = await asyncio.gather(*(queue.say(who, key, what) for key, who, what in pairs))
    for n in range(50):
        pair = answers[2 * n : 2 * n + 2]
        assert sorted(answer.status_code for answer in pair) == [200, 409]
        (lost,) = (answer for answer in pair if answer.status_code == 409)
        assert "already decided this review" in lost.text
    assert await queue.signals("r") == 50
    assert len(await queue.log("review.approved")) + len(await queue.log("review.rejected")) == 50


async def test_a_decision_and_the_end_of_its_time_at_once_are_one(queue: Any) -> None:
    for number in range(20):
        await queue.put(f"k{number}", run="r", arguments={"thing": number})
        await queue.move(f"k{number}", 14 * 86_400 - 0.02)  # its time is up while they decide
    keys = [f"k{number}" for number in range(20)]
    await asyncio.gather(
        *(queue.reviews.decide(key, Word("approve"), by="ann") for key in keys),
        *(queue.reviews.overdue(key) for key in keys),
        return_exceptions=True,
    )
    for key in keys:
        await queue.reviews.overdue(key)
    states = [await stands(queue, key) for key in keys]
    assert {*states} <= {"approve", "expired"}
    assert await queue.signals("r") == len(states)


async def test_what_a_reviewer_sees_is_what_runs_with_nothing_hidden(queue: Any) -> None:
    arguments = {"thing": "t1\u202e", "to": "p\u0430ypal", "note": "\U000e0041\u200b"}
    seen = await queue.put("k1", arguments=arguments)
    page = (await queue.http("ann", "GET", "/reviews/k1")).json()
    assert page["shown"].isascii()
    assert json.loads(page["shown"]) == page["arguments"] == arguments
    assert (page["hash"], len(page["remarks"])) == (seen, 4)
    (row,) = (await queue.http("ann", "GET", "/reviews")).json()["reviews"]
    assert (row["odd"], row["shown"]) == (True, page["shown"])
    assert "evidence" not in row


async def test_two_people_at_once_are_two_approvals_and_the_run_is_told_once(queue: Any) -> None:
    for number in range(10):
        await queue.put(f"k{number}", run="r", needed=2, arguments={"thing": number})
    pairs = [(f"k{n}", who) for n in range(10) for who in ("ann", "bob", "Ann")]
    answers = await asyncio.gather(*(queue.say(who, key, "approve") for key, who in pairs))
    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [409] * 10
    assert {await stands(queue, f"k{n}") for n in range(10)} == {"approve"}
    assert await queue.signals("r") == 10


async def test_a_decision_of_which_nothing_would_come_leaves_no_trace(queue: Any) -> None:
    await queue.put("k1")
    await queue.database.execute("UPDATE tasks SET work='ended'")
    answer = await queue.say("ann", "k1", "approve")
    assert (answer.status_code, "nothing would come of" in answer.text) == (409, True)
    assert (await queue.reviews.one("k1"))["approvals"] == []
    assert [row["kind"] for row in await queue.log()] == ["review.opened"]


@pytest.mark.parametrize("decision", ["approve", "reject", ""])
async def test_a_client_whose_message_has_the_name_of_our_word_to_the_run_stops_no_decision(
    queue: Any, decision: str
) -> None:
    await queue.put("k1")
    message = {"messageId": "decided-k1-1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    message["taskId"] = queue.claims["run-k1"].task_id
    params = {"message": message, "configuration": {"returnImmediately": True}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
    sent = await queue.http("customer", "POST", "/", json=call, headers={"a2a-version": "1.0"})
    assert "task" in sent.json()["result"]
    if decision:
        assert (await queue.say("ann", "k1", decision)).status_code == 200
    else:
        await queue.move("k1", 15 * 86_400.0)
        await queue.reviews.overdue("k1")
    assert await stands(queue, "k1") == (decision or "expired")
    assert await queue.signals("run-k1") == 2  # the client's, and ours
