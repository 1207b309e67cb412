"""Was there a gate before every write, and did every person's word count once? The shop's journal held against the audit log. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.history import Told
from benchmarks.chaos.journal import EffectRow

OPENED, APPROVED = "review.opened", "review.approved"
#: After one of these nothing may be applied under the same key; what an edit makes of an action has a key of its own.
STOPPED = ("review.rejected", "review.edited", "review.expired", "review.withdrawn")
#: What a person says, as the log has it.
KINDS = {"approve": APPROVED, "reject": "review.rejected", "edit": "review.edited"}


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the audit log. `seq` counts from 1."""

    seq: int
    kind: str
    actor: str = ""
    run: str = ""
    action: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


def by_action(log: Sequence[Line]) -> dict[str, list[Line]]:
    """The entries about each action, the oldest first."""
    found: dict[str, list[Line]] = defaultdict(list)
    for line in log:
        found[line.action].append(line)
    return found


def ungated(journal: Sequence[EffectRow], log: Sequence[Line]) -> list[str]:
    """Writes that no gate let through, that too few people approved, or that somebody had decided against."""
    about = by_action(log)
    return [
        f"{row.tool} {row.key} of ticket {row.ticket}: {why}"
        for row in journal
        for why in _against(row, about.get(row.key, []))
    ]


def _against(row: EffectRow, lines: Sequence[Line]) -> Iterator[str]:
    grants = [line for line in lines if line.kind == "grant.issued"]
    grant = next((line for line in grants if line.body.get("grant") == row.grant), None)
    if grant is None or not row.grant:
        yield "the log has not issued its grant"
        return
    if (grant.run, grant.body.get("tool")) != (row.ticket, row.tool):
        yield "its grant was for something else"
    before = [line for line in lines if line.seq < grant.seq]
    verdicts = [line for line in before if line.kind == "gate.verdict"]
    people = {line.actor for line in before if line.kind == APPROVED}
    people -= {str(line.body.get("proposed_by", "")) for line in verdicts}
    if not verdicts or verdicts[-1].body.get("decision") != "apply":
        yield "no verdict let it through"
    elif len(people) < _needed(verdicts):
        yield f"{len(people)} people have approved it, {_needed(verdicts)} were needed"
    if not set(grant.body.get("approvers", ())) <= people:
        yield f"its grant names {sorted(grant.body['approvers'])}; {sorted(people)} have approved"
    for line in lines:
        if line.kind in STOPPED:
            yield f"there is a {line.kind} of {line.actor}"


def _needed(verdicts: Sequence[Line]) -> int:
    """People without whom the last verdict would not be what it is: those it was told of, and those it had been put before."""
    asked = [
        int(line.body.get("needs", 0)) or 1 for line in verdicts if line.body.get("decision") == "review"
    ]
    return max([int(verdicts[-1].body.get("approvals", 0)), *asked])


def decided_twice(log: Sequence[Line]) -> list[str]:
    """Reviews that were decided more often than they were put before people, and people whose approval counts twice."""
    found: list[str] = []
    for action, lines in by_action(log).items():
        opened = sum(line.kind == OPENED for line in lines)
        over = [line for line in lines if line.kind in KINDS.values() and line.body.get("over")]
        if len(over) > opened:
            who = ", ".join(f"{line.kind} by {line.actor}" for line in over)
            found.append(f"review {action}: put before people {opened} times, decided: {who}")
        approvals = Counter(line.actor for line in lines if line.kind == APPROVED)
        found += [f"review {action}: {who} approved it {n} times" for who, n in approvals.items() if n > 1]
    return found


def words_lost(told: Sequence[Told], log: Sequence[Line]) -> list[str]:
    """Words that a person was told count, and of which the log has nothing."""
    known = Counter((line.action, line.actor, line.kind) for line in log)
    said = Counter((each.review, each.who, KINDS[each.decision]) for each in told)
    return [
        f"review {review}: {who} was told that it is a {kind}, and the log has none"
        for (review, who, kind), times in said.items()
        if times > known[review, who, kind]
    ]
