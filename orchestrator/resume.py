"""What a build does with a run it finds: bring its state up to date, and see that the graph knows where it stands.

LangGraph ends a thread without a word when its pending node is gone. So where a run stands is not believed of the checkpoint
alone: it is read from the facts in the state. Every step after planning is keyed (letters, verdicts, effects), so a run
that is entered anew behind `plan` finds again what it asked and does nothing twice. Done is `outcome`, nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshwright.tasks.turn import Postponed
from orchestrator.checkpoints import Unreadable
from orchestrator.work import NEWEST, SCHEMA_VERSION, new_work

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

log = logging.getLogger(__name__)

#: Seconds after which a run that needs a newer build is offered again.
LATER = 5.0
#: Seconds after which one is whose checkpoint cannot be read: it needs a newer build as well, or a person.
UNREAD = 60.0
#: What a state may lack: builds of the same schema did not have it.
_ADDED = frozenset({"questions", "decided"})
_BRANCH = "branch:to:"

Values = dict[str, Any]


def _with_what_was_added(values: Values) -> Values:
    """0 → 1: before states had a version they could lack keys."""
    return {**new_work(values["id"], values.get("request", "")), **values}


#: From a schema version to the next.
UPCASTS: dict[int, Callable[[Values], Values]] = {0: _with_what_was_added}


def upcast(values: Values, reads: int = NEWEST) -> Values:
    """The state in the schema of a build that reads up to `reads`. Raises Postponed for one that only a newer build can read."""
    found = values.get("schema_version", 0)
    if not isinstance(found, int):
        raise Postponed(f"its state has the schema {found!r:.40}: it is damaged", UNREAD)
    if found > reads:
        raise Postponed(
            f"its state has schema {found} and this build reads up to {reads}: it needs a newer build", LATER
        )
    for version in range(found, SCHEMA_VERSION):
        values = {**UPCASTS[version](values), "schema_version": version + 1}
    return values


async def ready_to_go_on(
    graph: CompiledStateGraph[Any, Any, Any, Any], config: Any, reads: int = NEWEST
) -> bool:
    """Whether the run has begun; then the graph can be driven on with no input. Raises Postponed.

    Changes the checkpoint where the run would not go on by itself: an older schema, or a pending node this build does not have.
    """
    saver: Any = graph.checkpointer
    try:
        found = await saver.aget_tuple(config)
    except Unreadable as why:
        raise Postponed(str(why), UNREAD) from why
    if found is None:
        return False
    stored: Values = found.checkpoint["channel_values"]
    values = upcast({**stored.get("__start__", {}), **stored}, reads)
    if lacks := new_work("", "").keys() - _ADDED - values.keys():
        raise Postponed(f"its state lacks {', '.join(sorted(lacks))}: it is damaged", UNREAD)
    if not values["round"]:
        return False  # not planned yet: it begins, as it did
    if values.get("outcome"):
        return True
    changed = {k: v for k, v in values.items() if k in new_work("", "") and stored.get(k) != v}
    unknown = [
        name.removeprefix(_BRANCH)
        for name in stored
        if name.startswith(_BRANCH) and name not in graph.channels
    ]
    lost = unknown or not (await graph.aget_state(config)).next
    if changed or lost:
        where = f"waited for {', '.join(unknown)}" if unknown else "had no next step"
        log.warning("run %s %s; it goes on from its facts", values.get("id"), where)
        await graph.aupdate_state(config, changed or {"round": values["round"]}, as_node="plan")
    return True
