"""What a task has sent to other agents: written before it leaves, so that a crash finds it again instead of asking twice.

A row is `open` until it was delivered, `sent` once the peer has told the id of its task (`remote`) and as long as that task runs or
waits, `answered` when the answer is in, and `off` when nobody wants it any more. Its id is derived from the work, not drawn: who does the same work again
after a crash finds the same row. Every write proves the claim of the task that it belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshwright.clipping import storable
from meshwright.records import decisions
from meshwright.tasks.lease import check

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction
    from meshwright.records.minutes import Minutes
    from meshwright.tasks.snapshot import Claim

#: What else belongs into the transaction that writes a letter: the reservation of what it may cost, the settling of it.
Along = Callable[["Transaction"], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Letter:
    """One delegation. `remote` is the peer's task once it is known, `answer` what came back."""

    id: str
    address: str
    body: dict[str, Any]
    state: str
    remote: str
    answer: dict[str, Any] | None
    why: str


class Outbox:
    """The delegations of one task under one claim. What was decided meanwhile (`minutes`) is kept with what comes back.

    So the call that brought an answer is written down whenever the answer is: who does the work again does not call again.
    """

    def __init__(self, database: Database, agent: str, claim: Claim, minutes: Minutes | None = None) -> None:
        self._database = database
        self._agent = agent
        self._claim = claim
        self._minutes = minutes

    async def letters(self) -> dict[str, Letter]:
        """All that this task has sent, by id."""

        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute(
                "SELECT * FROM outbox WHERE task_id = ? AND kind = 'ask'", self._claim.task_id
            )

        return {row["id"]: _letter(row) for row in await self._database.read(op)}

    async def post(
        self, letter_id: str, address: str, body: dict[str, Any], along: Along | None = None, remote: str = ""
    ) -> Letter:
        """Write a delegation down before it leaves; one that is there already is what it was. Raises LeaseLost.

        `remote` is the peer's task, for what goes to one that is there.
        """

        async def op(tx: Transaction) -> Letter:
            await check(tx, self._claim)
            if along is not None:
                await along(tx)
            await tx.execute(
                "INSERT INTO outbox (id, agent, task_id, kind, address, body, state, remote, answer, attempts, due, created, why)"
                " VALUES (?, ?, ?, 'ask', ?, ?, ?, ?, '', 0, EPOCH(), EPOCH(), '') ON CONFLICT (id) DO NOTHING",
                *(letter_id, self._agent, self._claim.task_id, address, json.dumps(body)),
                *("sent" if remote else "open", remote),
            )
            return _letter((await tx.execute("SELECT * FROM outbox WHERE id = ?", letter_id))[0])

        return await self._database.write(op)

    async def sent(self, letter_id: str, remote: str) -> None:
        """The peer's task is known. Raises LeaseLost."""
        await self._mark(letter_id, "state = 'sent', remote = ?", remote)

    async def answered(
        self, letter_id: str, answer: dict[str, Any], along: Along | None = None, *, waits: bool = False
    ) -> None:
        """The answer is in; it is what anybody who asks this again will get. Raises LeaseLost.

        With `waits` it is what the peer asks back: its task goes on when that is answered, and is called off if it is not.
        """
        state = "sent" if waits else "answered"
        await self._mark(letter_id, f"state = '{state}', answer = ?", json.dumps(answer), along, over=True)

    async def let_go(self, letter_id: str) -> None:
        """The peer's task is not wanted any more: a word to it for the courier to carry. Raises LeaseLost."""
        claim, agent = self._claim, self._agent

        async def op(tx: Transaction) -> None:
            await check(tx, claim)
            await tx.execute(f"{_CALL_OFF} AND id = ? AND remote <> ''", claim.task_id, letter_id)
            tx.wake(f"{agent}:outbox")

        await self._database.write(op)

    async def given_up(self, letter_id: str, why: str, along: Along | None = None) -> None:
        """No answer will be waited for any more. Raises LeaseLost."""
        await self._mark(letter_id, "state = 'off', why = ?", storable(why[:400]), along, over=True)

    async def _mark(
        self,
        letter_id: str,
        change: str,
        value: str,
        along: Along | None = None,
        *,
        over: bool = False,
    ) -> None:
        """`over` says that this letter is not sent again: it is progress, and what was decided is kept with it."""
        minutes = self._minutes if over else None
        decided = minutes.open if minutes is not None else []

        async def op(tx: Transaction) -> None:
            await check(tx, self._claim, progress=over)
            if along is not None:
                await along(tx)
            await tx.execute(f"UPDATE outbox SET {change} WHERE id = ?", value, letter_id)
            await decisions.write(tx, decided)

        await self._database.write(op)
        if minutes is not None:
            minutes.kept(decided)


_CALL_OFF = "UPDATE outbox SET kind = 'cancel', state = 'open', due = EPOCH(), attempts = 0 WHERE task_id = ? AND kind = 'ask'"


async def call_off(tx: Transaction, agent: str, task_id: str) -> None:
    """The task was cancelled: what it asked of others becomes a word to them that it is off, for the courier to carry."""
    await tx.execute(f"{_CALL_OFF} AND state = 'sent'", task_id)
    tx.wake(f"{agent}:outbox")


def _letter(row: Row) -> Letter:
    return Letter(
        row["id"],
        row["address"],
        json.loads(row["body"]),
        row["state"],
        row["remote"],
        json.loads(row["answer"]) if row["answer"] else None,
        row["why"],
    )
