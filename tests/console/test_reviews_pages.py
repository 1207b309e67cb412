"""Decisions from a browser without JavaScript: under one's own name, about what was seen, once."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from meshwright.reviews.word import Word


def hidden(page: httpx.Response) -> dict[str, str]:
    """What the form on a review's page brings along."""
    fields = re.findall(r'<input type="hidden" name="(hash|version)" value="([^"]*)">', page.text)
    return dict(fields)


async def test_a_person_approves_what_they_saw_under_their_own_name(house: Any) -> None:
    seen = await house.put("r1")
    ann = await house.person("ann")
    page = await ann.get("/reviews/r1")
    assert hidden(page) == {"hash": seen, "version": "1"}
    answer = await ann.post("/reviews/r1", decision="approve", reason="", **hidden(page))
    assert (answer.status_code, answer.headers["location"]) == (303, "/reviews/r1?done=approve")
    review = await house.town.reviews.one("r1")
    assert (review["state"], review["decided_by"]) == ("approve", "ann")
    assert "Approved." in (await ann.get(answer.headers["location"])).text


async def test_two_people_are_two_persons_and_not_the_console(house: Any) -> None:
    await house.put("r1", needed=2)
    ann, bob = await house.person("ann"), await house.person("bob")
    page = await ann.get("/reviews/r1")
    await ann.post("/reviews/r1", decision="approve", **hidden(page))
    again = await ann.get("/reviews/r1")
    assert "You have approved this already" in again.text
    assert (await ann.post("/reviews/r1", decision="approve", **hidden(again))).status_code == 409
    assert (await house.town.reviews.one("r1"))["state"] == "open"
    await bob.post("/reviews/r1", decision="approve", **hidden(await bob.get("/reviews/r1")))
    review = await house.town.reviews.one("r1")
    assert review["state"] == "approve"
    assert [vote["by"] for vote in review["approvals"]] == ["ann", "bob"]


@pytest.mark.parametrize("role", ["client", "by"])
async def test_nobody_approves_what_they_asked_for_or_proposed(house: Any, role: str) -> None:
    await house.put("r1", **{role: "ann"})
    ann = await house.person("ann")
    page = await ann.get("/reviews/r1")
    assert "another person has to approve it" in page.text
    assert "Approve exactly this" not in page.text
    answer = await ann.post("/reviews/r1", decision="approve", **hidden(page))
    assert answer.status_code == 403
    assert "nobody approves what they proposed themselves" in answer.text
    assert (await house.town.reviews.one("r1"))["state"] == "open"


async def test_who_was_first_is_named_to_who_was_second(house: Any) -> None:
    await house.put("r1")
    ann, bob = await house.person("ann"), await house.person("bob")
    seen = hidden(await ann.get("/reviews/r1"))
    await bob.post(
        "/reviews/r1", decision="reject", reason="too dear", **hidden(await bob.get("/reviews/r1"))
    )
    late = await ann.post("/reviews/r1", decision="approve", **seen)
    assert late.status_code == 409
    assert "bob already decided this review: it is rejected" in late.text
    assert "too dear" in late.text
    assert "Approve exactly this" not in late.text


async def test_what_was_seen_is_what_is_decided(house: Any) -> None:
    seen = await house.put("r1")
    ann = await house.person("ann")
    page = await ann.get("/reviews/r1")
    for stale in (
        {**hidden(page), "hash": "0" * 64},
        {"hash": seen, "version": "7"},
        {"hash": seen, "version": "x"},
    ):
        answer = await ann.post("/reviews/r1", decision="approve", **stale)
        assert answer.status_code == 409, stale
        assert "Your decision was not taken" in answer.text
    assert (await house.town.reviews.one("r1"))["state"] == "open"


async def test_a_review_that_is_claimed_says_by_whom(house: Any) -> None:
    await house.put("r1")
    ann, bob = await house.person("ann"), await house.person("bob")
    await bob.get("/reviews/r1")
    assert (await bob.post("/reviews/r1/claim")).status_code == 303
    answer = await ann.post(
        "/reviews/r1", decision="reject", reason="no", **hidden(await ann.get("/reviews/r1"))
    )
    assert answer.status_code == 409
    assert "bob has claimed this review" in answer.text
    assert "bob is at it" in (await ann.get("/reviews")).text
    assert "you are at it" in (await bob.get("/reviews?mine=1")).text
    assert (await ann.post("/reviews/r1/steal")).status_code == 404
    assert (await bob.post("/reviews/r1/release")).status_code == 303


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ('{"thing": "t2"', "line 1, column 15"),
        ('{"thing": NaN}', "NaN is not a number"),
        ('{"thing": 1e999}', "larger number than a double"),
        ('{"a": 1, "a": 2}', "same key twice"),
        ('["t2"]', "must be an object"),
        ("[" * 5_000, "nested"),
        ('{"thing": "t1"}', "stand there already"),
        ("", "line 1"),
    ],
)
async def test_arguments_that_cannot_be_are_refused_in_place(house: Any, arguments: str, why: str) -> None:
    await house.put("r1")
    ann = await house.person("ann")
    seen = hidden(await ann.get("/reviews/r1"))
    answer = await ann.post("/reviews/r1", decision="edit", reason="so", arguments=arguments, **seen)
    assert answer.status_code == 422
    assert why in answer.text.partition('id="edit-wrong">')[2].partition("</p>")[0]
    assert 'name="reason" maxlength="2000" value="so" required' in answer.text, (
        "what was typed is still there"
    )
    assert (await house.town.reviews.one("r1"))["state"] == "open"


