"""The review queue over A2A: what the client is told while its task waits, and decisions that come as messages.

A decision is a data part `{"review": id, "decision": "approve"|"edit"|"reject", "hash", "reason", "arguments"}`, in a message of its own
or as a follow-up on the client's task. It goes through the same rules as everywhere; whoever is no operator is refused in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshwright.errors import InvalidRequest
from meshwright.findings import Asks

#: Proposals that are named in the words; all of them are in the data.
NAMED = 5


def decisions_in(data: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The decisions of a message, as they were written; none in a message about something else."""
    return [part for part in data if isinstance(part, dict) and {"review", "decision"} <= part.keys()]


def the_only(decisions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The decision of a message. Raises InvalidRequest for more than one: which of them failed could not be said."""
    if len(decisions) > 1:
        raise InvalidRequest("a message decides one review; send a message for each")
    return decisions[0]


def decided(review: Mapping[str, Any]) -> str:
    """What became of a review, to whoever decided about it."""
    if review["state"] == "open":
        more = review["needed"] - len(review["approvals"])
        return f"{review['action']}: approved by you; {'one more person' if more == 1 else f'{more} more people'} must approve it"
    words = {"approve": "approved", "reject": "rejected", "edit": "edited"}
    return f"{review['action']}: {words[review['state']]}"


def waits(reviews: Sequence[Mapping[str, Any]], note: str = "", asked: Asks | None = None) -> str:
    """Why the client's task waits: the question that is put to them, then what waits for people. `note` comes before it."""
    lines = [note] if note else []
    if asked is not None and asked.question is not None:
        lines.append(asked.question.text)
    if reviews:
        what = "one proposal waits" if len(reviews) == 1 else f"{len(reviews)} proposals wait"
        named = "; ".join(f"{review['action']} ({review['why']})" for review in reviews[:NAMED])
        lines.append(f"{what} for a person to decide: {named}. The answer follows on this task")
    elif asked is None:
        lines.append("what people decided is being done; the answer follows on this task")
    return "\n".join(lines)


def notice(reviews: Sequence[Mapping[str, Any]], asked: Asks | None = None) -> dict[str, Any]:
    """The same for machines. The arguments are not in it: they are in the report, which only the task's owner gets."""
    waiting = [
        {name: review[name] for name in ("id", "action", "why", "risk", "expires")} for review in reviews
    ]
    question = {"asks": asked.model_dump(mode="json", exclude_defaults=True)} if asked is not None else {}
    return {"reviews": waiting, **question}
