"""A model server that says what it is told, over real HTTP in the form that OpenAI made common; it may be late, fail, or lie."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from meshwright.testing.serving import serving

#: One scripted answer: text; `{"tool": name, "arguments": {...}}`; `{"status": 500}`; `{"hang": True}`, which answers when nobody
#: listens any more; `{"late": True}`, which answers when `let_go` is set; `{"stream": text}`, whether asked for or not;
#: `{"text": …, "usage": …}`, a claim of what was used (None: it says nothing of it); or `{"raw": bytes}`, these very bytes
#: after it has worked, with `status` and `headers` if there are any.
Line = str | dict[str, Any]


class ScriptedModel:
    """Answers `POST /chat/completions` with the next line of its script; the last line is repeated.

    `asked` holds every request's body. A token is `bytes_per_token` bytes: 4 is usual, 1 the worst that a tokenizer can do.
    An answer stops at `max_tokens`, and `bills` holds what each request that it worked on truly used, prompt and answer,
    whatever it says of that.
    """

    def __init__(self, script: Sequence[Line], bytes_per_token: int = 4) -> None:
        self._script = list(script)
        self._bytes = bytes_per_token
        self.asked: list[dict[str, Any]] = []
        self.bills: list[tuple[int, int]] = []
        self.url = ""
        self.hung_up = asyncio.Event()
        self.let_go = asyncio.Event()

    def says(self, script: Sequence[Line]) -> None:
        """From now on it answers with these lines."""
        self._script = list(script)

    @property
    def used(self) -> int:
        """Tokens that were truly used."""
        return sum(prompt + answer for prompt, answer in self.bills)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedModel]:
        """Listen on a free loopback port around the body."""
        app = Starlette(routes=[Route("/chat/completions", self._answer, methods=["POST"])])
        async with serving(app, lifespan=False) as self.url:
            yield self

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(line, dict) and "raw" in line:
            self._completion("", body)
            return Response(line["raw"], line.get("status", 200), line.get("headers"), "application/json")
        if isinstance(line, dict) and line.get("status") in (400, 401, 404, 429, 503):
            return JSONResponse({"error": {"message": "scripted refusal"}}, line["status"])
        completion = self._completion(line, body)
        if isinstance(line, dict) and line.get("hang"):
            while (await request.receive())["type"] != "http.disconnect":
                pass
            self.hung_up.set()
            return JSONResponse({}, 499)
        if isinstance(line, dict) and line.get("late"):
            await self.let_go.wait()
        if isinstance(line, dict) and "status" in line:  # it worked, and failed to say so
            return JSONResponse({"error": {"message": "scripted failure"}}, line["status"])
        if isinstance(line, dict) and "stream" in line:
            return StreamingResponse(_chunks(completion), media_type="text/event-stream")
        return JSONResponse(completion)

    def _completion(self, line: Line, body: dict[str, Any]) -> dict[str, Any]:
        spec = line if isinstance(line, dict) else {"text": line}
        text = spec.get("text", spec.get("stream", "all that it thought of " if "tool" not in spec else None))
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if "tool" in spec:
            function = {"name": spec["tool"], "arguments": json.dumps(spec.get("arguments", {}))}
            call = {"id": f"call-{len(self.asked)}", "type": "function", "function": function}
            message["tool_calls"] = [call]
        prompt = self._tokens({key: body.get(key) for key in ("messages", "tools") if body.get(key)})
        answer = self._tokens(message.get("tool_calls") or "") + -(-len((text or "").encode()) // self._bytes)
        most = int(body.get("max_tokens") or body.get("max_completion_tokens") or answer)
        if text is not None and answer > most:
            message["content"] = text.encode()[: most * self._bytes].decode(errors="ignore")
        self.bills.append((prompt, min(answer, most)))
        usage: Any = {"prompt_tokens": prompt, "completion_tokens": min(answer, most)}
        usage["total_tokens"] = sum(usage.values())
        usage = spec.get("usage", usage)
        return {
            "id": f"scripted-{len(self.asked)}",
            "object": "chat.completion",
            "created": 0,
            "model": str(body.get("model", "")),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            **({} if usage is None else {"usage": usage}),
        }

    def _tokens(self, value: Any) -> int:
        if value == "":
            return 0
        compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return -(-len(compact.encode()) // self._bytes)


async def _chunks(completion: dict[str, Any]) -> AsyncIterator[str]:
    message = completion["choices"][0]["message"]
    for piece in (message["content"] or "").split(" "):
        chunk = {
            "id": completion["id"],
            "object": "chat.completion.chunk",
            "created": 0,
            "model": completion["model"],
        }
        choice = {"index": 0, "delta": {"content": f"{piece} "}, "finish_reason": None}
        yield f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"
