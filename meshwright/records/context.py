"""What a piece of work was given, and what was known and left out: the pieces of one decision, gathered while it is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from meshwright.audit import privacy
from meshwright.records.decision import MANY, Omitted, Passed
from meshwright.records.redact import field_name, keyed

if TYPE_CHECKING:
    from meshwright.records.decision import Kind, Withheld
    from meshwright.records.minutes import Minutes


class Context:
    """One row: `key` names it in the minutes of its turn. Of pieces beyond what a row holds the number is kept."""

    def __init__(self, minutes: Minutes, key: str) -> None:
        self._minutes, self._key = minutes, key
        self._began = time.time()
        self._passed: dict[str, Passed] = {}
        self._omitted: dict[tuple[str, str], int] = {}
        self._more = 0

    def passed(self, key: str, value: Any, source: str = "") -> None:
        """A piece that is given on; of what it says only a keyed hash is kept, and its size."""
        if len(self._passed) >= MANY:
            self._more += 1
            return
        if isinstance(value, str):
            hashed, size = privacy.keyed(value)[:16], len(value)
        else:
            hashed, size = keyed(value)
        self._passed[key] = Passed(key=key, source=source, bytes=size, keyed=hashed)

    def fields(self, of: str, values: dict[str, Any], source: str = "") -> None:
        """Each field of an object as a piece, called `of.field`."""
        for name, value in values.items():
            self.passed(f"{of}.{field_name(name)}", value, source)

    def omitted(self, key: str, why: Withheld, size: int = 0) -> None:
        """A piece that is not given on; said twice, its sizes are added up."""
        place = (field_name(key), why)
        if place in self._omitted or len(self._omitted) < MANY:
            self._omitted[place] = self._omitted.get(place, 0) + size
        else:
            self._more += 1

    def note(self, outcome: str, *, kind: Kind = "context", **known: Any) -> str:
        """Take the row. `known` are fields of the decision."""
        if self._more:
            known["more"] = {**known.get("more", {}), "pieces_not_listed": self._more}
        left = [
            Omitted.model_validate({"key": k, "why": w, "bytes": n}) for (k, w), n in self._omitted.items()
        ]
        return self._minutes.take(
            kind,
            key=self._key,
            began=self._began,
            outcome=outcome,
            passed=tuple(self._passed.values()),
            omitted=tuple(left),
            **known,
        )
