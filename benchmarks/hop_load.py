"""The load of a benchmark: blocking echo calls over keep-alive connections, by a client that costs next to nothing.

Plain asyncio streams: about 0.1 ms of this process's CPU a call, on another core than the server's where there is one.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Seconds after which a server that does not answer has failed.
PATIENCE = 30.0
#: Seconds after the last answer in which what a server still does for the calls is counted too.
REST = 0.2


class WrongAnswer(Exception):
    """A server answered something else than a completed task with our text in it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What some calls cost: the server's CPU and its store's, a call's latency, and how many went through."""

    cpu_ms: float
    store_cpu_ms: float
    p50_ms: float
    calls_per_s: float
    answer_bytes: int


async def drive(
    port: int, calls: int, lines: int, cpu: Callable[[], float], store_cpu: Callable[[], float] = lambda: 0.0
) -> Figures:
    """Make `calls` calls over `lines` connections. `cpu` and `store_cpu` read CPU clocks, in seconds.

    Raises OSError, TimeoutError or WrongAnswer.
    """
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(lines)]
    numbers = iter(range(calls))
    latencies: list[float] = []
    sizes: list[int] = []
    before, store_before, began = cpu(), store_cpu(), time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE + calls * 0.2):
            await asyncio.gather(*(_line(*stream, numbers, latencies, sizes) for stream in streams))
        elapsed = time.perf_counter() - began
        await asyncio.sleep(REST)
        spent, store_spent = cpu() - before, store_cpu() - store_before
    except asyncio.IncompleteReadError:
        raise ConnectionError("the server closed the connection") from None
    finally:
        for _, writer in streams:
            writer.close()
    return Figures(
        spent * 1000 / calls,
        store_spent * 1000 / calls,
        statistics.median(latencies) * 1000,
        calls / elapsed,
        round(statistics.fmean(sizes)),
    )


async def _line(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    numbers: Iterator[int],
    latencies: list[float],
    sizes: list[int],
) -> None:
    """One connection: the next call goes out when the last is answered."""
    for number in numbers:
        text = f"hello {number:05}"
        body = _body(text)
        head = (
            "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\na2a-version: 1.0\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        sent = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await _answer(reader)
        latencies.append(time.perf_counter() - sent)
        sizes.append(len(answer))
        check(answer, text)


def _body(text: str) -> bytes:
    message = {"messageId": uuid.uuid4().hex[:16], "role": "ROLE_USER", "parts": [{"text": text}]}
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    return json.dumps(call, separators=(",", ":")).encode()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, rest = head.partition(b"\r\ncontent-length:")
    return await reader.readexactly(int(rest.split(b"\r\n", 1)[0] or b"0"))


def check(answer: bytes, text: str) -> None:
    """Raise WrongAnswer unless `answer` is a completed task that echoes `text` and holds the message it was sent."""
    try:
        task = json.loads(answer)["result"]["task"]
        parts = [part for artifact in task["artifacts"] for part in artifact["parts"]]
        right = (
            task["status"]["state"] == "TASK_STATE_COMPLETED"
            and any(part.get("text") == f"echo: {text}" for part in parts)
            and any(part.get("data") == {"reply": f"echo: {text}"} for part in parts)
            and task["history"][0]["parts"][0]["text"] == text
        )
    except (ValueError, KeyError, IndexError, TypeError):
        right = False
    if not right:
        raise WrongAnswer(f"not the echo that was expected: {answer[:300].decode(errors='replace')}")