async def test_a_rejection_needs_a_reason(house: Any) -> None:
    await house.put("r1")
    ann = await house.person("ann")
    seen = hidden(await ann.get("/reviews/r1"))
    answer = await ann.post("/reviews/r1", decision="reject", reason=" ", **seen)
    assert answer.status_code == 422
    assert "reject needs a reason" in answer.text
    assert (await ann.post("/reviews/r1", decision="nonsense", **seen)).status_code == 422


async def test_words_from_outside_are_words_on_the_page(house: Any) -> None:
    await house.put("r1")
    ann = await house.person("ann")
    for path in (
        "/reviews",
        "/reviews/r1",
        "/reviews/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/reviews?q=<script>alert(1)",
    ):
        text = (await ann.get(path)).text
        assert "<script>alert" not in text, path


async def test_words_are_set_from_the_side_from_which_they_are_read(house: Any) -> None:
    await house.town.put("r1", request="איפה ההזמנה שלי?", why="הלקוח שואל")
    page = await (await house.person("ann")).get("/reviews/r1")
    for words in ("איפה ההזמנה שלי?", "הלקוח שואל"):
        assert f'dir="auto">{words}<' in page.text


async def test_what_is_not_there_is_not_found(house: Any) -> None:
    ann = await house.person("ann")
    for path in (
        "/reviews/none",
        "/reviews/%00",
        "/reviews/a%0Ab",
        "/parts/reviews/none",
    ):
        answer = await ann.get(path)
        assert answer.status_code == 404, path
    await ann.get("/reviews")
    assert (await ann.post("/reviews/none", decision="reject", reason="x")).status_code == 404


async def test_a_list_is_filtered_and_sent_again_only_when_it_changed(house: Any) -> None:
    await house.put("r1")
    ann = await house.person("ann")
    assert "Nothing waits" not in (await ann.get("/reviews")).text
    assert "No review is like that" in (await ann.get("/reviews?q=nothing+like+it")).text
    assert "No review is like that" in (await ann.get("/reviews?risk=high")).text
    part = await ann.http.get("/parts/reviews", headers={"hx-request": "true"})
    again = {"hx-request": "true", "x-seen": part.headers["x-seen"]}
    assert (await ann.http.get("/parts/reviews", headers=again)).status_code == 204
    await house.put("r2")
    assert (await ann.http.get("/parts/reviews", headers=again)).status_code == 200


async def test_what_was_decided_stays_with_who_and_why(house: Any) -> None:
    await house.put("r1")
    await house.town.reviews.decide("r1", Word("reject", "too dear"), by="bob")
    ann = await house.person("ann")
    decided = (await ann.get("/reviews?state=decided")).text
    assert "too dear" in decided
    assert "rejected" in decided
    assert "Nothing waits for a person" in (await ann.get("/reviews")).text


async def test_a_mesh_that_does_not_answer_is_said_on_a_page_with_a_way_out(house: Any) -> None:
    ann = await house.person("ann")
    house.town.mesh.down.add("http://orchestrator")
    answer = await ann.get("/reviews?risk=high")
    assert answer.status_code == 502
    for words in (
        "The mesh does not answer",
        "meshwright up",
        'href="/reviews?risk=high"',
        "http://orchestrator",
    ):
        assert words in answer.text
    assert (await ann.http.get("/parts/reviews", headers={"hx-request": "true"})).status_code == 502
    house.town.mesh.down.clear()
    assert (await ann.get("/reviews")).status_code == 200


async def test_an_edit_is_a_proposal_of_the_persons_own(house: Any) -> None:
    await house.put("r1")
    ann = await house.person("ann")
    seen = hidden(await ann.get("/reviews/r1"))
    answer = await ann.post(
        "/reviews/r1", decision="edit", reason="cheaper", arguments='{"thing": "t3"}', **seen
    )
    assert answer.status_code == 303
    review = await house.town.reviews.one("r1")
    assert (review["state"], review["decided_by"], review["edited"]) == ("edit", "ann", {"thing": "t3"})
