"""The chain of agents above a request, each link signed by the agent that made it: where loops end, across processes.

The header is a list, the first agent first: `link, link, …`. A link says who asked whom, for which of its tasks, and what stood
above it. An agent can leave out what it was told and pose as the beginning of a chain, as it can do any work in its own name;
it cannot put another's name into one, cut a piece out of it, or use what was signed for somebody else.

The chain grants nothing. So one from a stranger, where strangers are let in, is taken as it is: it can only forbid.
"""

from __future__ import annotations

import binascii
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from meshwright.errors import AncestryRefused, DelegationLoop, Unauthenticated
from meshwright.inbound.identity import LEEWAY, LIFETIME, Identity, Trust

HEADER = "x-mesh-ancestry"
#: The type of a link's JWS: it passes for nothing else that a key signs.
KIND = "mesh-link+jwt"
#: Bytes of the whole chain; a link has about 350.
MAX_BYTES = 16_384
#: Links whose signatures are remembered as verified. Those further up come again with each call of the same run.
REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Link:
    """`agent` asked `to` in the course of its `task`. `above` is the hash of the links before it; empty for the first."""

    agent: str
    to: str
    above: str
    task: str
    run: str
    issued: int
    expires: int
    signed: bool


def handed_on(above: str, identity: Identity, to: str, *, task: str, run: str) -> str:
    """The chain for a call to `to`: what stood above us, and our own link. Signed if this process has a key."""
    now = int(time.time())
    claims = {"iss": identity.name, "aud": to, "iat": now, "exp": now + LIFETIME, "task": task, "run": run}
    links = split(above)
    claims["above"] = _hash(links)
    if identity.signer is not None:
        link = identity.signer.signed(KIND, claims)
    else:
        link = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return ", ".join([*links, link])


def split(header: str) -> list[str]:
    return [link.strip() for link in header.split(",")] if header else []


class Ancestry:
    """What a process `me` demands of a chain: at most `depth` links, all of them right, and itself in none."""

    def __init__(self, trust: Trust, depth: int, *, clock: Callable[[], float] = time.time) -> None:
        self._trust = trust
        self._depth = depth
        self._clock = clock
        self._signed = lru_cache(REMEMBERED)(self._verified)

    def check(self, header: str, caller: str) -> tuple[Link, ...]:
        """The links of a chain that `caller` sent (empty: a stranger). Raises AncestryRefused, DelegationLoop.

        Without a header the caller is where the chain begins.
        """
        raw = split(header)
        if len(raw) > self._depth:
            raise DelegationLoop(f"{len(raw)} agents stand above this request; at most {self._depth} may")
        if len(header) > MAX_BYTES:
            raise AncestryRefused(f"the chain of agents above is longer than {MAX_BYTES} bytes")
        links = tuple(self._read(link) for link in raw)
        self._hang_together(raw, links)
        if links:
            self._came_from(links[-1], caller)
            if caller:
                _signed_from_the_first_on(links)
        names = [link.agent for link in links]
        if self._trust.me in names or len(set(names)) < len(names):
            raise DelegationLoop(f"a loop of agents: {' → '.join([*names, self._trust.me])}")
        return links

    def _read(self, raw: str) -> Link:
        return self._signed(raw) if "." in raw else _unsigned(raw)

    def _verified(self, raw: str) -> Link:
        try:
            name, claims = self._trust.verified(KIND, raw)
        except Unauthenticated:
            raise AncestryRefused("a link of the chain of agents above does not verify") from None
        link = _link(claims, signed=True)
        if link.agent != name:
            raise AncestryRefused("a link of the chain of agents above is not in its signer's name")
        return link

    def _hang_together(self, raw: Sequence[str], links: Sequence[Link]) -> None:
        """Each link was made for the next one's agent, on top of exactly what stands before it."""
        for place, link in enumerate(links):
            next_one = links[place + 1].agent if place + 1 < len(links) else self._trust.me
            if link.to != next_one:
                raise AncestryRefused(f"{link.agent} asked {link.to}, and not {next_one}")
            if link.above != _hash(raw[:place]):
                raise AncestryRefused(f"what stands above {link.agent} is not what it signed")

    def _came_from(self, last: Link, caller: str) -> None:
        """The last link is the caller's and new. Those above were so when they arrived; work may have waited since."""
        if caller and last.agent != caller:
            raise AncestryRefused(f"the chain of agents above ends with {last.agent}, and {caller} sent it")
        now = self._clock()
        if not last.issued - LEEWAY <= now <= last.expires + LEEWAY or last.expires - last.issued > LIFETIME:
            raise AncestryRefused("the last link of the chain of agents above has expired")


def _signed_from_the_first_on(links: Sequence[Link]) -> None:
    """Only those at the beginning may have had no key, and the caller has one."""
    first = next((place for place, link in enumerate(links) if link.signed), len(links))
    if not all(link.signed for link in links[first:]) or not links[-1].signed:
        raise AncestryRefused("a link of the chain of agents above is not signed")


def _unsigned(raw: str) -> Link:
    try:
        claims = json.loads(urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except (binascii.Error, ValueError):
        raise AncestryRefused("the chain of agents above is not made of links") from None
    return _link(claims, signed=False)


def _link(claims: Any, *, signed: bool) -> Link:
    if isinstance(claims, Mapping):
        texts = [claims.get(name) for name in ("iss", "aud", "above", "task", "run")]
        times = [claims.get(name) for name in ("iat", "exp")]
        if all(isinstance(t, str) and len(t) <= 200 for t in texts) and all(type(t) is int for t in times):
            agent, to, above, task, run = map(str, texts)
            issued, expires = (int(t) for t in times if t is not None)
            return Link(agent, to, above, task, run, issued, expires, signed)
    raise AncestryRefused("a link of the chain of agents above does not say what it must")


def _hash(links: Sequence[str]) -> str:
    """SHA-256 of the links, joined by commas, in URL-safe base64 without padding; empty for none."""
    return urlsafe_b64encode(sha256(",".join(links).encode()).digest()).decode().rstrip("=") if links else ""
