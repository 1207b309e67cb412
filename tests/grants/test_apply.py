"""What is applied was let through, by a gate and by as many people as it takes; and the log has the intent and the outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from a2a.types import Message

from meshwright.database import open_database
from meshwright.deadline import Deadline
from meshwright.errors import LeaseLost
from meshwright.findings import Proposal, Verdict
from meshwright.outbound.toolbox import Toolbox
from meshwright.records.runs import RunStore
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.tasks.lease import abandon
from orchestrator.apply import Ungated, carry_out
from orchestrator.finish import cut_short
from orchestrator.gate import action_key
from orchestrator.work import Drive, new_work

RUN = "run-1"
CANCEL = {"order_id": "#W1", "reason": "no longer needed"}
LATE = {"order_id": "#W3", "reason": "no longer needed"}


def open_row(arguments: dict[str, Any] = CANCEL, *, people: Any = (), **verdict: Any) -> dict[str, Any]:
    proposal = Proposal(action="cancel_order", arguments=arguments, why="Ada asked: ada.novak@example.com")
    ruling = Verdict(**{"decision": "apply", "policy": "pending-only", "why": "it is pending", **verdict})
    return {
        "key": action_key(RUN, proposal),
        "proposal": proposal.model_dump(mode="json"),
        "verdict": ruling.model_dump(mode="json"),
        "state": "open",
        "approved_by": people,
    }


@asynccontextmanager
async def drive_on(url: str, counter: Any, who: str = "orchestrator") -> AsyncIterator[Any]:
    """A run in hand, with `log` to read what stands of it."""
    store = await open_database(url)
    ask = Ask("\x1f", "", Message(message_id="m1"), {}, 30)
    accepted = await store.write(lambda tx: accept(tx, Desk("orchestrator", "me", 3600), ask))
    assert accepted.claim is not None
    box = Toolbox(
        [f"http://{name}" for name in ("orderbook", "desk")],
        counter.mesh.client(),
        counter.ring.identity(who),
    )
    nobody: Any = None
    drive = Drive(
        by=Deadline.after(30),
        purse=nobody,
        directory=nobody,
        toolbox=box,
        policy=nobody,
        store=RunStore(store),
        reviews=nobody,
        say=nobody,
        outbox=nobody,
        letters={},
        claim=accepted.claim,
        run=RUN,
    )

    async def log() -> list[tuple[str, dict[str, Any]]]:
        rows = await store.execute(
            "SELECT kind, action, payload AS body FROM audit_log WHERE run = ? ORDER BY seq", RUN
        )
        return [(row["kind"], json.loads(row["body"])) for row in rows]

    try:
        yield drive, log, store
    finally:
        await store.close()


async def unkept(state: dict[str, Any]) -> None:
    """Here nobody takes the run over."""


async def test_intent_and_outcome_stand_in_the_log_with_who_allowed_it(url: str, counter: Any) -> None:
    async with drive_on(url, counter) as (drive, log, _):
        done = await carry_out(drive, open_row(people=["ann", "bea"], approvals=2), drive.by)
        (intent, issued), (outcome, applied) = await log()
    [effect] = await counter.journal()
    assert (done["state"], intent, outcome) == ("applied", "grant.issued", "effect.applied")
    assert issued["grant"] == applied["grant"] == effect.grant == done["receipt"]["grant"]
    assert issued["approvers"] == effect.approvers == ["ann", "bea"]
    assert issued["verdict"]["policy"] == effect.policy == "pending-only"
    assert "ada.novak" not in json.dumps([issued, applied])


@pytest.mark.parametrize(
    "row",
    [
        open_row(decision="reject"),
        open_row(decision="review"),
        open_row(decision="apply", approvals=1),
        open_row(decision="apply", approvals=2, people=["ann"]),
        open_row(decision="review", approvals=2, people=["ann", "ann"]),
        open_row() | {"state": "waiting"},
        open_row() | {"state": "approved"},
        open_row() | {"state": "rejected"},
        open_row() | {"proposal": open_row(LATE)["proposal"]},  # edited behind the back of who approved
        open_row() | {"key": open_row(LATE)["key"]},
    ],
)
async def test_what_no_gate_let_through_is_not_even_intended(row: Any, tmp_path: Any, counter: Any) -> None:
    async with drive_on(f"sqlite:///{tmp_path}/store.db", counter) as (drive, log, _):
        with pytest.raises(Ungated, match="cancel_order"):
            await carry_out(drive, row, drive.by)
        assert await log() == []
    assert await counter.untouched()


async def test_an_approval_of_0_1_0_holds_one_name(tmp_path: Any, counter: Any) -> None:
    async with drive_on(f"sqlite:///{tmp_path}/store.db", counter) as (drive, _, _):
        await carry_out(drive, open_row(decision="review", people="ann"), drive.by)
    [effect] = await counter.journal()
    assert effect.approvers == ["ann"]


async def test_a_rule_that_says_no_is_an_outcome(url: str, counter: Any) -> None:
    async with drive_on(url, counter) as (drive, log, _):
        done = await carry_out(drive, open_row(LATE), drive.by)
        again = await carry_out(drive, open_row(LATE), drive.by)
        kinds = [kind for kind, _ in await log()]
    assert (done["state"], again["state"]) == ("refused", "refused")
    assert "it is processed" in done["why"]
    assert kinds == ["grant.issued", "effect.refused", "grant.issued"]


async def test_what_is_not_known_is_said_so_and_found_out_when_it_is_asked_again(
    url: str, counter: Any
) -> None:
    async with drive_on(url, counter) as (drive, log, _):
        await drive.toolbox.schemas(drive.by)
        counter.mesh.hangs.add("http://orderbook")
        lost = await carry_out(drive, open_row(), drive.by.at_most(0.3))
        counter.mesh.hangs.clear()
        found = await carry_out(drive, open_row(), drive.by)
        kinds = [kind for kind, _ in await log()]
    assert (lost["state"], found["state"]) == ("unknown", "applied")
    assert kinds == ["grant.issued", "effect.unknown", "grant.issued", "effect.applied"]


async def test_a_refusal_of_the_grant_does_not_say_that_the_action_was_not_applied(
    url: str, counter: Any
) -> None:
    """An earlier call may have been heard: what is refused at the door is no word about the effect."""
    async with drive_on(url, counter, who="console") as (drive, log, _):
        done = await carry_out(drive, open_row(), drive.by)
        kinds = [kind for kind, _ in await log()]
    assert (done["state"], kinds) == ("unknown", ["grant.issued", "effect.unknown"])
    assert "may not write with" in done["why"]
    assert await counter.untouched()


async def test_who_has_lost_the_run_asks_for_nothing(url: str, counter: Any) -> None:
    async with drive_on(url, counter) as (drive, log, store):
        await store.write(lambda tx: abandon(tx, [drive.claim]))
        with pytest.raises(LeaseLost):
            await carry_out(drive, open_row(), drive.by)
        assert await log() == []
    assert await counter.untouched()


async def test_a_run_whose_time_is_up_says_of_what_it_began_that_it_is_not_known(
    url: str, counter: Any
) -> None:
    class Closed:
        closing = None

    async with drive_on(url, counter) as (drive, log, _):
        state = {**new_work(RUN, "cancel it"), "actions": [open_row()]}
        ended = await cut_short(state, replace(drive, policy=Closed()), unkept)
        kinds = [kind for kind, _ in await log()]
    assert ended["actions"][0]["state"] == "unknown"
    assert kinds == ["effect.unknown"]


async def test_a_write_that_the_end_of_the_time_cuts_off_is_not_known_to_the_log_as_to_the_decisions(
    url: str, counter: Any
) -> None:
    class Closed:
        closing = None

    async with drive_on(url, counter) as (drive, log, store):
        await drive.toolbox.schemas(drive.by)
        counter.mesh.hangs.add("http://orderbook")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await carry_out(drive, open_row(), drive.by)
        # as a closing effect is: it is no action of the state that was kept
        await cut_short({**new_work(RUN, "cancel it")}, replace(drive, policy=Closed()), unkept)
        kinds, [(_, issued), (_, unknown)] = [kind for kind, _ in await log()], await log()
        rows = await store.execute("SELECT outcome, action FROM decisions WHERE kind = 'effect'")
    assert kinds == ["grant.issued", "effect.unknown"]
    assert unknown["grant"] == issued["grant"]
    assert [(row["outcome"], row["action"]) for row in rows] == [("unknown", open_row()["key"])]
