"""The rules themselves: Cedar files that are read, checked against their schema, and asked.

    @id("pending-only")
    @source("handbook, Cancel pending order: an order can only be cancelled if its status is 'pending'")
    @why("the order is {order.status}, not pending")
    forbid (principal, action == Action::"cancel_order", resource)
    unless { context has order.status && context.order.status == "pending" };

Every rule has an `@id` of its own, an `@source` (where it comes from) and a `@why` that a person can act on, in which `{path}` stands
for a fact; `@risk("medium")` or `"high"` orders the queue that people see. Cedar passes over a rule that cannot be evaluated, and
a rule that is passed over forbids nothing: so here such an error is an answer of its own, and whoever asks rejects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshwright.findings import Risk
from meshwright.settings import SettingsError

if TYPE_CHECKING:
    from cedarpy import PolicySet, Schema

#: From the least to the most urgent.
RISKS: tuple[Risk, ...] = ("low", "medium", "high")
_NEEDED, _KNOWN = ("id", "source", "why"), {"id", "source", "why", "risk"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said of a rule beside its conditions. `permits` is False for a rule that forbids."""

    id: str
    permits: bool
    source: str
    why: str
    risk: Risk
    file: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """Cedar's answer to one request: the rules that decided it, in the order of the files. With an error nothing is decided."""

    allowed: bool
    rules: tuple[Rule, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules of a folder, read once."""

    rules: tuple[Rule, ...]
    actions: frozenset[str]
    _policies: PolicySet
    _schema: Schema

    @classmethod
    def read(cls, folder: Path) -> Rulebook:
        """Raises SettingsError that names the file, and the rule where it is about one."""
        import cedarpy

        schemas, files = sorted(folder.glob("*.cedarschema")), sorted(folder.glob("*.cedar"))
        if len(schemas) != 1 or not files:
            raise SettingsError(f"{folder} must hold one *.cedarschema and at least one *.cedar")
        try:
            schema = cedarpy.Schema.from_str(_text(schemas[0]))
        except ValueError as error:
            raise SettingsError(f"{schemas[0]}: {error}") from None
        rules: list[Rule] = []
        actions: set[str] = set()
        for file in files:
            rules += _checked(file, schema, actions)
        for rule in rules:
            twice = [other.file for other in rules if other.id == rule.id]
            if len(twice) > 1:
                raise SettingsError(f"{twice[-1]}: {rule.id}: another rule has this id (in {twice[0]})")
        policies = cedarpy.PolicySet.from_str("\n".join(_text(file) for file in files))
        return cls(tuple(rules), frozenset(actions), policies, schema)

    def ask(self, agent: str, action: str, contexts: Sequence[Mapping[str, Any]]) -> list[Ruling]:
        """One ruling per context. What does not have the shape that the schema says is an error, and so is a rule that fails."""
        import cedarpy

        request = {
            "principal": {"type": "Agent", "id": agent},
            "action": {"type": "Action", "id": action},
            "resource": {"type": "Run", "id": "this"},
        }
        if not contexts:
            return []
        try:
            requests = [{**request, "context": json.dumps(c, allow_nan=False)} for c in contexts]
            answers = cedarpy.is_authorized_batch(requests, self._policies, [], self._schema)
        except (ValueError, RecursionError) as error:
            return [Ruling(False, (), (str(error),))] * len(contexts)
        return [self._ruling(answer) for answer in answers]

    def _ruling(self, answer: Any) -> Ruling:
        places = sorted(int(reason.removeprefix("policy")) for reason in answer.diagnostics.reasons)
        errors = tuple(answer.diagnostics.errors)
        return Ruling(answer.allowed and not errors, tuple(self.rules[place] for place in places), errors)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {file}: {error}") from None


def _checked(file: Path, schema: Schema, actions: set[str]) -> list[Rule]:
    """The rules of one file, and into `actions` what they permit. Raises SettingsError."""
    import cedarpy

    text = _text(file)
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from None
    if document["templates"]:
        raise SettingsError(f"{file}: templates are not used here: nobody would fill them in")
    numbered = sorted(
        document["staticPolicies"].items(), key=lambda each: int(each[0].removeprefix("policy"))
    )
    rules = [_rule(file, policy) for _, policy in numbered]
    for wrong in cedarpy.validate_policies(text, schema).errors:
        place = wrong.policy_id.removeprefix("policy")
        name = rules[int(place)].id if place.isdigit() else "?"
        raise SettingsError(f"{file}: {name}: {wrong.error}")
    for _, policy in numbered:
        if policy["effect"] == "permit":
            actions.update(_named(file, policy, schema))
    return rules


def _rule(file: Path, policy: Mapping[str, Any]) -> Rule:
    said = {name: value or "" for name, value in policy.get("annotations", {}).items()}
    name = said.get("id") or "a rule without an id"
    for needed in _NEEDED:
        if not said.get(needed):
            raise SettingsError(f"{file}: {name}: it needs @{needed}")
    if unknown := sorted(set(said) - _KNOWN):
        raise SettingsError(
            f"{file}: {name}: @{unknown[0]} says nothing here; known are {', '.join(sorted(_KNOWN))}"
        )
    risk = next((known for known in RISKS if known == said.get("risk", RISKS[0])), None)
    if risk is None:
        raise SettingsError(f"{file}: {name}: @risk must be one of {', '.join(RISKS)}")
    return Rule(name, policy["effect"] == "permit", said["source"], said["why"], risk, file.name)


def _named(file: Path, policy: Mapping[str, Any], schema: Schema) -> list[str]:
    """The actions that a permit names. One that names none, or a kind of them, would permit what nobody has thought of yet."""
    import cedarpy

    scope, rule = policy["action"], policy["annotations"]["id"]
    entities = scope.get("entities") or ([scope["entity"]] if "entity" in scope else [])
    if not entities:
        raise SettingsError(f"{file}: {rule}: a permit must name its actions")
    names = [str(entity["id"]) for entity in entities]
    alone = "\n".join(
        f"permit (principal, action == Action::{json.dumps(name)}, resource);" for name in names
    )
    for wrong in cedarpy.validate_policies(alone, schema).errors:
        name = names[int(wrong.policy_id.removeprefix("policy"))]
        raise SettingsError(
            f"{file}: {rule}: {name} is a kind of action: a permit must name its actions one by one"
        )
    return names
