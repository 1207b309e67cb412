"""The graph's nodes as spans: thin, around the node, with what it came to. Nodes know nothing of it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from meshwright.records import semconv
from meshwright.records.correlation import as_id
from meshwright.records.tracing import Attributes, listened_to, span
from orchestrator.work import Drive, Work

Node = TypeVar("Node", bound=Callable[..., Awaitable[dict[str, Any]]])

#: What each node that says something by itself is in a viewer. The others are what their calls are, and those stand below the run.
KINDS: Mapping[str, Attributes] = {
    "plan": {semconv.OPERATION: semconv.PLAN, semconv.KIND: semconv.CHAIN},
    "gate": {semconv.KIND: semconv.GUARDRAIL},
    "review": {semconv.KIND: semconv.GUARDRAIL},
}


def traced(node: Node) -> Node:
    """The node, in a span of its name; a node that parks the run has not failed."""
    kind = KINDS.get(node.__name__)
    if kind is None:
        return node

    @functools.wraps(node)
    async def seen(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
        if not listened_to():
            return await node(state, runtime)
        step = str(get_config().get("metadata", {}).get("langgraph_step", ""))
        with span(node.__name__, {**kind, semconv.STEP: step}, key=step) as told:
            try:
                change = await node(state, runtime)
            except GraphBubbleUp as parked:
                told.set_attribute(semconv.OUTCOME, "waits")
                waits = parked
            else:
                if verdicts := _verdicts(state, change):
                    told.set_attribute(semconv.VERDICTS, verdicts)
                return change
        raise waits

    return cast(Node, seen)


def _verdicts(state: Work, change: Mapping[str, Any]) -> list[str]:
    """What became of each action that this step changed, as `action: state`."""
    before = {row["key"]: row["state"] for row in state["actions"]}
    return [
        f"{as_id(row['proposal']['action'])}: {row['state']}"  # what is asked for may be a model's words
        for row in change.get("actions", [])
        if row["state"] != before.get(row["key"])
    ]
