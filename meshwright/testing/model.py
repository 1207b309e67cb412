"""A model server that says what it is told, over real HTTP in the form that OpenAI made common."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

#: One scripted answer: text, `{"tool": name, "arguments": {...}}`, `{"status": 500}`, or `{"hang": True}`.
Line = str | dict[str, Any]


class ScriptedModel:
    """Answers `POST /chat/completions` with the next line of its script; the last line is repeated.

    `asked` holds every request's body. Usage is counted in words, prompt and answer.
    """

    def __init__(self, script: Sequence[Line]) -> None:
        self._script = list(script)
        self.asked: list[dict[str, Any]] = []
        self.url = ""
        self.hung_up = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedModel]:
        """Listen on a free loopback port around the body."""
        import uvicorn

        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = Starlette(routes=[Route("/chat/completions", self._answer, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        listener.listen()
        work = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield self
        finally:
            server.should_exit = True
            server.force_exit = True
            await work
            listener.close()

    async def _answer(self, request: Request) -> JSONResponse:
        self.asked.append(await request.json())
        line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(line, dict) and line.get("hang"):
            while (await request.receive())["type"] != "http.disconnect":
                pass
            self.hung_up.set()
            return JSONResponse({}, 499)
        if isinstance(line, dict) and "status" in line:
            return JSONResponse({"error": {"message": "scripted failure"}}, line["status"])
        return JSONResponse(self._completion(line))

    def _completion(self, line: Line) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": line if isinstance(line, str) else None}
        if isinstance(line, dict):
            function = {"name": line["tool"], "arguments": json.dumps(line.get("arguments", {}))}
            message["tool_calls"] = [
                {"id": f"call-{len(self.asked)}", "type": "function", "function": function}
            ]
        prompt = len(json.dumps(self.asked[-1]["messages"]).split())
        answer = len(json.dumps(message).split())
        return {
            "id": f"scripted-{len(self.asked)}",
            "object": "chat.completion",
            "created": 0,
            "model": str(self.asked[-1].get("model", "")),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
        }
