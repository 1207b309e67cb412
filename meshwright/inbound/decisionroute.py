"""What this process has decided, for operators and for those whom the trust file names as `readers`: `GET /decisions?correlation=ID` or `?run=ID`.

A row is passed on as it stands in the database, with its digest beside it; so whoever collects a chain can hold one against the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshwright.errors import Forbidden, InvalidRequest, MeshError, wire_of
from meshwright.inbound.doorman import caller_of
from meshwright.records import decisions
from meshwright.records.correlation import as_id, is_valid

if TYPE_CHECKING:
    from meshwright.database import Database

PATH = "/decisions"
#: Characters of rows in one answer. Of what is left off the number is told.
LARGEST = 4_194_304


def decision_route(name: str, database: Callable[[], Database]) -> Route:
    """The route under which the agent `name` shows its rows."""

    async def decided(request: Request) -> Response:
        try:
            if not caller_of(request.scope).reader:
                raise Forbidden(
                    "decisions are shown to operators, and to the `readers` of this process' trust file"
                )
            run, correlation = _asked(request)
            rows = await decisions.found(database(), run=run, correlation=correlation, agent=name)
        except MeshError as error:
            wire = wire_of(error)
            return JSONResponse({"error": {"code": wire.code, "message": str(error)}}, wire.status)
        shown, size = list[str](), 0
        for row in rows:
            size += len(row["body"])
            if size > LARGEST:
                break
            shown.append(f'{row["body"].rstrip()[:-1]},"digest":"{row["digest"]}"}}')
        left_off = f',"left_off":{len(rows) - len(shown)}' if len(shown) < len(rows) else ""
        content = f'{{"agent":{json.dumps(name)},"decisions":[{",".join(shown)}]{left_off}}}'
        return Response(content, media_type="application/json")

    return Route(PATH, decided)


def _asked(request: Request) -> tuple[str, str]:
    """The run and the correlation id that are asked for, one of them empty. Raises InvalidRequest."""
    (key, value), *more = request.query_params.multi_items() or [("", "")]
    if key not in ("run", "correlation") or more:
        raise InvalidRequest("ask for one of ?run= or ?correlation=, and nothing else")
    if key == "correlation" and is_valid(value):
        return "", value
    if key == "run" and as_id(value) == value:
        return value, ""
    raise InvalidRequest(f"{key} must be an id: letters, digits, '.', '_' and '-', at most 64")
