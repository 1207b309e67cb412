"""What agents ask in the middle of their work: a proposal goes to the gate, a question to the client, and the answer back.

`state["questions"]` has one entry per subtask that waits: {agent, name, url, remote, letter, asks, number, at, key?, answer?}. `remote` is
the peer's task, `letter` what was sent to it last, `number` counts what this subtask has asked, and `at` orders what the run was
asked. What became of a proposal stands in the row of its action (`key`), so it is written down once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from meshwright.errors import InvalidRequest
from meshwright.evidence import Words, standing
from meshwright.extension import canonical
from meshwright.findings import Answers, Asks, Settled
from meshwright.parts import read_as

if TYPE_CHECKING:
    from orchestrator.work import Work

#: What one subtask may ask. Then it is a gap, and the peer's task is cancelled.
MAX_QUESTIONS = 8
#: Of an action's row, what it was settled as.
_SETTLED = {"applied", "refused", "rejected", "unknown"}

State = Mapping[str, Any]


def open_questions(state: State) -> dict[str, dict[str, Any]]:
    """What waits for an answer or has one that was not told yet; none in a run of a build that knew no questions."""
    return dict(state.get("questions") or {})


def entry(
    state: State,
    part: str,
    peer: Mapping[str, str],
    asks: Asks,
    before: Mapping[str, Any] | None = None,
    key: str = "",
) -> dict[str, Any]:
    """The entry for what `part` asks now; `before` is what it asked before, `key` that of the action it proposes.

    Who proposes is the agent that we asked, whoever asked it: its names for others (`via`) are for people to read.
    """
    known = [each["at"] for each in open_questions(state).values()]
    row: dict[str, Any] = {
        **peer,
        "asks": asks.model_dump(mode="json"),
        "number": (before or {}).get("number", 0) + 1,
        "at": max([*known, (before or {}).get("at", 0)], default=0) + 1,
    }
    if asks.proposal is None:
        return row
    proposal = asks.proposal.model_copy(update={"proposed_by": peer["agent"], "subtask": part})
    row["asks"]["proposal"] = proposal.model_dump(mode="json")
    row["key"] = key
    return row


def withheld(state: State) -> dict[str, str]:
    """The subtasks whose proposal does not get to the gate, and why: what nothing supports is not passed on, as in a finding."""
    words = Words(state["request"])
    why = "no evidence that holds supports it: a tool that was called, or the customer's own words"
    asked = {part: Asks.model_validate(row["asks"]) for part, row in undecided(state).items()}
    return {
        part: why
        for part, asks in asked.items()
        if asks.proposal is not None and not standing(asks.proposal.evidence, asks.called, words)
    }


def undecided(state: State) -> dict[str, dict[str, Any]]:
    """The questions that propose something of which nobody has said anything yet."""
    return {
        part: row
        for part, row in open_questions(state).items()
        if row["asks"].get("proposal") and not row.get("answer")
    }


def rejected(row: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The entry with its answer: that its proposal is rejected."""
    settled = Answers(id=row["asks"]["id"], settled=Settled(state="rejected", why=why))
    return {**row, "answer": settled.model_dump(mode="json", exclude_none=True)}


def to_be_judged(state: State) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Proposals for the gate, and by whom they were asked for in the middle of work; None for those of the resolution."""
    for part, row in undecided(state).items():
        asked_by = {"subtask": part, "peer": row["agent"], "remote": row["remote"]}
        yield row["asks"]["proposal"], {**asked_by, "via": row["asks"]["via"]}
    for content in state["resolution"].get("proposals", []):
        yield content, None


def so_far(state: Work) -> Work:
    """The state with the gaps of the findings that are there: in the middle of work they are not put together yet."""
    found = [gap for finding in state["findings"].values() for gap in finding["gaps"]]
    return cast("Work", {**state, "gaps": [*state["gaps"], *found]})


def answer_to(state: State, part: str) -> Answers | None:
    """What is to be said to `part`'s question, once it is known."""
    row = open_questions(state)[part]
    if row.get("answer"):
        return Answers.model_validate(row["answer"])
    content = row["asks"].get("proposal")
    if not content:
        return None
    action = _carried_on(state, row["key"])
    if action is None or action["state"] not in _SETTLED:
        return None
    why = str(action.get("why") or ("" if action["state"] == "applied" else action["verdict"]["why"]))
    settled = Settled(state=action["state"], receipt=action.get("receipt") or {}, why=why[:8_000])
    return Answers(id=row["asks"]["id"], settled=settled)


def _carried_on(state: State, key: str) -> dict[str, Any] | None:
    """The row of an action; of one that a person has edited, the one in its place."""
    rows = {row["key"]: row for row in state["actions"]}
    row, edits = rows.get(key), ""
    while row is not None and row["state"] == "edited":
        edits, row = str(row.get("why", "")), rows.get(row.get("became", ""))
    return {**row, "why": row.get("why") or edits} if row is not None else None


def answerable(state: State) -> list[str]:
    """The subtasks whose question has an answer."""
    return [part for part in open_questions(state) if answer_to(state, part) is not None]


def for_the_client(state: State) -> dict[str, Any] | None:
    """The question that is put to the client now: of those that no agent can answer, the one that was asked first."""
    asked = [
        row for row in open_questions(state).values() if row["asks"].get("question") and not row.get("answer")
    ]
    return min(asked, key=lambda row: row["at"], default=None)


def put(state: State) -> Asks | None:
    """The same as the client sees it, under a name of the run's own: two peers may give their questions the same."""
    row = for_the_client(state)
    if row is None:
        return None
    asks = Asks.model_validate(row["asks"])
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, canonical([state["id"], row["url"], row["remote"], asks.id])))
    return asks.model_copy(update={"id": name, "via": [*asks.via, row["agent"][:120]][-16:], "called": []})


def heard(state: State, about: str, text: str) -> dict[str, Any] | None:
    """The questions with the client's answer to the one that was put to them; None if that is not `about`."""
    row, asked = for_the_client(state), put(state)
    if row is None or asked is None or asked.id != about:
        return None
    answer = Answers(id=row["asks"]["id"], text=text[:8_000]).model_dump(mode="json", exclude_none=True)
    return {
        part: {**each, "answer": answer} if each is row else each
        for part, each in open_questions(state).items()
    }


def named_in(data: list[Any]) -> str:
    """The id of the question that a client's message says it answers; empty where it does not say."""
    for content in data:
        if isinstance(content, dict) and "answers" in content:
            try:
                return read_as(Answers, content["answers"]).id
            except InvalidRequest:
                return "?"
    return ""
