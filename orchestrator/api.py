"""What people and tools ask the orchestrator besides A2A: the catalogue, the peers, runs and reviews."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshwright.card import stamped, to_json
from meshwright.deadline import Deadline
from meshwright.errors import Forbidden, MeshError, PeerOverloaded, wire_of
from meshwright.inbound.cardroute import PATH as CARD_PATH
from meshwright.inbound.cardroute import base_address
from meshwright.inbound.doorman import caller_of
from orchestrator.chainview import ChainView
from orchestrator.queue import ReviewQueue

if TYPE_CHECKING:
    from a2a.types import AgentCard

    from orchestrator.driver import Driver

CATALOG_VERSION = "1.0"
CATALOG_TYPE = "application/ai-catalog+json"
CARD_TYPE = "application/a2a-agent-card+json"
#: Seconds the list of peers may take to be gathered.
GATHER = 3.0

Endpoint = Callable[[Request], Awaitable[JSONResponse]]


class Api:
    """The routes. `driver` is there once the process has started."""

    def __init__(self, card: AgentCard, public_url: str | None) -> None:
        self._card = card
        self._public_url = public_url
        self._queue = ReviewQueue(lambda: self._live)
        self._chains = ChainView(lambda: self._live)
        self.driver: Driver | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/ai-catalog.json", _answering(self.catalog)),
            Route("/cards", _answering(self.cards)),
            Route("/peers", _for_operators(self.peers)),
            Route("/runs", _for_operators(self._chains.runs)),
            Route("/runs/{id}", _for_operators(self._chains.run)),
            Route("/runs/{id}/chain", _for_operators(self._chains.chain)),
            Route("/actions/{key}", _for_operators(self._chains.action)),
            Route("/reviews", _for_operators(self._queue.waiting)),
            Route("/reviews/{id}", _for_operators(self._queue.one)),
            Route("/reviews/{id}", _for_operators(self._queue.decide), methods=["POST"]),
            Route("/reviews/{id}/claim", _for_operators(self._queue.claim), methods=["POST"]),
            Route("/reviews/{id}/release", _for_operators(self._queue.release), methods=["POST"]),
        ]

    @property
    def _live(self) -> Driver:
        if self.driver is None:
            raise PeerOverloaded("orchestrator", "is still starting; ask again in a second")
        return self.driver

    async def catalog(self, request: Request) -> JSONResponse:
        """The mesh as an AI Catalog: every agent whose card is good, by the address of its card."""
        own = self._public_url or base_address(request)
        entries = [self._entry(self._card, own)]
        entries += [self._entry(e.card, e.url) for e in self._live.directory.entries if e.card]
        document = {
            "specVersion": CATALOG_VERSION,
            "host": {"displayName": self._card.name},
            "entries": entries,
        }
        return JSONResponse(document, media_type=CATALOG_TYPE)

    def _entry(self, card: AgentCard, base: str) -> dict[str, Any]:
        tags = sorted({tag for skill in card.skills for tag in skill.tags})
        return {
            "identifier": f"urn:air:meshwright:{card.name.lower()}",
            "displayName": card.name,
            "description": card.description,
            "type": CARD_TYPE,
            "mediaType": CARD_TYPE,
            "url": base.rstrip("/") + CARD_PATH,
            "version": card.version,
            "tags": tags,
        }

    async def cards(self, request: Request) -> JSONResponse:
        """The cards known here; with `?skill=`, those that offer it."""
        skill = request.query_params.get("skill", "")
        own = stamped(self._card, self._public_url or base_address(request))
        cards = [own, *(e.card for e in self._live.directory.entries if e.card)]
        chosen = [card for card in cards if not skill or any(s.id == skill for s in card.skills)]
        return JSONResponse({"skill": skill, "cards": [to_json(card) for card in chosen]})

    async def peers(self, request: Request) -> JSONResponse:
        """Every configured address, with what is known of it and how its breaker stands."""
        driver = self._live
        peers = [
            {
                "name": e.audience or e.name,
                "title": e.name,
                "url": e.url,
                "status": e.status,
                "why": e.why,
                "skills": e.skills,
                "version": e.card.version if e.card else "",
                "breaker": e.breaker.state,
                "health": e.breaker.shown(),
            }
            for e in driver.directory.entries
        ]
        return JSONResponse({"peers": peers, "tools": await driver.toolbox.catalogue(Deadline.after(GATHER))})


def _for_operators(endpoint: Endpoint) -> Endpoint:
    """Let only operators in."""

    async def guarded(request: Request) -> JSONResponse:
        if not caller_of(request.scope).operator:
            raise Forbidden("this needs an operator's token: `meshwright token --for orchestrator` makes one")
        return await endpoint(request)

    return _answering(guarded)


def _answering(endpoint: Endpoint) -> Endpoint:
    """Turn errors into their place on the wire."""

    async def answered(request: Request) -> JSONResponse:
        try:
            return await endpoint(request)
        except MeshError as error:
            wire = wire_of(error)
            told = {"code": wire.status, "reason": wire.code, "message": str(error)}
            return JSONResponse({"error": told}, wire.status)

    return answered
