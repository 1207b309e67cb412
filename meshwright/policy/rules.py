"""A declarative policy: what may be applied, what waits for how many people, and what never happens. Default: reject.

A policy is a folder: `*.cedar` with the rules, one `*.cedarschema`, and `facts.toml`, which says what the gate looks up. Three outcomes
come of one question. Cedar is asked with `context.approvals` as it is, and with more: allowed at once is *apply*, allowed with
n people's approval is *review* by n, never allowed is *reject*. [The policy](docs/policy.md) says what stands in the context.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshwright.findings import Verdict
from meshwright.policy.facts import Ask, Closing, Lookups, fill, lookup
from meshwright.policy.provenance import hidden, provenance
from meshwright.policy.rulebook import RISKS, Rule, Rulebook, Ruling
from meshwright.policy.spoken import spoken
from meshwright.settings import SettingsError
from meshwright.shipped import shipped

log = logging.getLogger(__name__)

#: More people than this are never asked for.
PEOPLE = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it was made of. `seen` is the SHA-256 of the facts, `context` what the rules were asked about.

    `moves` is the money that the action moves, in cents, as a fact says it.
    """

    verdict: Verdict
    provenance: dict[str, str]
    facts: Mapping[str, Any]
    context: Mapping[str, Any]
    moves: int = 0
    errors: tuple[str, ...] = ()

    @property
    def seen(self) -> str:
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it. `load` reads it from a folder. `digest` is the SHA-256 of its files."""

    rulebook: Rulebook
    lookups: Lookups
    digest: str

    @classmethod
    def load(cls, folder: Path) -> Policy:
        """Raises SettingsError that names the file, and the rule or the place in it."""
        if not folder.is_dir():
            raise SettingsError(f"MESHWRIGHT_POLICY: {folder} is no folder with a policy in it")
        try:
            rulebook, lookups = Rulebook.read(folder), Lookups.read(folder / "facts.toml")
            _require_known(folder / "facts.toml", lookups, rulebook)
        except SettingsError as error:
            raise SettingsError(f"MESHWRIGHT_POLICY: {error}") from None
        files = sorted(
            file for file in folder.iterdir() if file.suffix in (".cedar", ".cedarschema", ".toml")
        )
        digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
        return cls(rulebook, lookups, digest)

    @property
    def closing(self) -> Closing | None:
        return self.lookups.closing

    async def judge(self, action: str, known: Mapping[str, Any], ask: Ask, approvals: int = 0) -> Verdict:
        """The verdict on one proposal, of which `approvals` different people have approved so far.

        `known` holds `proposal` (its arguments), `proposal_confidence`, `amount`, `agent`, `skill`, `subject`, `request`,
        `words` (the customer's), `conflict`, and `by_person` (the arguments that a person has set); all but the first may be missing.
        """
        return (await self.weigh(action, known, ask, approvals)).verdict

    async def weigh(self, action: str, known: Mapping[str, Any], ask: Ask, approvals: int = 0) -> Judgement:
        """The same, with what it was made of."""
        facts: dict[str, Any] = {}
        if action in self.rulebook.actions:
            facts = await self.lookups.look_up(action, {**known, "action": action}, ask)
        return self.decide(action, known, facts, approvals)

    def decide(
        self, action: str, known: Mapping[str, Any], facts: Mapping[str, Any], approvals: int = 0
    ) -> Judgement:
        """The judgement on facts that are there already."""
        words, by_person = str(known.get("words", "")), known.get("by_person", ())
        sources = provenance(known.get("proposal", {}), words, facts, self.lookups, by_person)
        context = {**self.lookups.kept(facts), **_given(known), "provenance": sources}
        if heard := spoken(known.get("proposal", {}), words, facts, self.lookups):
            context["spoken"] = heard
        moves = lookup(facts, self.lookups.moves)
        moves = moves if type(moves) is int else 0
        verdict, errors = self._ruled(action, context, {**known, **facts, "action": action}, approvals)
        return Judgement(verdict, sources, facts, context, moves, errors)

    def _ruled(
        self, action: str, context: Mapping[str, Any], told: Mapping[str, Any], approvals: int
    ) -> tuple[Verdict, tuple[str, ...]]:
        """The verdict, and why the rules could not be asked, where they could not: then it is a reject."""
        if action not in self.rulebook.actions:
            return _rejected("default", f"no rule allows {action}"), ()
        agent = str(told.get("agent", ""))
        rulings = self.rulebook.ask(agent, action, [{**context, "approvals": approvals}])
        if not rulings[0].allowed and not rulings[0].errors:
            more = range(approvals + 1, PEOPLE + 1)
            rulings += self.rulebook.ask(agent, action, [{**context, "approvals": level} for level in more])
        errors = tuple(dict.fromkeys(error for ruling in rulings for error in ruling.errors))
        if errors:
            log.info("the rules could not be asked about %s by %r", action, agent[:40])
            why = f"{action}: the arguments or the facts about them do not have the shape that the rules know"
            return _rejected("shape", why), errors
        return _verdict(approvals, rulings, told), ()


def _require_known(file: Path, lookups: Lookups, rulebook: Rulebook) -> None:
    """Raises SettingsError for an action that no rule permits: what is misspelt here would be found with the first customer."""
    for action in lookups.needs:
        if action not in rulebook.actions:
            raise SettingsError(f"{file}: needs.{action}: no rule permits it")
    for step, action in lookups.closing or ():
        if action not in rulebook.actions:
            raise SettingsError(f"{file}: closing.{step}: no rule permits {action}")


def shipped_policy() -> Path:
    """The folder of the policy that comes along. Raises SettingsError if there is none, or more than one to choose from."""
    place = shipped("policies", "access.toml").parent
    found = sorted(file.parent for file in place.glob("*/facts.toml"))
    if len(found) != 1:
        names = ", ".join(folder.name for folder in found) or "none"
        raise SettingsError(
            f"which policy of {place} is meant (there are: {names})? MESHWRIGHT_POLICY names its folder"
        )
    return found[0]


def _given(known: Mapping[str, Any]) -> dict[str, Any]:
    """What the rules see of the request and the proposal, beside the facts. Shares are whole per cents, lists are counts."""
    request = known.get("request", {})
    given = {
        "proposal": known.get("proposal", {}),
        "confidence": int(float(known.get("proposal_confidence", 1.0)) * 100 + 1e-6),
        "skill": str(known.get("skill", "")),
        "conflict": bool(known.get("conflict", False)),
        "hidden": hidden(known.get("proposal", {})),
        "request": {
            "unread": len(request.get("unread", ())),
            "open_ends": len(request.get("open_ends", ())),
            "moved_cents": int(request.get("moved_cents", 0)),
        },
    }
    if known.get("amount") is not None:
        given["amount"] = known["amount"]
    return given


def _verdict(approvals: int, rulings: list[Ruling], told: Mapping[str, Any]) -> Verdict:
    """From one ruling per number of approvals, beginning with those that there are."""
    more = next((place for place, ruling in enumerate(rulings) if ruling.allowed), None)
    if more == 0:
        return _said("apply", rulings[0].rules, "every condition holds", 0)
    if more is not None:
        stopped = tuple(dict.fromkeys(rule for ruling in rulings[:more] for rule in ruling.rules))
        stopped = stopped or rulings[more].rules  # nothing forbade it: what permits it wants people
        why = "; ".join(dict.fromkeys(fill(rule.why, told) for rule in stopped))
        return _said("review", stopped, why[:2000], approvals + more)
    last = rulings[-1].rules
    if last:
        return _said("reject", last, fill(last[0].why, told), 0)
    agent, skill = told.get("agent") or "nobody", told.get("skill") or "none"
    why = f"no rule allows {told['action']} as {agent} proposes it (the part of the request: {skill})"
    return _rejected("default", why[:2000])


def _said(decision: Any, rules: tuple[Rule, ...], why: str, approvals: int) -> Verdict:
    return Verdict(
        decision=decision,
        policy=", ".join(rule.id for rule in rules),
        why=why,
        source="; ".join(dict.fromkeys(rule.source for rule in rules)),
        approvals=approvals,
        risk=max((rule.risk for rule in rules), key=RISKS.index),
    )


def _rejected(policy: str, why: str) -> Verdict:
    return Verdict(decision="reject", policy=policy, why=why)
