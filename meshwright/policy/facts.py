"""What the gate knows: facts that it looks up itself with read tools, each once; an agent's word is no fact.

    [needs]                                        # which facts are looked up for which action
    cancel_order = ["customer", "order"]

    [facts.customer]
    tool = "find_customer"
    arguments = { email = "subject.email" }        # paths into what is known, and into facts that stand above
    keep = ["customer_id", "verified"]             # what of the answer the rules see, under its own name

What a tool does not tell is not there: a rule that reads it must ask with `has`, and its schema makes it ask.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meshwright.errors import MeshError, ToolRefused
from meshwright.settings import SettingsError

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

MISSING = object()
#: Characters of one fact in the words of a verdict.
MOST = 400


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lookup(_Strict):
    """How the gate gets a fact: a read tool, its arguments as paths, and what of its answer the rules see.

    One that keeps nothing is a source for arguments, and no more.
    """

    tool: str
    arguments: dict[str, str]
    keep: tuple[str, ...] = ()


class Closing(_Strict):
    """The tools that end a request: an answer to the customer, a hand-over to a person, the end."""

    reply: str = "reply"
    handover: str = "escalate"
    close: str = "close"


class Way(_Strict):
    """How customers speak of the values of an argument: the path to a table of their names, and words for all of them."""

    names: str
    all: tuple[str, ...] = ()


class Lookups(_Strict):
    """All of `facts.toml`."""

    closing: Closing | None = None
    #: The path to the cents that an action moves, where one of its facts says so.
    moves: str = ""
    needs: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    facts: dict[str, Lookup] = Field(default_factory=dict)
    #: By the argument; see `meshwright.policy.spoken`.
    spoken: dict[str, Way] = Field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Lookups:
        """Raises SettingsError that names the file and the place in it."""
        try:
            found = cls.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise SettingsError(f"cannot read {file}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            raise SettingsError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        for action, names in found.needs.items():
            for name in names:
                if name not in found.facts:
                    raise SettingsError(f"{file}: needs.{action}: there is no fact {name!r}")
                if missing := sorted(found.above(name) - set(names)):
                    raise SettingsError(f"{file}: needs.{action}: {name} is asked with {missing[0]}")
        before: set[str] = set()
        for name in found.facts:
            if not found.above(name) <= before:
                raise SettingsError(f"{file}: facts.{name} must stand below what it is asked with")
            before.add(name)
        for name, way in found.spoken.items():
            if way.names.split(".")[0] not in found.facts:
                raise SettingsError(f"{file}: spoken.{name}: {way.names} leads into no fact")
        return found

    def above(self, name: str) -> set[str]:
        """The facts that this one is asked with."""
        return {path.split(".")[0] for path in self.facts[name].arguments.values()} & set(self.facts)

    def echoes(self, name: str) -> set[str]:
        """The arguments of the proposal that this fact was asked with, itself or through others: of these it proves nothing.

        `*` stands for all of them.
        """
        found: set[str] = set()
        for path in self.facts[name].arguments.values():
            first, _, rest = path.partition(".")
            if first == "proposal":
                found.add(rest.split(".")[0] or "*")
            elif first in self.facts:
                found |= self.echoes(first)
        return found

    async def look_up(self, action: str, known: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """The facts for this action, all that can be asked for at once together. Raises nothing of the tools' errors."""
        facts: dict[str, Any] = {}
        left = list(self.needs.get(action, ()))
        while left:
            ready = [name for name in left if not self.above(name) & set(left)]
            answers = await asyncio.gather(*(self._fetch(name, {**known, **facts}, ask) for name in ready))
            facts.update(zip(ready, answers, strict=True))
            left = [name for name in left if name not in ready]
        return facts

    async def _fetch(self, name: str, facts: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """One fact. What a tool refuses to tell is not known, and says why; what depends on it is not asked for."""
        arguments: dict[str, Any] = {}
        for key, path in self.facts[name].arguments.items():
            value = lookup(facts, path)
            if value is not MISSING:
                arguments[key] = value
            elif path.split(".")[0] in self.facts:
                return {"unknown": f"{path} is not known"}
        try:
            return await ask(self.facts[name].tool, arguments)
        except ToolRefused as refusal:
            return {"refused": str(refusal)}
        except MeshError as error:
            return {"unknown": str(error)}

    def told(self, facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """The facts that were told: an answer that says why there is none is no fact."""
        return {
            name: answer
            for name, answer in facts.items()
            if name in self.facts and isinstance(answer, Mapping) and not {"refused", "unknown"} & set(answer)
        }

    def kept(self, facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The facts as the rules see them: without what was not told, or is not kept."""
        return {
            name: {key: answer[key] for key in self.facts[name].keep if answer.get(key) is not None}
            for name, answer in self.told(facts).items()
            if self.facts[name].keep
        }


def lookup(facts: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or MISSING. An empty text is missing too: nothing can be asked with it."""
    value: Any = facts
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return MISSING
        value = value[step]
    return MISSING if value is None or value == "" else value


def fill(text: str, facts: Mapping[str, Any]) -> str:
    """`text` with each `{path}` replaced by its value."""
    parts = text.split("{")
    filled = parts[0]
    for part in parts[1:]:
        path, brace, rest = part.partition("}")
        value = lookup(facts, path) if brace else MISSING
        filled += ("" if value is MISSING else str(value)[:MOST]) + rest
    return filled.strip()[:2000]
