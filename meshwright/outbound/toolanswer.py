"""What a tool server answered: read no further than anybody would use it, and believed only in the shape that was promised."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshwright.errors import PeerAnsweredBadly, PeerRefused

if TYPE_CHECKING:
    import httpx

#: Bytes that one answer may have.
MAX_ANSWER = 4_194_304


def result_of(host: str, answer: dict[str, Any], asked: int) -> dict[str, Any]:
    """The result of the request with the id `asked`. Raises PeerRefused, PeerAnsweredBadly."""
    if isinstance(error := answer.get("error"), dict):
        raise PeerRefused(host, str(error.get("message", "an error without a message"))[:300])
    result = answer.get("result")
    if not isinstance(result, dict):
        raise PeerAnsweredBadly(host, "an answer without a result")
    if answer.get("id") != asked:
        raise PeerAnsweredBadly(host, "an answer to another question")
    return result


async def bounded(name: str, response: httpx.Response) -> bytes:
    """The body, which is read no further than anybody would use it. Raises PeerAnsweredBadly for one that goes on."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise PeerAnsweredBadly(name, "its answer is too large")
    return bytes(body)


def reason_in(body: bytes) -> str:
    """What a refusal says, in so many words."""
    try:
        return str(json.loads(body)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError, RecursionError):
        return body.decode(errors="replace")[:200]


def json_of(name: str, response: httpx.Response, body: bytes) -> dict[str, Any]:
    """The answer, from a JSON body or from the last event of a stream (a tool that took longer than 15 s)."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        lines = body.decode(errors="replace").splitlines()
        data = [line[5:] for line in lines if line.startswith("data:") and line[5:].strip()]
        body = data[-1].encode() if data else b""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise PeerAnsweredBadly(name, "its answer is not JSON") from None
    if not isinstance(answer, dict):
        raise PeerAnsweredBadly(name, "its answer is not a JSON object")
    return answer
