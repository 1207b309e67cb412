"""What was decided, the latest first; and refusals that a program can tell apart."""

from __future__ import annotations

from typing import Any


async def test_what_was_decided_is_listed_the_latest_first(queue: Any) -> None:
    for key in ("a", "b", "c", "d"):
        await queue.put(key, risk="high" if key == "b" else "low")
    for key in ("c", "a", "b"):
        assert (await queue.say("ann", key, "reject")).status_code == 200
    listed = (await queue.http("ann", "GET", "/reviews?state=decided")).json()["reviews"]
    assert [row["id"] for row in listed] == ["b", "a", "c"]
    some = (await queue.http("ann", "GET", "/reviews?state=decided&risk=low&limit=1")).json()["reviews"]
    assert [row["id"] for row in some] == ["a"]
    assert (await queue.http("ann", "GET", "/reviews?state=decide")).status_code == 400


async def test_a_refusal_names_its_reason_for_programs(queue: Any) -> None:
    await queue.put("a")
    await queue.say("ann", "a", "reject")
    late = await queue.say("bob", "a", "reject")
    assert (late.status_code, late.json()["error"]["reason"]) == (409, "ALREADY_DECIDED")
    await queue.put("b")
    await queue.http("bob", "POST", "/reviews/b/claim")
    assert (await queue.say("ann", "b", "reject")).json()["error"]["reason"] == "CLAIMED"
    assert (await queue.say("bob", "b", "reject", hash="0" * 64)).json()["error"]["reason"] == "OUTDATED"


async def test_a_process_decides_only_for_whom_it_may_speak(queue: Any) -> None:
    await queue.put("a")
    token = queue.ring.signer("orders").token("orchestrator", obo="ann")
    async with queue.mesh.client() as client:
        answer = await client.post(
            "http://orchestrator/reviews/a",
            json={"decision": "reject", "reason": "so"},
            headers={"authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 401
    assert (await queue.reviews.one("a"))["state"] == "open"
