"""A run whose time is up while people have still to decide does not end as if there had been nothing to decide."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.records.minutes import Minutes
from orchestrator.finish import cut_short
from orchestrator.work import new_work


class NoClosing:
    closing = None


class Drive:
    policy = NoClosing()
    minutes = Minutes("orchestrator")


async def unkept(state: dict[str, Any]) -> None:
    """Here nobody takes the run over."""


@pytest.mark.parametrize("stands", ["waiting", "approved"])
async def test_what_was_not_decided_and_applied_in_time_is_named(stands: str) -> None:
    paint = {"action": "paint", "arguments": {}, "subtask": ""}
    row = {"key": "k", "proposal": paint, "verdict": {"why": "large"}, "state": stands}
    drive: Any = Drive()
    ended = await cut_short({**new_work("run", "paint it"), "plan": [], "actions": [row]}, drive, unkept)
    assert (ended["outcome"], ended["actions"][0]["state"]) == ("degraded", "rejected")
    assert "before it could be decided and applied" in ended["reply"]
