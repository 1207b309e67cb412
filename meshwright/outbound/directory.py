"""Who is out there: peers found by fetching their cards, kept fresh with conditional requests, looked up by skill.

Addresses come from settings, never from a card: a card that points to another host than it came from is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx

from meshwright.card import MAX_BYTES, CardError, read_card
from meshwright.deadline import Deadline
from meshwright.errors import BreakerOpen, MeshError, NoPeer, PeerCold, PeerOverloaded, PeerUnreachable
from meshwright.inbound.identity import Identity
from meshwright.outbound.breaker import Breaker
from meshwright.outbound.peer import Peer
from meshwright.outbound.readiness import NotUnderstood, Sightings, document_of, fetched, look_at, name_of
from meshwright.outbound.retry import Retries
from meshwright.records.metrics import Sample, of_target

if TYPE_CHECKING:
    from a2a.types import AgentCard

    from meshwright.tasks.courier import Parcel

log = logging.getLogger(__name__)

CARD_PATH = "/.well-known/agent-card.json"
#: Seconds one fetch of a card may take.
FETCH_SECONDS = 3.0
#: Characters of a card's ETag; a longer one is not sent back.
LONGEST_TAG = 256
#: Who offers a skill with this tag stands in for any skill that nobody else can answer; with `fallback:SKILL`, for that one, and first.
FALLBACK_TAG = "fallback"
#: The id of a task that nobody has.
NO_TASK = "warm-up"
#: Seconds between two looks at a peer that still starts, while somebody waits for it.
LOOK = 0.1

Status = Literal["unknown", "ready", "cold", "stale", "invalid", "unreachable"]
#: Who is asked first: the lower, the sooner.
PREFERENCE = {"ready": 0, "cold": 1}


@dataclass(slots=True)
class Entry:
    """What is known of one address. A card that was good stays in use (`stale`) while its server cannot be reached.

    `cold` is a server of ours that serves its card and still starts.
    """

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
    sightings: Sightings = field(default_factory=Sightings, repr=False)
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

    async def refresh(self, by: Deadline | None = None) -> None:
        """Ask every address for its card, no longer than `by` allows; changes nothing where it says 304."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if by is None else max(by.remaining, 0)):
                await asyncio.gather(*(self._refresh(entry) for entry in self.entries))

    async def keep_fresh(self, every: float) -> None:
        """Refresh for ever, each `every` seconds; sooner while someone has never answered, or still starts."""
        while True:
            settled = all(e.card and e.status != "cold" for e in self.entries)
            await asyncio.sleep(every if settled else min(every, 1.0))
            await self.refresh()

    async def _refresh(self, entry: Entry) -> None:
        headers = {"if-none-match": entry.etag} if entry.etag else {}
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                if not entry.audience:
                    entry.audience = await name_of(self._http, entry.url)
                response, body = await fetched(self._http, entry.url + CARD_PATH, headers, MAX_BYTES)
                starting = await self._starting(entry) if entry.audience else ""
        except TimeoutError:
            return self._lost(entry, f"no card within {FETCH_SECONDS:.0f} s")
        except NotUnderstood:
            return self._refused(entry, f"the card is larger than {MAX_BYTES} bytes")
        except httpx.HTTPError as error:
            return self._lost(entry, f"cannot be reached ({type(error).__name__})")
        if response.status_code == 304:
            entry.seen = self._clock()
            return self._say(entry, "cold" if starting else "ready", starting)
        if response.status_code != 200:
            return self._lost(entry, f"its card's address answered {response.status_code}")
        try:
            card = read_card(body, entry.url)
        except CardError as error:
            return self._refused(entry, str(error))
        tag = response.headers.get("etag", "")
        entry.etag = tag if tag.isascii() and len(tag) <= LONGEST_TAG else ""
        entry.card, entry.name = card, card.name
        entry.breaker.peer, entry._peer = card.name, None
        entry.seen = self._clock()
        self._say(entry, "cold" if starting else "ready", starting)
        return None

    def _refused(self, entry: Entry, why: str) -> None:
        entry.card, entry.etag, entry._peer = None, "", None
        self._say(entry, "invalid", why)

    async def _starting(self, entry: Entry) -> str:
        entry.sightings.note(look := await look_at(self._http, entry.url))
        return look.starting

    async def look_around(self, seconds: float) -> None:
        """See how everybody stands now."""
        known = [e for e in self.entries if e.card and e.audience]
        others = [self._refresh(e) for e in self.entries if not (e.card and e.audience)]
        await asyncio.gather(*(self._look(e, seconds) for e in known), *others)

    async def told(self, url: str, path: str, audience: str = "") -> tuple[int, Any]:
        """What a server of this mesh answers to a question that is none of A2A's. Raises httpx.HTTPError."""
        headers = self._identity.authorization(audience) if audience else {}
        return await document_of(self._http, url + path, headers)

    def _lost(self, entry: Entry, why: str) -> None:
        self._say(entry, "stale" if entry.card else "unreachable", why)

    def _say(self, entry: Entry, status: Status, why: str) -> None:
        if (entry.status, entry.why) != (status, why):
            log.log(
                logging.INFO if status in PREFERENCE else logging.WARNING,
                "peer %s (%s): %s%s",
                entry.name or "?",
                entry.url,
                status,
                f": {why}" if why else "",
            )
        entry.status, entry.why = status, why

    def candidates(self, skill: str) -> list[Peer]:
        """Who to ask for `skill`: closed breakers first, then ready, cold, stale, in settings' order. Raises NoPeer if no card offers it."""
        offering = self._offering(skill)
        if not offering:
            known = sorted({s for e in self.entries for s in e.skills})
            raise NoPeer(f"no agent offers the skill {skill!r}; offered are: {', '.join(known) or 'none'}")
        return [self.peer(e) for e in sorted(offering, key=self._rank)]

    def passed_over(self, skill: str) -> list[tuple[str, MeshError]]:
        """Who comes before the best candidate for `skill` in settings' order, and with what error each would be asked."""
        offering = self._offering(skill)
        best = min(offering, key=self._rank, default=None)
        before = itertools.takewhile(lambda entry: entry is not best, offering)
        return [(e.name, self._standing(e)) for e in before]

    def _standing(self, entry: Entry) -> MeshError:
        if self._rank(entry)[0]:
            if entry.breaker.state == "closed":
                return PeerOverloaded(entry.name, "it asked for a pause", entry.breaker.held_for)
            return BreakerOpen(entry.name, entry.breaker.retry_in)
        return (PeerCold if entry.status == "cold" else PeerUnreachable)(entry.name, entry.why)

    def _offering(self, skill: str) -> list[Entry]:
        return [e for e in self.entries if skill in e.skills]

    def fallbacks(self, skill: str) -> list[Peer]:
        """Who stands in when no owner of `skill` can answer, best first: those for just this skill, then those for any."""
        found: list[Peer] = []
        for tag in (f"{FALLBACK_TAG}:{skill}", FALLBACK_TAG):
            standing = [e for e in self.entries if e.card and any(tag in s.tags for s in e.card.skills)]
            found += [self.peer(e) for e in sorted(standing, key=self._rank)]
        return list(dict.fromkeys(found))

    def tags(self, skill: str) -> set[str]:
        """What the cards say of a skill besides its name."""
        return {tag for e in self.entries if e.card for s in e.card.skills if s.id == skill for tag in s.tags}

    def _rank(self, entry: Entry) -> tuple[bool, int]:
        # A cold peer sends everybody away until it is ready, which says nothing more of it.
        shut = entry.breaker.retry_in > 0 and entry.status != "cold"
        return shut, PREFERENCE.get(entry.status, len(PREFERENCE))

    def peer(self, entry: Entry) -> Peer:
        """Who is at an entry whose card is known."""
        if entry._peer is None:
            assert entry.card is not None
            entry._peer = Peer(
                *(entry.card, entry.breaker, self._http, self._identity),
                *(entry.audience, entry.url, entry.retries),
            )
        return entry._peer

    def at(self, url: str) -> Peer:
        """Who is at an address. Raises NoPeer where nobody is known."""
        for entry in self.entries:
            if entry.url == url and entry.card is not None:
                return self.peer(entry)
        raise NoPeer(f"nobody is known at {url}")

    async def met(self, url: str, by: Deadline) -> Peer:
        """Who is at an address, once its card is known. Raises NoPeer when `by` has passed."""
        while True:
            try:
                return self.at(url)
            except NoPeer:
                if by.expired or all(entry.url != url for entry in self.entries):
                    raise
            await self.refresh(by)
            await asyncio.sleep(min(0.2, max(by.remaining, 0)))

    async def call_off(self, parcel: Parcel) -> None:
        """Word from the outbox: the task that a peer works on, or waits in, is not wanted any more."""
        await self.at(parcel.address).cancel(parcel.remote)

    async def is_cold(self, peer: Peer, by: Deadline) -> bool:
        """Whether a peer that did not take a call still starts; asked anew. Never true of one that is not of this mesh."""
        entry = self._entry(peer)
        if entry is None or not entry.audience:
            return False
        await self._look(entry, min(FETCH_SECONDS, max(by.remaining, 0)))
        return entry.status == "cold"

    async def require_warm(self, peer: Peer, by: Deadline) -> None:
        """Return once the peer is ready; at once if it is not known to start. Raises PeerCold when `by` has passed."""
        entry = self._entry(peer)
        while entry is not None and entry.status == "cold":
            await self._look(entry, min(FETCH_SECONDS, max(by.remaining, LOOK)))
            if entry.status != "cold":
                entry.breaker.lift()
                return
            if by.expired:
                raise PeerCold(peer.name, entry.why)
            await asyncio.sleep(min(LOOK, max(by.remaining, 0)))

    async def greet(self, by: Deadline) -> None:
        """Make one call that changes nothing to every peer: it opens the connection, and imports what a call needs.

        Raises NoPeer for one without a card, PeerCold for one that still starts, or the call's own PeerError.
        """
        await self.refresh()
        for entry in self.entries:
            if entry.card is None:
                raise NoPeer(f"nobody is known at {entry.url}: {entry.why}")
            await self.require_warm(self.peer(entry), by)
        await asyncio.gather(*(self.peer(entry).cancel(NO_TASK) for entry in self.entries))

    def _entry(self, peer: Peer) -> Entry | None:
        return next((e for e in self.entries if e.url == peer.url), None)

    async def _look(self, entry: Entry, seconds: float) -> None:
        """See whether a peer still starts. What cannot be reached is no longer that: the call to it will tell."""
        try:
            async with asyncio.timeout(seconds):
                starting = await self._starting(entry)
        except TimeoutError:
            return None
        except httpx.HTTPError as error:
            return self._lost(entry, f"cannot be reached ({type(error).__name__})")
        return self._say(entry, "cold" if starting else "ready", starting)

    async def wait_for(self, skills: Sequence[str], by: Deadline) -> list[str]:
        """Wait until somebody offers each of `skills`, as long as `by` allows. Returns those still missing."""
        while missing := [s for s in skills if not any(s in e.skills for e in self.entries)]:
            if by.expired:
                return missing
            await self.refresh(by)
            await asyncio.sleep(min(0.2, max(by.remaining, 0)))
        return []
