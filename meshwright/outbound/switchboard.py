"""The breakers of one agent's replicas, through the database: what one of them learns of a peer, all know; one of them probes.

A row is a breaker that is not closed. It is written when that changes, never on the way of a call that is let through. Every
write is conditional on what it believes to find, so of two replicas one is right and the other hears it. All times are the
database's. Where the database does not answer, each replica goes by what it knows itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from meshwright.chore import Chore
from meshwright.errors import StoreUnavailable
from meshwright.outbound.breaker import Breaker, Standing
from meshwright.records import decisions
from meshwright.records.decision import Decision
from meshwright.records.minutes import decision_id

if TYPE_CHECKING:
    from meshwright.database import Database, Row, Transaction

log = logging.getLogger(__name__)

#: Rung after every change; see `Database.listen`.
TOPIC = "breakers"
#: Seconds between two looks where nothing is heard, and the least between two where much is.
LOOK, REST = 5.0, 0.05
#: Seconds a call waits for the right to probe before it goes by what is known here.
CLAIM = 1.0
#: Seconds after which a row that nobody touched is forgotten: the address has left the settings.
OLD = 86_400.0

_WHOSE = "agent = ? AND kind = ? AND address = ?"
_COLUMNS = "kind, address, opening, state, since, until - EPOCH() AS wait, failures"
#: A row is made once for an opening, and only changed after that: one that is gone was closed by another replica.
_MAKE = """INSERT INTO breakers (agent, kind, address, opening, state, holder, until, failures, since)
    VALUES (?, ?, ?, ?, ?, ?, EPOCH() + ?, ?, EPOCH()) ON CONFLICT (agent, kind, address) DO NOTHING RETURNING opening"""
#: Not while another replica is probing.
_CHANGE = f"""UPDATE breakers SET state = ?, holder = ?, until = EPOCH() + ?, failures = ?
    WHERE {_WHOSE} AND opening = ? AND holder IN ('', ?)"""
#: Take the right to probe, if nobody has it or its time is over.
_CLAIM = f"""UPDATE breakers SET state = 'half-open', holder = ?, until = EPOCH() + ?
    WHERE {_WHOSE} AND (until <= EPOCH() OR holder = ?) RETURNING {_COLUMNS}"""


class Switchboard:
    """A `Board` over one database. `agent` is whose replicas share."""

    def __init__(self, database: Database, agent: str, breakers: Iterable[Breaker]) -> None:
        self._database, self._agent = database, agent
        self._breakers = {(breaker.kind, breaker.address): breaker for breaker in breakers}
        self._me = secrets.token_hex(8)
        #: The opening of each that the database has heard of.
        self._known: dict[Breaker, str] = {}
        #: What the others have not been told yet; what has changed since a look began; and what is being claimed.
        self._untold: set[Breaker] = set()
        self._moved: set[Breaker] = set()
        self._claiming: set[Breaker] = set()
        self._bell = asyncio.Event()
        self._bell.set()
        self._stop = database.listen(self._heard)
        self._work = Chore("the switchboard", self._keep_up)
        self._work.start()
        for breaker in self._breakers.values():
            breaker.board = self

    async def aclose(self) -> None:
        """Tell what is still to be told, and let go of the breakers."""
        for breaker in self._breakers.values():
            breaker.board = None
        self._stop()
        await self._work.stop()
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(CLAIM):
                await self._tell()

    def changed(self, breaker: Breaker) -> None:
        self._untold.add(breaker)
        self._moved.add(breaker)
        self._bell.set()

    async def claim(self, breaker: Breaker) -> bool:
        """Whether this replica may probe: one statement that only one replica can win. True where nobody can say."""
        whose = self._whose(breaker)
        news = self._news(breaker) if breaker in self._untold else None

        async def op(tx: Transaction) -> tuple[bool, Row | None]:
            if news is not None:
                await news(tx)
            rows = await tx.execute(_CLAIM, self._me, breaker.reset, *whose, self._me)
            if rows:
                tx.wake(TOPIC)
                return True, rows[0]
            found = await tx.execute(f"SELECT {_COLUMNS} FROM breakers WHERE {_WHOSE}", *whose)
            return False, found[0] if found else None

        self._claiming.add(breaker)
        try:
            async with asyncio.timeout(CLAIM):
                granted, row = await self._database.write(op)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("%s: probing without the others (%s)", breaker.peer, type(error).__name__)
            return True
        finally:
            self._claiming.discard(breaker)
            self._moved.add(breaker)
        self._hear(breaker, row)
        return granted or row is None  # no row: another replica has found it well

    async def _keep_up(self) -> None:
        """Write what changed here, read what changed elsewhere; at a bell, and now and then without one."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._bell.wait()
            self._bell.clear()
            try:
                await self._tell()
                await self._look()
            except StoreUnavailable as error:
                log.warning("the breakers are not shared just now: %s", error)
            await asyncio.sleep(REST)

    async def _tell(self) -> None:
        for breaker in list(self._untold):
            self._untold.discard(breaker)
            opening, told = breaker.opening, False
            try:
                await self._database.write(self._news(breaker))
                self._known[breaker], told = opening, True
            finally:
                if not told:
                    self._untold.add(breaker)

    def _news(self, breaker: Breaker) -> Callable[[Transaction], Awaitable[None]]:
        """How it stands now, as an operation."""
        whose, opening, standing = self._whose(breaker), breaker.opening, breaker.standing()
        new, failures = self._known.get(breaker) != opening, json.dumps(dict(breaker.failures))
        moved = [self._moved_to(breaker, standing)]

        async def op(tx: Transaction) -> None:
            tx.wake(TOPIC)
            if standing is None:
                gone = f"DELETE FROM breakers WHERE {_WHOSE} AND opening = ? RETURNING opening"
                if await tx.execute(gone, *whose, opening):
                    await decisions.write(tx, moved)
                return
            holder = self._me if standing.state == "half-open" else ""
            now = (standing.state, holder, standing.retry_in, failures)
            if new:
                if await tx.execute(_MAKE, *whose, opening, *now):
                    await decisions.write(tx, moved)
                await tx.execute(
                    "DELETE FROM breakers WHERE agent = ? AND until < EPOCH() - ?", whose[0], OLD
                )
            else:
                await tx.execute(_CHANGE, *now, *whose, opening, self._me)

        return op

    def _moved_to(self, breaker: Breaker, standing: Standing | None) -> Decision:
        """The row of a breaker that opened or closed, for whichever replica it is that the database takes it from.

        A probe is none, and one that failed neither: then it stands as it stood.
        """
        state = "closed" if standing is None else "open"
        place = f"breaker/{breaker.kind}/{breaker.address}/{breaker.opening}/{state}"
        failures = {str(name): count for name, count in breaker.failures.items() if count}
        counted = ", ".join(f"{name}: {count}" for name, count in failures.items())
        why = "a probe found it well" if standing is None else f"failures in a row: {counted}"
        return Decision(
            id=decision_id(self._agent, "", 0, place),
            kind="breaker",
            at=time.time(),
            agent=self._agent,
            outcome=state,
            selected=breaker.peer,
            strategy=breaker.kind,
            reason=why,
            more={"failures": failures, "address": breaker.address[:200]},
        )

    def _whose(self, breaker: Breaker) -> tuple[str, str, str]:
        return self._agent, breaker.kind, breaker.address

    async def _look(self) -> None:
        """Take over how the others have found things."""
        self._moved.clear()

        async def op(tx: Transaction) -> list[Row]:
            return await tx.execute(f"SELECT {_COLUMNS} FROM breakers WHERE agent = ?", self._agent)

        rows = {(row["kind"], row["address"]): row for row in await self._database.read(op)}
        for key, breaker in self._breakers.items():
            if breaker not in self._untold | self._moved | self._claiming:
                self._hear(breaker, rows.get(key))

    def _hear(self, breaker: Breaker, row: Row | None) -> None:
        breaker.hear(_standing(row))
        self._known[breaker] = breaker.opening

    def _heard(self, topic: str | None, mine: bool) -> None:
        if topic is None or (topic == TOPIC and not mine):
            self._bell.set()


def _standing(row: Any) -> Standing | None:
    if row is None:
        return None
    return Standing(
        row["opening"], row["state"], row["since"], max(0.0, row["wait"]), json.loads(row["failures"])
    )
