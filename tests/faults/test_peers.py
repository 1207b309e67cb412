"""A peer behind each fault that a wire can have: a call ends in time with the right error, and a run ends with an answer and a named gap."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from a2a.types import AgentCard

from meshwright.deadline import Deadline
from meshwright.errors import MeshError, Outcome, PeerTimedOut, PeerUnreachable
from meshwright.outbound.breaker import Breaker
from meshwright.outbound.http import http_client
from meshwright.outbound.lost import never_sent
from meshwright.outbound.peer import Peer
from meshwright.testing import WELL, Fault, Keyring

DEADLINE = 1.5

CUT = [Fault("reset"), Fault("deaf"), Fault("half-close")]
MIDWAY = [Fault("reset", after=400), Fault("half-close", after=400)]
LATE = [Fault("hang"), Fault("delay", seconds=30), Fault("drip", seconds=0.1)]


def kind(fault: Fault) -> str:
    return f"{fault.kind}-{fault.after}" if fault.after else fault.kind


@pytest.mark.parametrize("fault", CUT, ids=kind)
async def test_a_message_whose_fate_is_unknown_is_sent_again_and_worked_on_once(
    start_team: Any, fault: Fault
) -> None:
    async with start_team() as team:
        team.proxy.shows(fault, WELL)
        answer = await team.ask(20)
        assert answer.data[0]["reply"] == "It is on its way."
        assert team.worked == ["look"]
        assert team.orders.retries.spent == 1


@pytest.mark.parametrize("fault", CUT, ids=kind)
async def test_a_stranger_is_not_sent_again_what_it_may_have_heard(
    start_team: Any, http: httpx.AsyncClient, fault: Fault
) -> None:
    async with start_team() as team:
        card, sent = stranger(team), team.proxy.exchanges
        peer = Peer(card, Breaker(team.proxy.url), http, Keyring("x").identity("x"), "", team.proxy.url)
        team.proxy.shows(fault, WELL)
        with pytest.raises(PeerUnreachable) as lost:
            await peer.ask({}, text="look", by=Deadline.after(20))
        assert team.proxy.exchanges == sent + 1
        assert not never_sent(lost.value)


async def test_a_stranger_is_tried_again_where_nobody_listened(start_team: Any) -> None:
    async with (
        start_team() as team,
        http_client() as fresh,
    ):  # one that has no connection yet which could break
        await team.proxy.refuse()
        address = team.proxy.url
        peer = Peer(stranger(team), Breaker(address), fresh, Keyring("x").identity("x"), "", address)
        with pytest.raises(PeerUnreachable) as lost:
            await peer.ask({}, text="look", by=Deadline.after(20))
        assert never_sent(lost.value)
        assert peer.retries.spent == 1


def stranger(team: Any) -> AgentCard:
    """The sick one's card, as of somebody who knows nothing of the mesh's extension."""
    entry = next(entry for entry in team.directory.entries if entry.url == team.proxy.url)
    card = AgentCard()
    card.CopyFrom(entry.card)
    del card.capabilities.extensions[:]
    return card


@pytest.mark.parametrize("fault", MIDWAY, ids=kind)
async def test_a_stream_that_breaks_off_is_taken_up_again(start_team: Any, fault: Fault) -> None:
    async with start_team() as team:
        team.proxy.shows(fault, WELL)
        answer = await team.ask(20)
        assert answer.data[0]["reply"] == "It is on its way."
        assert team.worked == ["look"]
        assert team.orders.breaker.shown()["failures"] == {}


@pytest.mark.parametrize(
    ("fault", "error", "outcome"),
    [(fault, PeerUnreachable, Outcome.TRANSPORT) for fault in CUT]
    + [(fault, PeerTimedOut, Outcome.TIMEOUT) for fault in LATE],
    ids=[kind(fault) for fault in (*CUT, *LATE)],
)
async def test_a_call_ends_in_time_and_the_breaker_is_told_what_happened(
    start_team: Any, fault: Fault, error: type[MeshError], outcome: Outcome
) -> None:
    async with start_team() as team:
        team.proxy.shows(fault)
        async with asyncio.timeout(DEADLINE + 5):
            with pytest.raises(error):
                await team.ask(DEADLINE)
        assert set(team.orders.breaker.shown()["failures"]) == {outcome}


@pytest.mark.parametrize("fault", [*CUT, *LATE, None], ids=lambda f: kind(f) if f else "refuse")
async def test_a_run_with_a_sick_peer_is_answered_in_time_with_what_is_there_and_what_is_not(
    start_team: Any, fault: Fault | None
) -> None:
    async with start_team() as team:
        if fault is None:
            await team.proxy.refuse()
        else:
            team.proxy.shows(fault)
        async with asyncio.timeout(10):
            report = await team.report(5)
        assert report["outcome"] == "degraded"
        assert "Thirty days." in report["reply"]
        steps = {step["subtask"]: step for step in report["steps"]}
        assert (steps["explain"]["outcome"], steps["look"]["outcome"]) == ("answered", "stand-in")
        assert any("Orders" in gap["why"] for gap in report["gaps"])
