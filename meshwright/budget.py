"""What a piece of work may spend, in tokens and in money: it travels with the work, shrinks, and is reserved before it is spent.

Within one process this is arithmetic and costs nothing. Where limits are shared (an agent's day, a tenant's day) or must
outlive the process, a `Backing` keeps the same reservation in the database: see `meshwright.wallet` and docs/budgets.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from meshwright.errors import BudgetExhausted, InvalidRequest

if TYPE_CHECKING:
    from meshwright.records.minutes import Minutes

HEADER = "x-mesh-budget-tokens"
#: Micro-dollars; left out where money is not limited.
HEADER_MONEY = "x-mesh-budget-micros"

#: Tokens, where nobody said otherwise.
DEFAULT = 50_000
#: With room for fewer tokens than this an answer is not worth its prompt.
USEFUL = 16


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and micro-dollars (a millionth of a dollar)."""

    tokens: int = 0
    micros: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.micros + other.micros)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.micros - other.micros)

    def at_most(self, other: Amount) -> Amount:
        """The smaller of each."""
        return Amount(min(self.tokens, other.tokens), min(self.micros, other.micros))

    def covers(self, other: Amount) -> bool:
        return self.tokens >= other.tokens and self.micros >= other.micros


@dataclass(frozen=True, slots=True)
class Price:
    """Micro-dollars for a million tokens, read and written."""

    read: int
    written: int

    def cost(self, prompt: int, answer: int) -> int:
        """Micro-dollars, rounded up: what is reserved and what is charged is never less than the bill."""
        return -(-(prompt * self.read + answer * self.written) // 1_000_000)

    def room(self, micros: int, prompt: int) -> int | None:
        """Tokens that can be written for `micros` after the prompt is paid; None if writing is free. Negative: not even that."""
        rest = micros * 1_000_000 - prompt * self.read
        if rest < 0:
            return -1
        return rest // self.written if self.written else None


class Backing(Protocol):
    """Where a budget is kept that others share, or that must outlive the process."""

    async def open(self, limit: Amount) -> Amount:
        """How much of the work's own limit may (still) be spent: less than all of it when it was begun before."""
        ...

    async def reserve(self, want: Amount, least: Amount, seconds: float) -> tuple[str, Amount]:
        """Between `least` and `want`, for at most `seconds`, and the key to settle it by. Raises BudgetExhausted."""
        ...

    async def settle(self, key: str, used: Amount, doubt: bool) -> None:
        """What a reservation came to."""
        ...

    async def close(self, used: Amount) -> None:
        """The work is over; this is what it spent in all."""
        ...


@dataclass(frozen=True, slots=True)
class Hold:
    """One reservation. `room` is how many tokens the answer may have. Settle it once, whatever happened."""

    budget: Budget
    amount: Amount
    room: int
    key: str = ""

    async def settle(self, used: Amount | None, *, doubt: str = "") -> Amount:
        """Charge what was used, at most what was reserved; None (nobody knows) charges all of it. Returns the charge.

        `doubt` says what is not believed of whoever reported the usage.
        """
        charge = self.amount if used is None else used.at_most(self.amount)
        await self.budget._settle(self, charge, bool(doubt))
        return charge


@dataclass(slots=True)
class Budget:
    """What may be spent by one piece of work. Invariant: `spent + reserved <= limit`, and the same for money.

    `limit`, `spent` and `reserved` are tokens; `micros` is the limit in micro-dollars (None: money is not limited), of which
    `paid` and `pledged` are gone. `call` caps a single call of a model; 0 in it is no cap.
    """

    limit: int = DEFAULT
    micros: int | None = None
    call: Amount = Amount()
    backing: Backing | None = None
    spent: int = 0
    reserved: int = 0
    paid: int = 0
    pledged: int = 0
    #: How often a model server's account of what was used could not be true.
    doubts: int = 0
    #: Something was refused for want of budget: the answer is not what it could have been.
    exhausted: bool = False
    #: Where it is written down that less was given than was wanted, or nothing.
    minutes: Minutes | None = field(default=None, repr=False, compare=False)
    _opening: asyncio.Future[None] | None = field(default=None, repr=False)
    _opened: bool = False
    _closed: bool = False

    @classmethod
    def from_headers(
        cls, headers: Mapping[str, str], *, default: int, micros: int = 0, call: Amount | None = None
    ) -> Budget:
        """What the caller reserved for this call, at most `default` tokens and `micros` (0: no limit of ours).

        Raises InvalidRequest if it is not a whole number.
        """
        tokens, money = _whole(headers, HEADER), _whole(headers, HEADER_MONEY)
        limits = [each for each in (money, micros or None) if each is not None]
        return cls(
            default if tokens is None else min(tokens, default),
            min(limits) if limits else None,
            call or Amount(),
        )

    @property
    def left(self) -> int:
        return self.limit - self.spent - self.reserved

    @property
    def used(self) -> Amount:
        """What is spent, and what is reserved for calls that are under way, which may come to all of it."""
        return Amount(self.spent + self.reserved, self.paid + self.pledged)

    async def hold(
        self, prompt: int, room: int, price: Price | None = None, *, seconds: float = 600.0
    ) -> Hold:
        """Set aside a prompt of at most `prompt` tokens and an answer of up to `room`: as much of it as there is left.

        Raises BudgetExhausted when that leaves an answer fewer than USEFUL tokens. A reservation that is not settled within
        `seconds` is charged in full.
        """
        try:
            hold = await self._held(prompt, room, price, seconds)
        except BudgetExhausted as error:
            self._note("refused", prompt + room, 0, str(error))
            raise
        if hold.room < room:
            self._note("cut", prompt + room, hold.amount.tokens, "it is as much as there is left")
        return hold

    async def _held(self, prompt: int, room: int, price: Price | None, seconds: float) -> Hold:
        await self._open()
        cost, room = price or Price(0, 0), self._fitting(prompt, room, price)
        want = Amount(prompt + room, cost.cost(prompt, room))
        self._take(want)
        if self.backing is None:
            return Hold(self, want, room)
        least = Amount(prompt + USEFUL, cost.cost(prompt, USEFUL))
        granted: Amount | None = None
        try:
            key, granted = await self.backing.reserve(want, least, seconds)
        except BudgetExhausted:
            self.exhausted = True
            raise
        finally:
            if granted is None:
                self._take(Amount() - want)
        money = cost.room(granted.micros, prompt) if granted.micros < want.micros else None
        room = min(granted.tokens - prompt, room if money is None else money)
        amount = Amount(prompt + room, cost.cost(prompt, room))
        self._take(amount - want)
        return Hold(self, amount, room, key)

    async def lend(self, share: float, *, seconds: float) -> Hold:
        """Set aside a share of what is left for somebody else's work: it may be nothing, since not all work needs tokens.

        Settle it with what they used.
        """
        await self._open()
        money = 0 if self.micros is None else self.micros - self.paid - self.pledged
        want = Amount(max(int(self.left * share), 0), max(int(money * share), 0))
        self._take(want)
        if self.backing is None:
            return Hold(self, want, want.tokens)
        granted = Amount()
        try:
            key, granted = await self.backing.reserve(want, Amount(), seconds)
        finally:
            self._take(granted - want)
        if not granted.covers(want):
            self._note(
                "cut", want.tokens, granted.tokens, "the day's limit has no more for somebody else's work"
            )
        return Hold(self, granted, granted.tokens, key)

    def headers(self, amount: Amount) -> dict[str, str]:
        """The headers for a callee that may spend `amount`, which is reserved."""
        money = {HEADER_MONEY: str(amount.micros)} if self.micros is not None else {}
        return {HEADER: str(amount.tokens), **money}

    async def close(self) -> None:
        """The work is over, and nothing more is set aside for it. What it did not use is free again for whoever does it anew."""
        if self._closed:
            return
        self._closed = True
        if self._opening is not None:
            await asyncio.wait({self._opening})
        if self.backing is not None and self._opened:
            used = self.used
            await self.backing.close(used if self.micros is not None else Amount(used.tokens))

    async def _open(self) -> None:
        """Raises BudgetExhausted once the work is over."""
        if self._closed:
            raise BudgetExhausted("the work that this was given for is over")
        if self.backing is None or self._opened:
            return
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._begin(self.backing))
        # One who is cancelled meanwhile must not undo it for the others.
        await asyncio.shield(self._opening)

    async def _begin(self, backing: Backing) -> None:
        granted = await backing.open(Amount(self.limit, self.micros or 0))
        self.limit = granted.tokens
        self.micros = None if self.micros is None else granted.micros
        self._opened = True

    def _fitting(self, prompt: int, room: int, price: Price | None) -> int:
        """How many tokens the answer may have. Raises BudgetExhausted."""
        rooms = [room, self.left - prompt]
        if self.call.tokens:
            rooms.append(self.call.tokens - prompt)
        limits = [self.micros - self.paid - self.pledged] if self.micros is not None else []
        limits += [self.call.micros] if self.call.micros else []
        for micros in limits:
            if price is None:
                self.exhausted = True
                raise BudgetExhausted("money is limited here, and the price of the model is not known")
            affordable = price.room(micros, prompt)
            rooms += [] if affordable is None else [affordable]
        if min(rooms) < USEFUL:
            self.exhausted = True
            money = f", and {limits[0]} micro-dollars" if limits else ""
            cap = f"; one call may have {self.call.tokens}" if self.call.tokens else ""
            raise BudgetExhausted(
                f"{prompt + USEFUL} tokens are needed and {self.left} of {self.limit} are left{money}{cap}"
            )
        return min(rooms)

    def _note(self, outcome: str, wanted: int, given: int, why: str) -> None:
        """Write down that a reservation was cut or refused."""
        if self.minutes is not None:
            key = self.minutes.nth("budget", outcome)
            more = {"wanted": wanted, "limit": self.limit, "left": self.left}
            self.minutes.take("budget", key=key, outcome=outcome, tokens_given=given, reason=why, more=more)

    def _take(self, amount: Amount) -> None:
        self.reserved += amount.tokens
        self.pledged += amount.micros

    async def _settle(self, hold: Hold, charge: Amount, doubt: bool) -> None:
        self._take(Amount() - hold.amount)
        self.spent += charge.tokens
        self.paid += charge.micros
        self.doubts += doubt
        if self.backing is not None and hold.key:
            await self.backing.settle(hold.key, charge, doubt)


def used_in(notes: Mapping[str, Any], *, money: bool = False) -> Amount | None:
    """What a callee says it used, under `usage` in its notes; None where it does not say so in whole numbers.

    With `money` it has to say what that cost: who was given a limit in money and tells none of it has not said what it used.
    """
    usage = notes.get("usage")
    if not isinstance(usage, Mapping):
        return None
    said = [usage.get("tokens"), usage.get("micros", None if money else 0)]
    numbers = [n for n in said if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    return Amount(*numbers) if len(numbers) == 2 else None


def _whole(headers: Mapping[str, str], name: str) -> int | None:
    raw = headers.get(name)
    if raw is None:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 12):
        raise InvalidRequest(f"{name} must be a whole number, not {raw[:40]!r}")
    return int(raw)
