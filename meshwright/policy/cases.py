"""A policy's tests: what is known in one case, what should come of it, and which rules no case has ever decided.

[base]                                 # what holds in every case of this file: what is known, and the facts
action = "cancel_order"
agent = "orders"
skill = "order-cancel"
proposal = { order_id = "#W1", reason = "no longer needed" }
order = { status = "pending" }

[[case]]
name = "a delivered order is not cancelled"
change = { "order.status" = "delivered" }  # `without = ["order"]` takes a fact away, or a part of one
expect = "reject"                      # apply, reject, or the number of people who have to approve
rules = ["cancel-pending"]             # exactly the rules that the verdict names
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from meshwright.policy.rules import Judgement, Policy
from meshwright.settings import SettingsError


class _Case(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    change: dict[str, Any] = {}
    without: tuple[str, ...] = ()
    approvals: int = 0
    expect: Literal["apply", "reject"] | int
    rules: tuple[str, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    base: dict[str, Any] = {}
    case: tuple[_Case, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """How one case went. `expected` and `was` are as a person reads them: `reject`, `apply`, `review by 2`."""

    file: str
    name: str
    expected: str
    was: str
    rules: tuple[str, ...]
    right: bool


def run(policy: Policy, folder: Path) -> list[Result]:
    """All cases of the files `*.toml` in `folder`. Raises SettingsError that names the file and the place in it."""
    return [
        _held(policy, file.name, case, found)
        for file in sorted(folder.glob("*.toml"))
        for case, found in _cases(file)
    ]


def told(folder: Path) -> list[tuple[str, dict[str, Any], int]]:
    """What is told in each case, with its name and how many people have approved. Raises SettingsError."""
    return [
        (f"{file.stem}: {case.name}", found, case.approvals)
        for file in sorted(folder.glob("*.toml"))
        for case, found in _cases(file)
    ]


def untested(policy: Policy, results: Iterable[Result]) -> list[str]:
    """The rules that no case has ever decided."""
    named = {rule for result in results for rule in result.rules}
    return [rule.id for rule in policy.rulebook.rules if rule.id not in named]


def decide(policy: Policy, known: Mapping[str, Any], approvals: int = 0) -> Judgement:
    """The judgement on what is known: what is said of the request, and facts as their tools would give them, side by side."""
    facts = {name: value for name, value in known.items() if name in policy.lookups.facts}
    return policy.decide(str(known.get("action", "")), known, facts, approvals)


def _cases(file: Path) -> list[tuple[_Case, dict[str, Any]]]:
    try:
        found = _File.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    cases = []
    for case in found.case:
        told = copy.deepcopy(found.base)
        for path, value in case.change.items():
            _at(file, case, told, path)[path.split(".")[-1]] = value
        for path in case.without:
            if _at(file, case, told, path).pop(path.split(".")[-1], None) is None:
                raise SettingsError(f"{file}: {case.name}: there is no {path} that could be taken away")
        cases.append((case, told))
    return cases


def _at(file: Path, case: _Case, told: dict[str, Any], path: str) -> dict[str, Any]:
    """The table that the last step of a path is in; made where there is none."""
    table = told
    for step in path.split(".")[:-1]:
        table = table.setdefault(step, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{file}: {case.name}: {path} leads through what is no table")
    return table


def _held(policy: Policy, file: str, case: _Case, told: dict[str, Any]) -> Result:
    verdict = decide(policy, told, case.approvals).verdict
    rules = tuple(verdict.policy.split(", "))
    was = f"review by {verdict.approvals}" if verdict.decision == "review" else verdict.decision
    expected = f"review by {case.expect}" if isinstance(case.expect, int) else case.expect
    return Result(file, case.name, expected, was, rules, was == expected and set(rules) == set(case.rules))
