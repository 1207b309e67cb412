"""How many tokens a piece of work may spend: a number that travels with the work and shrinks.

Here it is carried and counted within one process; reservation across processes comes with the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshwright.errors import BudgetExhausted, InvalidRequest

HEADER = "x-mesh-budget-tokens"

#: Tokens, where nobody said otherwise.
DEFAULT = 50_000


@dataclass(slots=True)
class Budget:
    """Tokens left to spend. Invariant: `spent + reserved <= limit`; nothing awaits inside `reserve`."""

    limit: int = DEFAULT
    spent: int = 0
    reserved: int = 0

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], *, default: int) -> Budget:
        """What the caller reserved for this call, or `default`. Raises InvalidRequest if it is not a whole number."""
        raw = headers.get(HEADER)
        if raw is None:
            return cls(default)
        if not (raw.isascii() and raw.isdigit() and len(raw) <= 12):
            raise InvalidRequest(f"{HEADER} must be a whole number of tokens, not {raw[:40]!r}")
        return cls(min(int(raw), default))

    @property
    def left(self) -> int:
        return self.limit - self.spent - self.reserved

    def reserve(self, tokens: int) -> int:
        """Set `tokens` aside. Raises BudgetExhausted if there are not that many left."""
        if tokens > self.left:
            raise BudgetExhausted(f"{tokens} tokens are needed and {self.left} of {self.limit} are left")
        self.reserved += tokens
        return tokens

    def settle(self, reserved: int, spent: int | None) -> None:
        """Give a reservation back for what was really spent; unknown (None) is charged in full."""
        self.reserved -= reserved
        self.spent += reserved if spent is None else spent

    def headers(self, share: float = 1.0) -> dict[str, str]:
        """The header for a callee that may spend `share` of what is left."""
        return {HEADER: str(max(0, int(self.left * share)))}
