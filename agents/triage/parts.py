"""What was read of a message, gathered into subtasks: one to identify the customer, then one per specialist.

All that may touch the same order goes to one agent in one subtask, because an order's items can be changed
only once. A `swap` goes to both who could do it; each answers for the orders in the state that is theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from meshwright.findings import Split, Subtask
from triage.questions import Question
from triage.requests import Request

#: Skills that tell anybody what they tell: no identity is needed.
OPEN_TO_ALL = ("policy-answer", "product-answer")
#: Pieces that were not understood, and characters of one, at most; and how many stand for those at the end, if there are more: room for
#: what is left of a request.
MOST, LONGEST, LAST = 64, 8_000, 4
_WANTING = re.compile(r"^you (?:also |would |just )*(?:want|wish|like|need) to ", re.IGNORECASE)


@dataclass
class Parts:
    """The message in pieces."""

    subject: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def split(self) -> Split:
        """As subtasks. Without a request or a question the whole is for a person."""
        tasks: list[Subtask] = []
        orders = self._of("cancel", "readdress", "repay", "swap")
        returns = self._of("return", "swap")
        profile = self._of("profile_address")
        first = [r["do"] for r in orders]
        told = [q for q in self.questions if q.about != "outcome" or not self.requests]
        status = [q for q in self.questions if q.about in ("tracking", "total")]
        if orders:
            skill = "order-cancel" if set(first) == {"cancel"} else "order-change"
            tasks.append(_task("orders", skill, {"requests": orders}))
        if returns:
            skill = "order-return" if any(r["do"] == "return" for r in returns) else "order-exchange"
            tasks.append(_task("returns", skill, {"requests": returns}))
        if profile:
            tasks.append(_task("address", "address-change", {"requests": profile}))
        if status:
            tasks.append(_task("status", "order-status", {"questions": _asked(status)}))
        for skill, kinds in (
            ("product-answer", ("count", "price")),
            ("policy-answer", ("policy", "outcome")),
            ("profile-read", ("balance",)),
        ):
            asked = [q for q in told if q.about in kinds]
            if asked:
                tasks.append(_task(skill, skill, {"questions": _asked(asked)}))
        unread = list(self.unread)
        if not tasks and not unread:
            unread.append("the message states no request")
        if tasks and not self.subject and not unread and all(task.skill in OPEN_TO_ALL for task in tasks):
            return Split(topic=self._topic(), subtasks=tasks)
        who = Subtask(
            id="identify", skill="identify-customer", instruction="Find out who is writing.",
            details=dict(self.subject),
            critical=True,
        )  # fmt: skip
        unread = _bounded([_short(piece) for piece in unread])
        return Split(topic=self._topic(), subject=self.subject, subtasks=[who, *tasks], unread=unread)

    def _of(self, *kinds: str) -> list[dict[str, Any]]:
        return [{**r.detail(), "words": _short(r.words)} for r in self.requests if r.do in kinds]

    def _topic(self) -> str:
        kinds = {r.do for r in self.requests}
        for kind, topic in (
            ("return", "returns"),
            ("cancel", "orders"),
            ("swap", "changes"),
            ("readdress", "address"),
        ):
            if kind in kinds:
                return topic
        return "question" if self.questions else "other"


def _short(words: str) -> str:
    """`You want to cancel it` → `cancel it`: nobody wants to be told what they want."""
    return _WANTING.sub("", words)


def _bounded(pieces: list[str]) -> list[str]:
    """All of them, in as many and as long pieces as a split may have: what is too long is cut, the last ones stand together."""
    cut = [piece[at : at + LONGEST] for piece in pieces for at in range(0, len(piece) or 1, LONGEST)]
    if len(cut) <= MOST:
        return cut
    rest = "\n".join(cut[MOST - LAST :])
    return cut[: MOST - LAST] + [rest[at : at + LONGEST] for at in range(0, len(rest), LONGEST)]


def _asked(questions: list[Question]) -> list[dict[str, str]]:
    return [{"about": q.about, "product": q.product, "words": _short(q.words)} for q in questions]


def _task(name: str, skill: str, details: dict[str, Any]) -> Subtask:
    said = [
        _short(part.get("words", ""))
        for part in (*details.get("requests", ()), *details.get("questions", ()))
    ]
    return Subtask(
        id=name,
        skill=skill,
        instruction=" ".join(dict.fromkeys(said))[:8000],
        details=details,
        needs=[] if skill in OPEN_TO_ALL else ["identify"],
    )
