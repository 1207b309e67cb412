"""A declarative policy: facts the gate looks up itself, and rules over them. Default: reject.

    [facts.order]                                  # asked with a read tool at gate time; an agent's word is no fact
    tool = "get_order"
    arguments = { order_id = "proposal.order_id" }

    [[rule]]
    name = "cancel-pending"
    actions = ["cancel_order"]
    source = "handbook: Cancel pending order"
    conditions = [
      { that = "customer.verified", equals = true, otherwise = "reject", why = "the customer is not identified" },
      { that = "order.status", equals = "pending", otherwise = "reject", why = "only pending orders are cancelled" },
      { that = "preview.amount_cents", at_most = 100000, otherwise = "review", why = "more than 1,000.00" },
    ]

A path such as `order.status` goes through facts and what the gate knows of the request (`proposal`, `action`, `subject`,
`request`). A path that leads nowhere fails its condition. Every condition is read; a reject outranks a review.
"""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from meshwright.errors import MeshError, ToolRefused
from meshwright.findings import Verdict
from meshwright.settings import SettingsError

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

MISSING = object()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Strict):
    """One comparison. Exactly one of the operators is given."""

    that: str
    equals: bool | int | str | None = None
    one_of: tuple[bool | int | str, ...] | None = None
    at_most: float | None = None
    at_least: float | None = None
    same_as: str | None = None
    empty: bool | None = None
    otherwise: Literal["review", "reject"] = "reject"
    why: str

    @model_validator(mode="after")
    def _one_operator(self) -> Condition:
        given = [name for name in _OPERATORS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a condition needs exactly one of {', '.join(_OPERATORS)}")
        return self

    def holds(self, facts: Mapping[str, Any]) -> bool:
        value = lookup(facts, self.that)
        if self.empty is not None:
            return (value is MISSING or not value) == self.empty
        if value is MISSING or value is None:
            return False
        if self.equals is not None:
            return type(value) is type(self.equals) and value == self.equals
        if self.one_of is not None:
            return value in self.one_of
        if self.same_as is not None:
            return bool(value == lookup(facts, self.same_as))
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        if self.at_most is not None:
            return value <= self.at_most
        return self.at_least is not None and value >= self.at_least


_OPERATORS = ("equals", "one_of", "at_most", "at_least", "same_as", "empty")


class Rule(_Strict):
    """What must hold for these actions. `source` says where the rule comes from."""

    name: str
    actions: tuple[str, ...] = Field(min_length=1)
    source: str
    conditions: tuple[Condition, ...] = ()


class Lookup(_Strict):
    """How the gate gets a fact: a read tool, and its arguments as paths."""

    tool: str
    arguments: dict[str, str]


class Closing(_Strict):
    """The tools that end a request: an answer to the customer, a hand-over to a person, the end."""

    reply: str = "reply"
    handover: str = "escalate"
    close: str = "close"


class Policy(_Strict):
    """All of it. `load` reads it from a TOML file."""

    version: int
    closing: Closing | None = None
    facts: dict[str, Lookup] = Field(default_factory=dict)
    rule: tuple[Rule, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Raises SettingsError that names the file and the place in it."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except OSError as error:
            raise SettingsError(f"MESHWRIGHT_POLICY: cannot read {path}: {error.strerror}") from None
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"MESHWRIGHT_POLICY: {path}: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise SettingsError(f"MESHWRIGHT_POLICY: {path}: {where}: {first['msg']}") from None

    async def judge(self, action: str, known: Mapping[str, Any], ask: Ask) -> Verdict:
        """The verdict on one proposal. `known` holds `proposal` (its arguments), `subject`, `request`."""
        rules = [rule for rule in self.rule if action in rule.actions]
        if not rules:
            return Verdict(decision="reject", policy="default", why=f"no rule allows {action}")
        facts: dict[str, Any] = {**known, "action": action}
        for name in self._needed(rules):
            facts[name] = await self._fetch(name, facts, ask)
        failed = [(rule, c) for rule in rules for c in rule.conditions if not c.holds(facts)]
        failed.sort(key=lambda pair: pair[1].otherwise != "reject")
        if failed:
            rule, condition = failed[0]
            return Verdict(
                decision=condition.otherwise,
                policy=rule.name,
                why=fill(condition.why, facts),
                source=rule.source,
            )
        names = ", ".join(rule.name for rule in rules)
        sources = "; ".join(dict.fromkeys(rule.source for rule in rules))
        return Verdict(decision="apply", policy=names, why="every condition holds", source=sources)

    def _needed(self, rules: list[Rule]) -> list[str]:
        """The facts that these rules speak of, each before those that are asked for with it."""
        wanted = {p.split(".")[0] for r in rules for c in r.conditions for p in (c.that, c.same_as or "")}
        return [name for name in self.facts if name in wanted]

    async def _fetch(self, name: str, facts: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """One fact. What a tool refuses to tell is not known: the conditions on it then fail, and say so."""
        arguments: dict[str, Any] = {}
        for key, path in self.facts[name].arguments.items():
            value = lookup(facts, path)
            if value is not MISSING:
                arguments[key] = value
        try:
            return await ask(self.facts[name].tool, arguments)
        except ToolRefused as refusal:
            return {"refused": str(refusal)}
        except MeshError as error:
            return {"unknown": str(error)}


def lookup(facts: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or MISSING."""
    value: Any = facts
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return MISSING
        value = value[step]
    return value


def fill(text: str, facts: Mapping[str, Any]) -> str:
    """`text` with each `{path}` replaced by its value."""
    parts = text.split("{")
    filled = parts[0]
    for part in parts[1:]:
        path, brace, rest = part.partition("}")
        value = lookup(facts, path)
        filled += (str(value) if brace and value is not MISSING else "") + rest
    return filled.strip()[:2000]
