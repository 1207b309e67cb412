"""A2A as its clients see it: JSON-RPC over HTTP, one answer or a stream of events, and the difference between no and no answer."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

import httpx

from meshwright.cli import keys
from meshwright.cli.home import Home

TASK_NOT_FOUND, NOT_CANCELABLE, UNSUPPORTED, INVALID = -32001, -32002, -32004, -32602
#: Codes that say something about the request. Any other error is the server's, and it may be asked again.
ABOUT_THE_REQUEST = {TASK_NOT_FOUND, NOT_CANCELABLE, UNSUPPORTED, INVALID}
ENTRY = "orchestrator"
#: Seconds after which a token, which lives a minute, is made anew.
TOKEN = 40.0

Json = dict[str, Any]


class NoAnswer(Exception):
    """The connection broke, or the server could not answer: whether the request was heard is not known.

    `waited` says that the server was there, and let us wait until our patience was over.
    """

    def __init__(self, why: str, *, waited: bool = False) -> None:
        super().__init__(why)
        self.waited = waited


class Refused(Exception):
    """The server answered, and it is a no."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code


class Wire:
    """Calls to any replica, as somebody with a key in `home` or as a stranger."""

    def __init__(self, client: httpx.AsyncClient, home: Home, deadline: float) -> None:
        self._client, self._home, self._deadline = client, home, deadline
        self._tokens: dict[str, tuple[str, float]] = {}

    async def call(self, url: str, method: str, params: Json, who: str = "", seconds: float = 10.0) -> Json:
        """The result. Raises NoAnswer, Refused."""
        try:
            answer = await self._client.post(
                url + "/", json=_request(method, params), headers=self._headers(who), timeout=seconds
            )
            document = answer.json()
        except (httpx.HTTPError, httpx.StreamError, ValueError) as error:
            raise _broken(method, error) from None
        return _result(document, answer.status_code)

    async def stream(
        self, url: str, method: str, params: Json, who: str = "", seconds: float = 60.0
    ) -> AsyncGenerator[Json, None]:
        """The events until the server ends the stream. Raises NoAnswer, also when it breaks off, and Refused."""
        headers = {**self._headers(who), "accept": "text/event-stream"}
        try:
            async with self._client.stream(
                "POST", url + "/", json=_request(method, params), headers=headers, timeout=seconds
            ) as answer:
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    await answer.aread()
                    _result(answer.json(), answer.status_code)
                    return
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        yield _result(json.loads(line[5:]), 200)
        except (httpx.HTTPError, httpx.StreamError, ValueError) as error:
            raise _broken(method, error) from None

    async def page(self, url: str, path: str, document: Json | None = None, who: str = "operator") -> Json:
        """GET a page as an operator, or POST a document to it. Raises NoAnswer, Refused."""
        try:
            method = "GET" if document is None else "POST"
            answer = await self._client.request(
                method, url + path, json=document, headers=self._headers(who), timeout=10
            )
            found: Json = answer.json()
        except (httpx.HTTPError, httpx.StreamError, ValueError) as error:
            raise NoAnswer(f"{path}: {type(error).__name__}") from None
        if answer.status_code >= 500:
            raise NoAnswer(f"{path}: {answer.status_code}")
        if answer.status_code >= 400:
            raise Refused(answer.status_code, str(found)[:200])
        return found

    def _headers(self, who: str) -> dict[str, str]:
        headers = {"a2a-version": "1.0", "x-mesh-deadline-ms": str(int(self._deadline * 1000))}
        if who:
            token, made = self._tokens.get(who, ("", -TOKEN))
            if time.monotonic() - made >= TOKEN:
                token = keys.bearer(self._home, who, ENTRY)
                self._tokens[who] = token, time.monotonic()
            headers["authorization"] = f"Bearer {token}"
        return headers


def state_of(task: Json) -> str:
    """`input_required` for `TASK_STATE_INPUT_REQUIRED`, of a task or a status update."""
    return str(task.get("status", {}).get("state", "")).removeprefix("TASK_STATE_").lower()


def question_of(task: Json) -> str:
    """The id of the question that a task puts to its client; empty for none."""
    parts = task.get("status", {}).get("message", {}).get("parts", [])
    asked = [part["data"].get("asks") for part in parts if isinstance(part.get("data"), dict)]
    return next((str(each["id"]) for each in asked if each), "")


def age_of(task: Json) -> float:
    """Seconds since the task came into its state, by the clock that it shares with us on one machine."""
    return time.time() - datetime.fromisoformat(task["status"]["timestamp"]).timestamp()


def content_of(task: Json) -> str:
    """All of a task that must not change after its end, as text that can be compared.

    Without what is empty: some operations write a field's default out, others leave it away, and it means the same.
    """
    return json.dumps(_full([task.get("artifacts", []), task["status"]]), sort_keys=True)


def _full(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: kept for name, each in value.items() if (kept := _full(each)) not in ("", [], {}, None)}
    return [_full(each) for each in value] if isinstance(value, list) else value


def _broken(what: str, error: Exception) -> NoAnswer:
    return NoAnswer(f"{what}: {type(error).__name__}", waited=isinstance(error, httpx.ReadTimeout))


def _request(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _result(document: Any, status: int) -> Json:
    if not isinstance(document, dict):
        raise NoAnswer(f"answered {status} without an object")
    error = document.get("error")
    if error is not None:
        code = error.get("code") if isinstance(error, dict) else None
        if code in ABOUT_THE_REQUEST:
            raise Refused(code, str(error.get("message", ""))[:300])
        raise NoAnswer(f"answered {str(error)[:200]}")
    result = document.get("result")
    if not isinstance(result, dict):
        raise NoAnswer(f"answered {status} without a result")
    return result
