"""A run as the mesh tells of it, for the tests of the commands that show one."""

from __future__ import annotations

from typing import Any

Page = dict[str, Any]


def row(name: str, kind: str, at: float, **said: Any) -> Page:
    return {"id": name, "kind": kind, "at": 1000 + at, "agent": "orchestrator", "task": "t0", **said}


#: A request of two parts: one agent had to stand in, two disagreed, a person approved, and it was applied.
DECISIONS: list[Page] = [
    row("p", "plan", 0.0, outcome="planned", selected="Triage", ms=41, reason="Triage split it into 2 parts",
        more={"parts": [{"id": "s1", "skill": "order-cancel"}, {"id": "s2", "skill": "policy-answer"}]}),
    row(
        *("r1", "route", 0.1),
        parent="p", subtask="s1", selected="Standby", outcome="stand-in", reason="Orders did not answer",
        options=[{"name": "Standby", "score": 2}, {"name": "Orders", "score": 1, "why_not": "its breaker is open"}],
        passed=[{"key": "the request", "source": "client", "bytes": 120}, {"key": "customer", "bytes": 30}],
        omitted=[{"key": "email", "why": "personal", "bytes": 20}, {"key": "finding s2", "why": "relevance"}],
    ),
    row(
        *("c1", "agent_call", 0.2),
        parent="r1", subtask="s1", selected="Standby", outcome="answered", ms=1234, deadline_ms=9_800,
        tokens_given=2_000, micros=1_500, remote="t1", below=["x1"], more={"tokens": 200},
    ),
    row(
        *("x1", "tool_call", 0.3),
        agent="standby", task="t1", outcome="answered", ms=12,
        call={"tool": "get_order", "server": "orderbook", "arguments": {"order_id": "#W1"},
              "result": {"order_id": "#W1", "status": "pending"}, "bytes": 50},
    ),
    row(
        *("x2", "tool_call", 0.4),
        agent="standby", task="t1", outcome="failed",
        reason="nobody of that name",
        call={"tool": "find_customer", "arguments": {"name": "[personal]"}, "error": "ToolRefused"},
    ),
    row("m1", "model_call", 0.5, agent="standby", task="t1", selected="gpt-9", outcome="answered", tokens_in=150, tokens_out=50),
    row(
        *("k1", "resolve_conflict", 0.6),
        outcome="chosen", strategy="authority", reason="Orders has the say", more={"actions": ["a1"]},
        sides=[
            {"agent": "Standby", "says": "cancel_order", "arguments": {"order_id": "#W1"}, "confidence": 0.9,
             "evidence": ["tool:get_order"], "chosen": True},
            {"agent": "Returns", "says": "return_items", "confidence": 0.4},
        ],
    ),
    row(
        *("g1", "gate", 0.7),
        parent="c1", action="a1", outcome="review", policy="large-amounts", risk="high", reason="it is a lot", source="policy",
        selected="cancel_order",
        more={
            "arguments": {"order_id": "#W1"},
            "facts": {
                "order": {"tool": "get_order", "told": {"status": "pending"}, "keyed": "k"},
                "payment": {"tool": "get_payment", "not_told": "no time was left"},
            },
        },
    ),
    row("v1", "review", 60.0, parent="g1", action="a1", outcome="approve", selected="cancel_order", person="ann", source="person", reason="she called"),
    row(
        *("e1", "effect", 61.0),
        parent="v1", action="a1", outcome="applied", selected="cancel_order", ms=9,
        call={"tool": "cancel_order", "server": "orderbook", "arguments": {"order_id": "#W1"}, "result": "cancelled"},
    ),
    row("f1", "final", 62.0, outcome="done", reason="all is answered"),
]  # fmt: skip
RUN: Page = {
    "id": "run-1",
    "task_id": "t0",
    "correlation": "t0",
    "caller": "jana",
    "request": "cancel #W1 please",
    "state": "done",
    "started": 1000.0,
    "ended": 1062.5,
    "trace": "ab",
    "report": {"outcome": "done"},
}
PAGE: Page = {
    "run": RUN,
    "decisions": DECISIONS,
    "missing": [{"agent": "Returns", "ids": ["d1", "d2"], "why": "it does not answer"}],
    "links": {"trace": "https://traces.example/ab"},
}
