"""Is it alive, is it ready, how is it. Liveness never leaves the process; readiness never fails because a *peer* is down."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshwright.records.metrics import CONTENT_TYPE, Sample, Source, exposition, of_places

if TYPE_CHECKING:
    from meshwright.inbound.places import Places
    from meshwright.tasks.worker import Worker


class Readiness:
    """What this process still waits for, by name. Ready when nothing is left."""

    def __init__(self, *waiting_for: str) -> None:
        self._waiting = dict.fromkeys(waiting_for, "starting")
        self.draining = False
        #: Who this is, for peers that make tokens for it; and which of its replicas, drawn anew at each start.
        self.name = ""
        self.instance = secrets.token_hex(8)
        #: What else `/readyz` shows, such as open breakers.
        self.details: Callable[[], dict[str, Any]] = dict
        #: What `/metrics` says besides the places.
        self.metrics: list[Source] = []
        #: Whose tasks these are, where there are tasks: shown, because a lease names its holder.
        self.worker: Worker | None = None
        #: How much is worked on, and how much waits.
        self.places: Places | None = None

    def waits(self, name: str, why: str) -> None:
        self._waiting[name] = why

    def done(self, name: str) -> None:
        self._waiting.pop(name, None)

    @property
    def ready(self) -> bool:
        return not self._waiting and not self.draining

    @staticmethod
    def load(places: Places) -> dict[str, int]:
        return {"limit": int(places.limit), "taken": places.taken, "waiting": places.waiting}

    def sources(self) -> list[Source]:
        """Where all numbers of this process come from."""
        places, worker = self.places, self.worker
        own: list[Source] = [] if places is None else [lambda: of_places(places)]
        if worker is not None:
            own.append(lambda: [Sample("meshwright_tasks_held", worker.running)])
        return [*own, *self.metrics]

    def routes(self) -> list[Route]:
        async def livez(request: Request) -> JSONResponse:
            return JSONResponse({"alive": True, "name": self.name})

        async def readyz(request: Request) -> JSONResponse:
            body: dict[str, Any] = {
                "ready": self.ready,
                "waiting_for": self._waiting,
                "draining": self.draining,
            }
            if self.instance:
                body["instance"] = self.instance
            if self.worker is not None:
                body |= {"holder": self.worker.holder, "running": self.worker.running}
            if self.places is not None:
                body["places"] = {**self.load(self.places), "usual_s": round(self.places.usual, 3)}
            return JSONResponse({**body, **self.details()}, 200 if self.ready else 503)

        async def metrics(request: Request) -> Response:
            return Response(exposition(self.sources()), media_type=CONTENT_TYPE)

        return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
