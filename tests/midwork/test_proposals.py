"""An agent that needs an effect to go on proposes it, waits at no cost, and goes on with what became of it."""

from __future__ import annotations

from typing import Any

from meshwright.agent import Job
from meshwright.findings import Finding, Subtask


def painting(propose: Any, seen: list[Any] | None = None, *, again: bool = False) -> Any:
    """A playbook that paints what it is told, looks at it before and after, and says what it saw."""

    async def playbook(subtask: Subtask, job: Job) -> Finding:
        thing, colour = subtask.instruction.split()
        before = await job.tools.call("look_at", thing_id=thing)
        settled = await job.propose(propose(thing, colour))
        after = await job.tools.call("look_at", thing_id=thing)
        if seen is not None:
            seen.append((before["colour"], settled.state, after["colour"], settled.receipt, settled.why))
        proposals = [propose(thing, colour)] if again else []
        return Finding(reply=f"It was {before['colour']}, {settled.state}.", proposals=proposals)

    return playbook


async def test_a_proposal_in_the_middle_of_work_is_applied_and_the_agent_goes_on_with_the_receipt(
    start_team: Any, propose: Any
) -> None:
    seen: list[Any] = []
    async with start_team(orders=painting(propose, seen)) as team:
        report = await team.report("orders t1 red")
        assert team.workshop.actions("paint") == [{"thing_id": "t1", "colour": "red"}]
    assert seen == [("grey", "applied", "red", {"summary": "t1 is red", "replayed": False}, "")]
    assert report["outcome"] == "done"
    assert [step["outcome"] for step in report["steps"]][1:3] == ["asked", "answered"]
    assert report["applied"][0]["summary"] == "t1 is red"
