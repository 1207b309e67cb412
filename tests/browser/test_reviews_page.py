"""The review pages in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

DESKTOP, PHONE = (1280, 800), (390, 844)


async def _fill(town: Any) -> None:
    await town.put("r-low", risk="low", arguments={"thing": "t4", "colour": "white"}, why="It is asked for.")
    await town.put("r-medium", provenance={"thing": "tool:thing", "colour": "customer"})
    await town.put(
        "r-odd",
        risk="high",
        approvals=2,
        arguments={"thing": "t2", "colour": "g\u202eold", "note": "pаid"},
        provenance={"thing": "agent", "colour": "customer"},
        conflict={
            "about": "order:#W2",
            "why": "nothing settles it: a person decides",
            "sides": [
                {"agent": "orders", "action": "paint", "arguments": {"thing": "t2", "colour": "gold"}},
                {
                    "agent": "returns",
                    "action": "refund",
                    "arguments": {"thing": "t2", "amount": 50000},
                    "evidence": [{"source": "tool:workshop.look_at", "quote": "t2 arrived broken"}],
                },
            ],
        },
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1280", "390"])
async def test_the_pages_hold_at_every_width_and_in_both_themes(
    town: Any, look: Any, size: tuple[int, int], dark: bool
) -> None:
    await _fill(town)
    async with town.console() as base:
        sight = await look(base, size=size, dark=dark)
        for path, name in (
            ("/reviews", "list"),
            ("/reviews/r-odd", "one"),
            ("/reviews?state=decided", "empty"),
        ):
            await sight.go(path)
            await sight.shot(f"reviews-{name}-{size[0]}-{'dark' if dark else 'light'}")
            assert await sight.violations() == []
            assert not await sight.is_too_wide()
