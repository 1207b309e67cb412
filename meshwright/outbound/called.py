"""What became of a call, as a decision: an agent that was asked, a tool that was read, a model that answered. Taken in the span of the call, one for each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from meshwright.budget import used_in
from meshwright.errors import (
    BreakerOpen,
    BudgetExhausted,
    DeadlineExceeded,
    MeshError,
    PeerAnsweredBadly,
    PeerCold,
    PeerOverloaded,
    PeerRefused,
    PeerTimedOut,
    ToolRefused,
)
from meshwright.outbound.answers import decisions_in
from meshwright.records import semconv
from meshwright.records.correlation import as_id
from meshwright.records.decision import MANY, TEXT, Call
from meshwright.records.redact import field_name, keyed, reason, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshwright.records.minutes import Minutes

#: No count of tokens is larger: what somebody claims may be anything, and neither a span nor a row has room for it.
ANY_COUNT = 2**53

_CAME: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((ToolRefused, PeerRefused, BudgetExhausted), "refused"),
    ((PeerTimedOut, DeadlineExceeded), "timed-out"),
    (PeerOverloaded, "overloaded"),
    (PeerCold, "cold"),
    (BreakerOpen, "not-asked"),
    (PeerAnsweredBadly, "answered-badly"),
    (asyncio.CancelledError, "called-off"),
)


def came_of(error: BaseException) -> str:
    """What a call came to that raised `error`, as a code for `Decision.outcome`."""
    return next((code for kind, code in _CAME if isinstance(error, kind)), "failed")


def words_of(error: BaseException) -> str:
    """What may be said of an error: its words, if it is one of the mesh; of any other only its kind."""
    if isinstance(error, asyncio.CancelledError):
        return "nobody waited for the answer any more"
    return str(error) if isinstance(error, MeshError) else type(error).__name__


def tool_called(
    minutes: Minutes,
    server: str,
    tool: str,
    arguments: Mapping[str, Any],
    came: Mapping[str, Any] | BaseException,
    **known: Any,
) -> str:
    """The row of a tool that was read: with what, and what it told, or how it failed. `known` are fields of the decision."""
    told: dict[str, Any] = {"tool": tool, "server": server, "arguments": shown(arguments)}
    if isinstance(came, BaseException):
        told["error"] = type(came).__name__
        known |= {"outcome": came_of(came), "reason": words_of(came)}
    else:
        told["result"] = shown(came)
        told["keyed"], told["bytes"] = keyed(came)
        known["outcome"] = "answered"
    return minutes.take("tool_call", selected=tool, call=Call(**told), **known)


def agent_called(
    minutes: Minutes,
    peer: str,
    remote: str,
    notes: Mapping[str, Any],
    came: str | BaseException,
    **known: Any,
) -> str:
    """The row of an agent that was asked. `remote` is its task, `notes` what it says under the extension's URI.

    `came` is what it came to, as a code, or what was raised; `known` are fields of the decision.
    """
    said: dict[str, Any] = {"outcome": came, **known}
    if isinstance(came, BaseException):
        said |= {"outcome": came_of(came), "reason": words_of(came)}
    used = used_in(notes)
    if used is not None:
        said["micros"] = min(used.micros, ANY_COUNT)
        said["more"] = {**known.get("more", {}), "tokens": min(used.tokens, ANY_COUNT)}
    if remote:
        said["remote"] = as_id(remote)
    return minutes.take("agent_call", selected=peer, below=decisions_in(notes), **said)


def model_called(
    minutes: Minutes,
    model: str,
    asked: Mapping[str, Any],
    came: Mapping[str, Any] | BaseException,
    told: Mapping[str, Any],
    **known: Any,
) -> str:
    """The row of one answer of a model. `asked` is the request, `came` its message, `told` the counts and names that its span has.

    Of words there is only a short excerpt of what it said when it wanted tools: why it wants them.
    """
    messages, tools = asked["messages"], asked.get("tools") or ()
    more: dict[str, Any] = {
        "messages": len(messages),
        "characters": sum(len(message.get("content") or "") for message in messages),
        "tools": [field_name(tool["function"]["name"]) for tool in tools[:MANY]],
    }
    if isinstance(came, BaseException):
        known |= {"outcome": came_of(came), "reason": words_of(came)}
    else:
        calls = [
            call.get("function") or {} for call in came.get("tool_calls") or () if isinstance(call, dict)
        ]
        wanted = [field_name(call.get("name") or "") for call in calls[:MANY]]
        known["outcome"] = "wants-tools" if wanted else "answered"
        if wanted:
            more["wants"] = wanted
            known["reason"] = reason(came.get("content") or "")[:TEXT]
    finish = told.get(semconv.FINISH_REASONS)
    if finish:
        more["finish"] = finish
    known["tokens_in"], known["tokens_out"] = (
        told.get(semconv.INPUT_TOKENS, 0),
        told.get(semconv.OUTPUT_TOKENS, 0),
    )
    return minutes.take("model_call", selected=model, source="model", more=more, **known)
