"""An agent that runs away is killed, alone, and its caller hears why."""

from __future__ import annotations

import asyncio
import os

import httpx
import pytest

from benchmarks.runaway.household import Household, gone_within
from benchmarks.runaway.wild import LIES
from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen, PeerAnsweredBadly, PeerTimedOut
from meshwright.inbound.identity import Identity, Trust
from meshwright.isolation.fence import NICE
from meshwright.isolation.nursery import STALE
from meshwright.outbound.directory import Directory

#: Seconds that the kernel and a busy machine may take for what must not take any: how late exactly, `make runaway` measures.
SOON = 3.0


@pytest.mark.parametrize("how", ["spin", "swallow", "block", "regex", "stubborn-memory", "fork"])
async def test_who_does_not_stop_is_answered_for_at_the_deadline_and_killed(
    ask, wild: Household, how: str
) -> None:
    told = await ask(wild, how, seconds=0.6)
    assert (told.state, told.code) == ("FAILED", "DEADLINE_EXCEEDED")
    assert told.pid
    assert gone_within(SOON, told.pid) == []


async def test_a_fork_bomb_has_no_children(ask, wild: Household) -> None:
    told = await ask(wild, "fork", seconds=0.6)
    assert wild.strays() == []
    assert gone_within(SOON, told.pid) == []
    assert wild.strays() == []


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("memory", "its worker had used its 256 MiB of memory"),
        ("leave", "its worker ended by itself, with exit code 3"),
        ("exits", "its worker ended by itself, with exit code 7"),
        ("crash", "its worker crashed (Segmentation fault)"),
        ("spin", "its worker had used its 3 s of CPU"),
    ],
)
async def test_a_worker_that_dies_is_told_of_at_once_and_why(
    ask, wild: Household, how: str, why: str
) -> None:
    told = await ask(wild, how, seconds=30)
    assert (told.state, told.code, told.text) == ("FAILED", "WORKER_FAILED", why)


@pytest.mark.parametrize("how", ["flood", "chatter", *LIES])
async def test_who_writes_nonsense_into_its_pipe_is_ended_for_it(ask, wild: Household, how: str) -> None:
    told = await ask(wild, how, seconds=30)
    assert (told.state, told.code) == ("FAILED", "WORKER_FAILED")
    assert gone_within(SOON, told.pid) == []


async def test_the_others_of_its_server_go_on(ask, wild: Household) -> None:
    runaways = [asyncio.create_task(ask(wild, how, seconds=2.5)) for how in ("spin", "regex", "fork")]
    others = [await ask(wild, "well", seconds=10) for _ in range(10)]
    assert not any(runaway.done() for runaway in runaways)
    assert {told.state for told in others} == {"COMPLETED"}
    assert {told.code for told in await asyncio.gather(*runaways)} == {"DEADLINE_EXCEEDED"}


async def test_who_works_for_long_yields_to_those_who_have_just_come(ask, wild: Household) -> None:
    long = await ask(wild, "swallow", seconds=3, now=True)
    short = await ask(wild, "surroundings")
    assert short.facts["nice"] == NICE
    await ask(wild, "swallow", seconds=0.6)
    assert os.getpriority(os.PRIO_PROCESS, long.pid) == STALE


async def test_a_cancelled_task_takes_its_worker_with_it(
    ask, client: httpx.AsyncClient, wild: Household
) -> None:
    begun = await ask(wild, "swallow", seconds=100, now=True)
    body = {"jsonrpc": "2.0", "id": 1, "method": "CancelTask", "params": {"id": begun.task}}
    answer = (await client.post(wild.url, json=body, headers={"a2a-version": "1.0"})).json()
    assert answer["result"]["status"]["state"] == "TASK_STATE_CANCELED"
    assert begun.pid
    assert gone_within(SOON, begun.pid) == []


async def test_its_caller_counts_it_as_unwell(wild: Household) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        directory = Directory([wild.url], http, Identity("", None, Trust("", {})))
        await directory.refresh()
        (peer,) = directory.candidates("behave")

        def content(how: str) -> dict[str, object]:
            return {"subtask": {"id": "s", "skill": "behave", "instruction": how}}

        for how, error in (("leave", PeerAnsweredBadly), ("lie-shape", PeerAnsweredBadly)) * 2:
            with pytest.raises(error):
                await peer.ask(content(how), by=Deadline.after(10))
        with pytest.raises(PeerTimedOut):
            await peer.ask(content("spin"), by=Deadline.after(0.6))
        with pytest.raises(BreakerOpen):
            await peer.ask(content("well"), by=Deadline.after(10))
