"""What may come in at all: a body that is small, complete in time, and JSON that means one thing only.

A2A's and MCP's parsers take the last of two equal keys, take NaN (and then cannot write it back), and recurse as deep as
they are told to. What the gate judges and what runs must be the same, so such bodies stop here, with a plain reason.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshwright.begun import Begun
from meshwright.doubles import NoDouble, finite, whole
from meshwright.errors import InvalidRequest
from meshwright.inbound.headers import headers_of

#: protobuf does not read back what is nested deeper, once it stands in a stored task: an object takes three of its 100 levels.
MAX_DEPTH = 32
BODY_SECONDS = 10.0
#: Where the scope of a request has its body as it was parsed here, for whoever reads it.
PARSED = "mesh.json"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_STEPS = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}

Refusal = Callable[[Scope, int, str], Response]


class Admission:
    """ASGI middleware: refuses a body over `max_body` bytes (413), too slow (408), or not strict JSON (400).

    `refusal` makes the answer from the scope, the status and the reason.
    """

    def __init__(self, app: ASGIApp, *, max_body: int, refusal: Refusal | None = None) -> None:
        self._app = app
        self._max_body = max_body
        self._refusal = refusal or _refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            return await self._app(scope, receive, send)
        try:
            reading = Begun(self._read(scope, receive))  # mostly the body is there already
            if reading.waits:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await reading
            else:
                body = reading.result
        except TimeoutError:
            why = f"the body did not arrive within {BODY_SECONDS:.0f} s"
            return await self._refusal(scope, 408, why)(scope, receive, send)
        if body is None:
            why = f"the body is larger than {self._max_body} bytes: send less, or send a link"
            return await self._refusal(scope, 413, why)(scope, receive, send)
        if body and "json" in headers_of(scope).get("content-type", "json").lower():
            try:
                scope[PARSED] = strict_json(body)
            except InvalidRequest as error:
                return await self._refusal(scope, 400, str(error))(scope, receive, send)
        return await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, or None once it is known to be too large."""
        declared = headers_of(scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._max_body:
            return None
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"".join(chunks)
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body:
                return None
            if not message.get("more_body", False):
                return b"".join(chunks)


def strict_json(body: bytes) -> Any:
    """Parse JSON that means one thing. Raises InvalidRequest for bad UTF-8, half a surrogate pair, NaN, 1e999 (which is infinite), duplicate keys, or depth over 32."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise InvalidRequest(f"the JSON is nested deeper than {MAX_DEPTH} levels")
    try:
        content = _STRICT.decode(body.decode("utf-8"))
        if _SURROGATE.search(body):  # half of a pair is no character: it cannot be written again, nor stored
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8") from None
    except UnicodeEncodeError:
        raise InvalidRequest("the JSON holds half of a surrogate pair") from None
    except NoDouble as error:
        raise InvalidRequest(str(error)) from None
    except (ValueError, RecursionError):  # also a number of more digits than Python reads
        raise InvalidRequest("the body is not JSON") from None


def _depth(body: bytes) -> int:
    """How deep a body is nested, as far as that is more than allowed; brackets in strings do not count."""
    depth = 0
    for token in _STRUCTURE.finditer(body):
        depth += _STEPS.get(token.group(), 0)
        if depth > MAX_DEPTH:
            break
    return depth


def _constant(name: str) -> Any:
    raise InvalidRequest(f"{name} is not a number that JSON knows")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise InvalidRequest("the JSON holds the same key twice in one object")
    return result


_STRICT = json.JSONDecoder(
    parse_constant=_constant, parse_float=finite, parse_int=whole, object_pairs_hook=_distinct
)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _refuse(scope: Scope, status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": {"code": status, "message": why}}, status, headers={"connection": "close"})
