"""A decision as it can be told: whatever an agent sent, as a `Decision`, with what could not be read named.

The rows come from many agents, and from builds that may be newer than this one, so each field is taken as far as it is one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from meshwright.explaining import plain
from meshwright.records import chain

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from meshwright.records.decision import Decision

#: How deep the outline of a page is indented; what is deeper stands at this depth.
DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One decision in its place in the run. `above` is the id of the one it hangs on; `odd` are fields that could not be read."""

    said: Decision
    depth: int
    above: str
    odd: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Of a newer build it may be one that is not known here."""
        return self.said.kind

    @property
    def at(self) -> float:
        return plain.moment(self.said.at)

    @property
    def waited(self) -> float:
        """Seconds: what a person said is decided at the end of the wait for it."""
        waited = plain.number(self.said.more.get("waited_s"), most=plain.YEAR / 1000)
        return waited if self.kind == "review" and self.at else 0.0

    @property
    def begins(self) -> float:
        return self.at - self.waited

    @property
    def ends(self) -> float:
        return self.begins + self.ms / 1000

    @property
    def ms(self) -> float:
        return max(self.waited * 1000, plain.number(self.said.ms, 0, plain.YEAR))

    @property
    def tokens(self) -> float:
        """What it used; of an agent that was asked, what it says that it used."""
        used = plain.number(self.said.tokens_in) + plain.number(self.said.tokens_out)
        return used or plain.number(self.said.more.get("tokens") if self.kind == "agent_call" else 0)

    @property
    def label(self) -> str:
        """Its name in an address and as an anchor."""
        return _label(self.said.id)

    @property
    def above_label(self) -> str:
        """The same of the one that it hangs on."""
        return _label(self.above)

    @property
    def action_address(self) -> str:
        """The key of its action as a part of an address."""
        return address(self.said.action)


def outline(decisions: Sequence[Any], deepest: int = DEEPEST) -> list[Step]:
    """The decisions of a run in the order in which one reads them, each below what it followed from."""
    rows = [row for row in decisions if isinstance(row, Mapping)]
    return list(_walked(chain.tree(rows), deepest))


def path(decisions: Sequence[Any], action: str) -> list[Step]:
    """All that led to the action with this key, one after the other; nothing for one that is not known."""
    rows = [row for row in decisions if isinstance(row, Mapping)]
    return [step(row) for row in chain.why(rows, action)]


def step(row: Mapping[str, Any], depth: int = 0, above: str = "") -> Step:
    """One by itself."""
    from pydantic import ValidationError  # the command line starts without it

    from meshwright.records.decision import Decision

    known = {name: value for name, value in row.items() if name != "digest"}
    try:
        return Step(Decision.model_validate(known), depth, above, ())
    except ValidationError:
        pass
    good: dict[str, Any] = {"id": "", "at": 0.0, "agent": "", "outcome": ""}
    odd = []
    for name, value in known.items():
        field = _fields().get(name)
        try:
            if field is None:
                odd.append(plain.one_line(name, 60))
            else:
                good[name] = field.validate_python(value)
        except ValidationError:
            odd.append(name)
    good.setdefault("kind", plain.one_line(row.get("kind") or "unknown", 40))
    return Step(Decision.model_construct(**good), depth, above, tuple(sorted(odd)))


def address(key: str) -> str:
    """A name that may be anything as a part of an address."""
    return quote(key, safe="", errors="replace")


def _walked(roots: Sequence[chain.Node], deepest: int) -> Iterator[Step]:
    waiting = [(0, "", node) for node in reversed(roots)]
    while waiting:
        depth, above, node = waiting.pop()
        found = step(node.decision, min(depth, deepest), above)
        yield found
        waiting += [(depth + 1, found.said.id, each) for each in reversed(node.below)]


def _label(name: str) -> str:
    # ids come from peers, and may be anything
    return "".join(c for c in name if c.isascii() and c.isalnum())[:40] or "nameless"


@functools.cache
def _fields() -> dict[str, TypeAdapter[Any]]:
    """How each field of a decision is read by itself."""
    from pydantic import TypeAdapter

    from meshwright.records.decision import Decision

    adapters: dict[str, TypeAdapter[Any]] = {}
    for name, info in Decision.model_fields.items():
        of: Any = info.annotation
        for limit in info.metadata:
            of = Annotated[of, limit]
        adapters[name] = TypeAdapter(of)
    return adapters
