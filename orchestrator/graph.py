"""plan → delegate → aggregate → gate → apply → (review → gate) → plan again or finish.

While agents ask in the middle of their work it goes delegate → gate → apply → (review) → delegate: what they propose is judged and
applied, and they go on with the answer. Findings are put together when nobody asks any more.

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
from orchestrator.questions import MAX_QUESTIONS, answerable, for_the_client, open_questions
from orchestrator.review import review
from orchestrator.schema import dated
from orchestrator.traced import traced
from orchestrator.work import MAX_ROUNDS, Drive, Work

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

#: No path through the graph is longer than this many steps: rounds times nodes, a wave per subtask, and four steps for each of
#: the questions that its (at most 16) subtasks may ask.
RECURSION_LIMIT = 60 + 16 * 4 * MAX_QUESTIONS


async def after_plan(state: Work) -> str:
    """Also for a run that is entered anew here, because its node is gone: while somebody still asks, nothing is put together."""
    return "delegate" if ready(state) or open_questions(state) else "aggregate"


async def after_delegate(state: Work) -> str:
    """On with whoever can go on; then to the gate with what was asked meanwhile; in the end to one answer."""
    if ready(state) or answerable(state):
        return "delegate"
    return "gate" if open_questions(state) else "aggregate"


async def after_apply(state: Work) -> str:
    """To the agents that can go on; to the people; then once more around for what was refused; then the end."""
    rows = state["actions"]
    if answerable(state):
        return "delegate"
    if any(row["state"] == "waiting" for row in rows) or for_the_client(state):
        return "review"
    # who asked in the middle of work has been told of the refusal
    fresh = any(row["state"] == "refused" and not row.get("seen") and not row.get("asked_by") for row in rows)
    return "plan" if fresh and state["round"] < MAX_ROUNDS else "finish"


def build(saver: BaseCheckpointSaver[Any] | None) -> CompiledStateGraph[Any, Drive, Any, Any]:
    """The compiled graph; `saver` keeps a checkpoint of each step."""
    graph = StateGraph(Work, context_schema=Drive)
    for node in (plan, delegate, aggregate, gate, apply, review, finish):
        graph.add_node(node.__name__, dated(traced(node)))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", after_plan, ["delegate", "aggregate"])
    graph.add_conditional_edges("delegate", after_delegate, ["delegate", "gate", "aggregate"])
    graph.add_edge("aggregate", "gate")
    graph.add_edge("gate", "apply")
    graph.add_conditional_edges("apply", after_apply, ["delegate", "review", "plan", "finish"])
    graph.add_edge("review", "gate")  # the world may have changed since: it is judged again
    graph.add_edge("finish", END)
    return graph.compile(checkpointer=saver)
