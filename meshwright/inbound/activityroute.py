"""What a process did lately, at `/activity`: for operators, and for the processes of its mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meshwright.errors import Forbidden, InvalidRequest, MeshError, wire_of
from meshwright.inbound.doorman import caller_of

if TYPE_CHECKING:
    from meshwright.database import Database

PATH = "/activity"
#: Hours that one can look back.
HOURS = 24


def hours_in(text: str) -> int:
    """The hours that a query names. Raises InvalidRequest."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:3]) <= HOURS):
        raise InvalidRequest(f"hours must be a number from 1 to {HOURS}")
    return int(text[:3])


def activity_routes(name: str, database: Callable[[], Database]) -> list[Route]:
    """The route. `database` is asked for once the process has started."""

    async def serve(request: Request) -> JSONResponse:
        from meshwright.records.traffic import activity

        try:
            if not caller_of(request.scope).reader:
                raise Forbidden(
                    "this is shown to operators, and to the `readers` of this process' trust file"
                )
            hours = hours_in(request.query_params.get("hours", "1"))
            found = await activity(database(), name, hours)
        except MeshError as error:
            status = wire_of(error).status
            return JSONResponse({"error": {"code": status, "message": str(error)}}, status)
        return JSONResponse({"agent": name, **found.model_dump(mode="json")})

    return [Route(PATH, serve)]
