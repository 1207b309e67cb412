"""Why a run came to what it came to, over HTTP, for operators: its decisions and those of the agents that it asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse

from meshwright.errors import InvalidRequest, NotFound
from meshwright.records.seal import intact
from meshwright.tasks.retention import DAY

if TYPE_CHECKING:
    from orchestrator.driver import Driver

#: Of a run, what is shown with its decisions.
_RUN = ("id", "task_id", "caller", "request", "state", "started", "ended", "report", "correlation", "trace")
_LISTED = ("id", "state", "started", "ended", "request", "caller", "correlation")


class ChainView:
    """The pages. `live` gives the driver, or says that the process still starts."""

    def __init__(self, live: Callable[[], Driver]) -> None:
        self._live = live

    async def runs(self, request: Request) -> JSONResponse:
        """The newest runs: `?limit=` (1 to 500) `before=` (the `next` of a page) `state=` `q=` (words, or an id)."""
        query = request.query_params
        limit, state = query.get("limit", "20"), query.get("state", "")
        if not (limit.isascii() and limit.isdigit() and len(limit) < 9 and 1 <= int(limit) <= 500):
            raise InvalidRequest("limit must be a number from 1 to 500")
        if not state.isprintable():
            raise InvalidRequest("state must be that of a run")
        rows, more = await self._live().store.recent(
            int(limit), before=query.get("before", ""), state=state, text=query.get("q", "").strip()
        )
        listed = [{**{name: row[name] for name in _LISTED}, "outcome": row["state"]} for row in rows]
        return JSONResponse({"runs": listed, "next": more})

    async def run(self, request: Request) -> JSONResponse:
        row = await self._live().store.get(_id(request))
        return JSONResponse(
            row["report"] or {"id": row["id"], "request": row["request"], "outcome": row["state"]}
        )

    async def chain(self, request: Request) -> JSONResponse:
        """All that was decided for a run, the oldest first, and what could not be had of that."""
        driver = self._live()
        run = await driver.store.get(_id(request))
        found = await driver.collector.of(run)
        settings = driver.settings
        # rows go after a while, and then nobody can say whether they were all there
        kept = run["started"] > driver.collector.clock() - settings.retention * DAY
        whole = await intact(driver.database, run["id"], run["task_id"], kept=kept)
        trace = quote(run["trace"], safe="")
        links = {"trace": settings.trace_url.replace("{trace}", trace) if trace else ""}
        document = {"run": {name: run[name] for name in _RUN}, "decisions": found.decisions}
        return JSONResponse({**document, "missing": found.missing, "links": links, "intact": whole})

    async def action(self, request: Request) -> JSONResponse:
        """The run that an action belongs to. Raises NotFound."""
        key = _id(request, "key")
        run = await self._live().store.of_action(key)
        if not run:
            raise NotFound(f"there is no action {key[:80]!r}; `meshwright trace` names those of a run")
        return JSONResponse({"action": key, "run": run})


def _id(request: Request, name: str = "id") -> str:
    """The id in the path; what cannot be one is found as little as one that is not there."""
    found = str(request.path_params[name])
    return found if found.isprintable() else ""
