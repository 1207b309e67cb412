"""Who is out there: peers found by fetching their cards, kept fresh with conditional requests, looked up by skill.

Addresses come from settings, never from a card: a card that points to another host than it came from is not used.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx

from meshwright.card import MAX_BYTES, CardError, check_addresses, parse_card
from meshwright.deadline import Deadline
from meshwright.errors import NoPeer
from meshwright.inbound.identity import Identity
from meshwright.outbound.breaker import Breaker
from meshwright.outbound.peer import Peer
from meshwright.outbound.retry import Retries
from meshwright.records.metrics import Sample, of_target

if TYPE_CHECKING:
    from a2a.types import AgentCard

log = logging.getLogger(__name__)

CARD_PATH = "/.well-known/agent-card.json"
#: Seconds one fetch of a card may take.
FETCH_SECONDS = 3.0
#: A skill with this tag is asked only when nobody else can answer.
FALLBACK_TAG = "fallback"

Status = Literal["unknown", "ready", "stale", "invalid", "unreachable"]


@dataclass(slots=True)
class Entry:
    """What is known of one address. A card that was good stays in use (`stale`) while its server cannot be reached."""

    url: str
    breaker: Breaker
    status: Status = "unknown"
    why: str = "not asked yet"
    card: AgentCard | None = None
    etag: str = ""
    name: str = ""
    #: The name its tokens must be made for; empty for a server that is not one of ours, which then gets none.
    audience: str = ""
    seen: float = 0.0
    retries: Retries = field(default_factory=Retries, repr=False)
    _peer: Peer | None = field(default=None, repr=False)

    @property
    def skills(self) -> list[str]:
        return [skill.id for skill in self.card.skills] if self.card else []


class Directory:
    """The peers of an orchestrator."""

    def __init__(
        self,
        urls: Sequence[str],
        http: httpx.AsyncClient,
        identity: Identity,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entries = [Entry(url, Breaker(url)) for url in urls]
        self._http = http
        self._identity = identity
        self._clock = clock

    @property
    def breakers(self) -> list[Breaker]:
        return [entry.breaker for entry in self.entries]

    def health(self) -> dict[str, Any]:
        """How each peer's breaker stands, for `/readyz`."""
        return {"peers": {entry.name or entry.url: entry.breaker.shown() for entry in self.entries}}

    def samples(self) -> Iterator[Sample]:
        """What is counted of each peer, for `/metrics`."""
        for entry in self.entries:
            yield from of_target(entry.breaker, entry.retries)

    async def refresh(self) -> None:
        """Ask every address for its card; changes nothing where it says 304."""
        await asyncio.gather(*(self._refresh(entry) for entry in self.entries))

    async def keep_fresh(self, every: float) -> None:
        """Refresh for ever, each `every` seconds; sooner while someone has never answered."""
        while True:
            await asyncio.sleep(every if all(e.card for e in self.entries) else min(every, 1.0))
            await self.refresh()

    async def _refresh(self, entry: Entry) -> None:
        headers = {"if-none-match": entry.etag} if entry.etag else {}
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                if not entry.audience:
                    entry.audience = await self._audience(entry)
                response = await self._http.get(entry.url + CARD_PATH, headers=headers)
        except TimeoutError:
            return self._lost(entry, f"no card within {FETCH_SECONDS:.0f} s")
        except httpx.HTTPError as error:
            return self._lost(entry, f"cannot be reached ({type(error).__name__})")
        if response.status_code == 304:
            entry.status, entry.why, entry.seen = "ready", "", self._clock()
            return None
        if response.status_code != 200:
            return self._lost(entry, f"its card's address answered {response.status_code}")
        try:
            card = self._read(entry, response)
        except CardError as error:
            entry.card, entry.etag, entry._peer = None, "", None
            self._say(entry, "invalid", str(error))
            return None
        entry.card, entry.etag, entry.name = card, response.headers.get("etag", ""), card.name
        entry.breaker.peer = card.name
        entry._peer = None
        entry.seen = self._clock()
        self._say(entry, "ready", "")
        return None

    def _read(self, entry: Entry, response: httpx.Response) -> AgentCard:
        if len(response.content) > MAX_BYTES:
            raise CardError(f"the card is larger than {MAX_BYTES} bytes")
        try:
            document = response.json()
        except (ValueError, UnicodeDecodeError):
            raise CardError("the card is not JSON") from None
        card = parse_card(document)
        check_addresses(card, entry.url)
        return card

    async def _audience(self, entry: Entry) -> str:
        """The name one of our own servers gives at `/livez`; empty for others."""
        response = await self._http.get(entry.url + "/livez")
        try:
            document = response.json() if response.status_code == 200 else {}
        except ValueError:
            return ""
        return str(document.get("name", ""))[:120] if isinstance(document, dict) else ""

    def _lost(self, entry: Entry, why: str) -> None:
        self._say(entry, "stale" if entry.card else "unreachable", why)

    def _say(self, entry: Entry, status: Status, why: str) -> None:
        if (entry.status, entry.why) != (status, why):
            log.log(
                logging.INFO if status == "ready" else logging.WARNING,
                "peer %s (%s): %s%s",
                entry.name or "?",
                entry.url,
                status,
                f": {why}" if why else "",
            )
        entry.status, entry.why = status, why

    def candidates(self, skill: str) -> list[Peer]:
        """Who to ask for `skill`, best first: ready before stale, closed breakers before open ones, in settings' order.

        Raises NoPeer if no card offers it.
        """
        offering = [e for e in self.entries if skill in e.skills]
        if not offering:
            known = sorted({s for e in self.entries for s in e.skills})
            raise NoPeer(f"no agent offers the skill {skill!r}; offered are: {', '.join(known) or 'none'}")
        return [self.peer(e) for e in sorted(offering, key=self._rank)]

    def fallbacks(self) -> list[Peer]:
        """Who stands in when no owner of a skill can answer."""
        standing = [e for e in self.entries if e.card and any(FALLBACK_TAG in s.tags for s in e.card.skills)]
        return [self.peer(e) for e in sorted(standing, key=self._rank)]

    def tags(self, skill: str) -> set[str]:
        """What the cards say of a skill besides its name."""
        return {tag for e in self.entries if e.card for s in e.card.skills if s.id == skill for tag in s.tags}

    def _rank(self, entry: Entry) -> tuple[bool, bool]:
        return entry.breaker.retry_in > 0, entry.status != "ready"

    def peer(self, entry: Entry) -> Peer:
        """Who is at an entry whose card is known."""
        if entry._peer is None:
            assert entry.card is not None
            entry._peer = Peer(
                *(entry.card, entry.breaker, self._http, self._identity),
                *(entry.audience, entry.url, entry.retries),
            )
        return entry._peer

    async def wait_for(self, skills: Sequence[str], by: Deadline) -> list[str]:
        """Wait until somebody offers each of `skills`, as long as `by` allows. Returns those still missing."""
        while missing := [s for s in skills if not any(s in e.skills for e in self.entries)]:
            if by.expired:
                return missing
            await self.refresh()
            await asyncio.sleep(min(0.2, max(by.remaining, 0)))
        return []
