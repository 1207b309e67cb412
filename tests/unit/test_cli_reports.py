"""A run on a terminal: all of it is there, and nothing from outside acts on the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from meshwright.cli.reports import explanation, reply
from meshwright.cli.sheet import listed

REPORT: dict[str, Any] = {
    "id": "r1",
    "outcome": "degraded",
    "topic": "orders",
    "urgency": "high",
    "ms": 1234.0,
    "plan": [
        {"id": "s1", "skill": "order-cancel", "instruction": "cancel #W1", "needs": []},
        {"id": "s2", "skill": "policy-answer", "instruction": "how long", "needs": []},
    ],
    "steps": [
        {
            "subtask": "s1",
            "skill": "order-cancel",
            "peer": "Standby",
            "why": "Orders did not answer",
            "outcome": "stand-in",
            "mode": "playbook",
            "ms": 41.0,
            "tools": ["orderbook.get_order"],
            "degraded": ["peer-timed-out", "stand-in"],
            "attempts": [
                {"peer": "Orders", "outcome": "Orders: no answer", "ms": 900},
                {"peer": "Standby", "outcome": "ok"},
            ],
        }
    ],
    "conflicts": [
        {"about": "order:#W1", "candidates": ["pending", "processed"], "chosen": "processed", "why": "newer"},
        {
            "about": "order:#W2",
            "kind": "actions",
            "strategy": "authority",
            "chosen": "f1",
            "why": "Orders has the say",
            "sides": [
                {
                    "agent": "Orders",
                    "action": "cancel_order",
                    "arguments": {"order_id": "#W2"},
                    "fingerprint": "f1",
                    "confidence": 0.9,
                    "evidence": [{"source": "tool:orderbook.get_order", "quote": "#W2: pending"}],
                },
                {"agent": "Returns", "action": "return_items", "arguments": {}, "fingerprint": "f2"},
            ],
        },
    ],
    "verdicts": [
        {
            "action": "cancel_order",
            "arguments": {"order_id": "#W1"},
            "amount": 450000,
            "decision": "review",
            "policy": "large-amounts",
            "why": "it is a lot",
        }
    ],
    "applied": [{"action": "cancel_order", "arguments": {}, "summary": "#W1 is cancelled", "replayed": True}],
    "gaps": [{"what": "how long", "why": "nobody knew", "subtask": "s2"}],
}


def shown(*what: Any, width: int = 160) -> str:
    console = Console(width=width, record=True, force_terminal=False, file=open("/dev/null", "w"))  # noqa: SIM115
    for each in what:
        console.print(each)
    console.file.close()
    return console.export_text()


def test_a_run_shows_who_was_asked_and_why_what_was_decided_done_and_left_open() -> None:
    text = shown(explanation(REPORT))
    for said in (
        "run r1  orders · high · 1.2 s",
        "◐ Standby  order-cancel  stand-in · playbook · 41 ms",
        "asked for: cancel #W1",
        "why: Orders did not answer",
        "tools: orderbook.get_order",
        "tried: Orders no answer 900 ms, Standby ok",
        "lacks: peer-timed-out, stand-in",
        "policy-answer  never begun",
        "order:#W1",
        "→ processed  newer",
        "Orders: cancel_order(order_id='#W2')  90% sure, tool:orderbook.get_order",
        "Returns: return_items()",
        "→ cancel_order(order_id='#W2')  by authority  Orders has the say",
        "? review cancel_order(order_id='#W1')  4,500.00",
        "it is a lot: large-amounts",
        "✓ #W1 is cancelled  (was applied before, not again)",
        "○ how long  nobody knew",
    ):
        assert said in text


def test_text_from_outside_cannot_repaint_the_screen_or_pass_for_markup() -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07[bold red]approved[/bold red]\u202e"
    verdict = {"action": "refund", "arguments": {"why": hostile}, "decision": "review", "why": hostile}
    text = shown(
        reply(hostile, "done"),
        explanation({"id": hostile, "verdicts": [verdict], "steps": [{"peer": hostile}]}),
    )
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold red]approved[/bold red]" in text


def test_what_is_to_be_copied_of_a_review_is_whole_on_a_narrow_terminal_and_no_markup() -> None:
    arguments = {"order_id": "#W8000000", "reason": "ordered by mistake"}
    row = {"id": "c350ef93-2595", "run": "1083b1ab17de", "action": "cancel_order", "arguments": arguments}
    text = shown(listed([{**row, "risk": "medium", "why": "it moves more than 4,000.00"}]), width=60)
    assert "c350ef93" in text
    assert "1083b1ab17de" in text
    assert max(map(len, text.splitlines())) <= 60
    assert "[/b]" in shown(listed([{**row, "id": "[/b]"}]))


@pytest.mark.parametrize("part", ["plan", "steps", "conflicts", "verdicts", "applied", "gaps"])
@pytest.mark.parametrize("value", [None, [], [{}], ["text"], "text"])
def test_a_report_of_another_version_is_shown_as_far_as_it_goes(part: str, value: Any) -> None:
    assert "run r1" in shown(explanation({"id": "r1", part: value}), reply("", "unheard-of"))
