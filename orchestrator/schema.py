"""Which builds may go on with a run: said in its state after each step, by what the state holds at that moment.

A build that is released cannot be taught anything, but it puts back what has a newer schema than it reads, with the reason. So what it
would get wrong without a word has the newer schema, for as long as it stands there; everything else goes on in any build.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from langgraph.runtime import Runtime

from orchestrator.belief import UNDECIDED
from orchestrator.questions import open_questions
from orchestrator.work import NEWEST, SCHEMA_VERSION, Drive, Work

Node = TypeVar("Node", bound=Callable[..., Awaitable[dict[str, Any]]])


def dated(node: Node) -> Node:
    """The node, which also says which schema the state is of that it leaves behind."""

    @functools.wraps(node)
    async def leaves(state: Work, runtime: Runtime[Drive]) -> dict[str, Any]:
        change = await node(state, runtime)
        return {**change, "schema_version": schema_of({**state, **change})}

    return cast(Node, leaves)


def schema_of(state: Mapping[str, Any]) -> int:
    """2 where a build that reads up to 1 would lose an action or an answer, or do what fewer people approved than must."""
    return NEWEST if open_questions(state) or any(map(_new_to_others, state["actions"])) else SCHEMA_VERSION


def _new_to_others(row: Mapping[str, Any]) -> bool:
    """The first builds apply at once what one person approved, and pass over what is to be judged again; of the two sides of a
    conflict they would do both."""
    if row["state"] not in UNDECIDED:
        return False
    return row["state"] == "approved" or bool(row.get("conflict")) or row["verdict"].get("approvals", 0) > 1
