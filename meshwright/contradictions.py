"""Which proposals cannot both be carried out, who has the say about what, and how disagreement is settled: as data.

    targets = ["order_id"]                                # the arguments that name what is changed
    compatible = [["change_address", "change_items"]]     # everything else on one target contradicts
    claims = ["authority", "evidence", "confidence", "judge"]
    actions = ["authority"]

    [owners]                                              # subject or action → the skills whose word counts most
    customer = ["identify-customer"]
    cancel_order = ["order-cancel"]

    [named]                                               # a target → how a customer writes one: a pattern
    order_id = '#?W[0-9]{4,}'

    [asked]                                               # an action → how a customer asks for it: a pattern
    cancel_order = 'cancel|no longer (need|want)'

It lies beside the policy (`conflicts.toml`), because whoever says what may be done says this too. Both the aggregator and the
orchestrator, which does not believe it, read the same table.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from meshwright.findings import Conflict, Evidence, Proposal, Side
from meshwright.settings import SettingsError

Strategy = Literal["authority", "evidence", "confidence", "judge"]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a pattern: {error}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]

FILE = "conflicts.toml"
#: Said of a conflict that nobody settled.
PERSON = "nothing settles it: a person decides"


class Contradictions(BaseModel):
    """The table. Without one, any two different writes on one thing contradict each other, and a person decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: tuple[str, ...] = ()
    compatible: tuple[tuple[str, str], ...] = ()
    claims: tuple[Strategy, ...] = ("authority", "evidence", "confidence", "judge")
    #: What an agent says of its own confidence opens no door: by default only the say over an action settles it.
    actions: tuple[Strategy, ...] = ("authority",)
    #: How much more confident a side has to be for that to count.
    margin: float = Field(default=0.2, ge=0, le=1)
    owners: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    named: dict[str, Pattern] = Field(default_factory=dict)
    asked: dict[str, Pattern] = Field(default_factory=dict)

    @classmethod
    def beside(cls, policy: Path) -> Contradictions:
        """The table in the policy's folder; the default without one. Raises SettingsError that names the place in it."""
        path = (policy if policy.is_dir() else policy.parent) / FILE
        if not path.is_file():
            return cls()
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{path}: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            raise SettingsError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def targets_of(self, proposal: Proposal) -> frozenset[str]:
        """What a proposal changes: by its arguments, as far as the table names them; else all ids in them; else as it says."""
        given = proposal.arguments
        found = {f"{key}:{folded(given[key])}" for key in self.targets if key in given}
        ids = sorted(f"{k}:{folded(v)}" for k, v in given.items() if k.endswith("_id") and isinstance(v, str))
        said = folded(proposal.about)
        return frozenset(found or ([" ".join(ids)] if ids else [said] if said else []))

    def groups(self, proposals: Sequence[Proposal]) -> list[list[Proposal]]:
        """Those that exclude one another, directly or through a third, in the order proposed; who excludes nobody is in none."""
        targets = [self.targets_of(proposal) for proposal in proposals]
        groups: list[list[int]] = []
        for place, proposal in enumerate(proposals):
            joined = [
                group
                for group in groups
                if any(
                    targets[place] & targets[n] and not self._go_together(proposal, proposals[n])
                    for n in group
                )
            ]
            groups = [group for group in groups if group not in joined]
            groups.append([*(n for group in joined for n in group), place])
        return [[proposals[n] for n in group] for group in groups if len(group) > 1]

    def unasked(self, proposal: Proposal, words: str) -> str:
        """What in a customer's words speaks against a proposal; empty where nothing does, or where the table does not say.

        Where they name things of a kind, only these are meant; and they ask for an action in one of the ways there are.
        """
        text = folded(words)
        for argument, pattern in self.named.items():
            said = {_bare(found.group()) for found in re.finditer(pattern, text, re.IGNORECASE)}
            given = proposal.arguments.get(argument)
            if given is not None and said and _bare(str(given)) not in said:
                return f"the customer names others, not {str(given)[:80]}"
        pattern = self.asked.get(proposal.action, "")
        if pattern and not re.search(pattern, text, re.IGNORECASE):
            return f"nothing in the customer's words asks for {proposal.action}"
        return ""

    def _go_together(self, one: Proposal, other: Proposal) -> bool:
        pair = (one.action, other.action)
        return pair in self.compatible or pair[::-1] in self.compatible


def distinct(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Each action with the same arguments once, in the order proposed.

    It has the evidence of all and names all who proposed it; it is as sure as the least sure of them, and moves what the
    highest of them says: whoever joins in can make it no safer than it was.
    """
    found: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        found.setdefault(proposal.fingerprint, []).append(proposal)
    return [_joined(alike) if len(alike) > 1 else alike[0] for alike in found.values()]


def _joined(alike: Sequence[Proposal]) -> Proposal:
    amounts = [proposal.amount for proposal in alike if proposal.amount is not None]
    pieces = {(piece.source, piece.quote): piece for one in alike for piece in one.evidence}
    who = dict.fromkeys(one.proposed_by for one in alike if one.proposed_by)
    more: dict[str, Any] = {
        "amount": max(amounts, default=None),
        "confidence": min(proposal.confidence for proposal in alike),
        "evidence": list(pieces.values())[:32],
        "proposed_by": ", ".join(who),
    }
    return alike[0].model_copy(update=more)


def folded(value: Any) -> str:
    """A name or an id, so that two spellings of one thing are one: no case, no spaces around it, one form of each letter."""
    return " ".join(unicodedata.normalize("NFKC", str(value)).casefold().split())


def _bare(name: str) -> str:
    """An id without what people leave out of it."""
    return "".join(c for c in folded(name) if c.isalnum())


def side_of(proposal: Proposal) -> Side:
    """A proposal as one side of a conflict."""
    return Side(
        agent=proposal.proposed_by,
        action=proposal.action,
        arguments=proposal.arguments,
        fingerprint=proposal.fingerprint,
        confidence=proposal.confidence,
        evidence=proposal.evidence,
    )


def against_the_words(proposal: Proposal, words: str, why: str) -> Conflict:
    """The conflict between what an agent wants done and what the customer wrote: a person reads both."""
    said = Side(agent="customer", value=words[:4000], evidence=[Evidence(source="ticket", quote=words[:400])])
    return Conflict(
        about=(proposal.about or proposal.action)[:8000],
        sides=[said, side_of(proposal)],
        why=why,
        proposals=[proposal.fingerprint],
    )


def unsettled(about: str, group: Sequence[Proposal], why: str = PERSON) -> Conflict:
    """The conflict of proposals between which nobody has chosen."""
    return Conflict(
        about=about,
        kind="actions",
        sides=[side_of(proposal) for proposal in group[:64]],
        why=why,
        proposals=[proposal.fingerprint for proposal in group[:64]],
    )
