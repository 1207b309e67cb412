"""plan → delegate → aggregate → gate → apply → (review) → plan again or finish.

Nodes and routers are async and importable by name, the state is JSON, `review` is the only place that waits: so the same
graph can be driven by something else than this process. That a run is done is a fact in its state (`outcome`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.graph import END, START, StateGraph

from orchestrator.aggregate import aggregate
from orchestrator.apply import apply
from orchestrator.delegate import delegate, ready
from orchestrator.finish import finish
from orchestrator.gate import gate
from orchestrator.plan import plan
from orchestrator.review import review
from orchestrator.traced import traced
from orchestrator.work import MAX_ROUNDS, Drive, Work

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: No path through the graph is longer than this many steps: rounds times nodes, and a wave per subtask.
RECURSION_LIMIT = 60


async def after_plan(state: Work) -> str:
    return "delegate" if ready(state) else "aggregate"


async def after_delegate(state: Work) -> str:
    return "delegate" if ready(state) else "aggregate"


async def after_apply(state: Work) -> str:
    """To the people first; then once more around for what was refused; then the end."""
    rows = state["actions"]
    if any(row["state"] == "waiting" for row in rows):
        return "review"
    fresh = any(row["state"] == "refused" and not row.get("seen") for row in rows)
    return "plan" if fresh and state["round"] < MAX_ROUNDS else "finish"


def build(saver: BaseCheckpointSaver[Any] | None) -> CompiledStateGraph[Any, Drive, Any, Any]:
    """The compiled graph; `saver` keeps a checkpoint of each step."""
    graph = StateGraph(Work, context_schema=Drive)
    for node in (plan, delegate, aggregate, gate, apply, review, finish):
        graph.add_node(node.__name__, traced(node))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", after_plan, ["delegate", "aggregate"])
    graph.add_conditional_edges("delegate", after_delegate, ["delegate", "aggregate"])
    graph.add_edge("aggregate", "gate")
    graph.add_edge("gate", "apply")
    graph.add_conditional_edges("apply", after_apply, ["review", "plan", "finish"])
    graph.add_edge("review", "apply")
    graph.add_edge("finish", END)
    return graph.compile(checkpointer=saver)
