"""A peer whose card harms whoever reads it is not used, and costs the look at the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import agent_cards
from meshwright.card import MAX_BYTES, stamped, to_json
from meshwright.outbound.directory import CARD_PATH, Directory
from meshwright.outbound.http import http_client
from meshwright.testing import InProcess, Keyring

PEERS = ("http://orders", "http://returns")


def card(name: str) -> dict[str, Any]:
    return to_json(stamped(agent_cards.load(name), f"http://{name}"))


CARDS: dict[str, Callable[[], Response]] = {
    "too deep": lambda: Response(b"[" * 100_000 + b"]" * 100_000, media_type="application/json"),
    "too long": lambda: Response(b" " * 300_000, media_type="application/json"),
    "no UTF-8": lambda: Response(b"\xff\xfe{", media_type="application/json"),
}


async def looked(answer: Callable[[], Response], times: int = 1) -> Directory:
    """A directory that has looked at a peer with this card, and at a good one."""

    async def first(request: Request) -> Response:
        return answer()

    async def second(request: Request) -> Response:
        return JSONResponse(card("returns"))

    apps = {
        url: Starlette(routes=[Route(CARD_PATH, each)])
        for url, each in zip(PEERS, (first, second), strict=True)
    }
    directory = Directory(PEERS, InProcess(apps).client(), Keyring("me").identity("me"))
    for _ in range(times):
        await directory.refresh()
    return directory


@pytest.mark.parametrize("name", CARDS)
async def test_a_card_that_cannot_be_read_is_said_to_be_that(name: str) -> None:
    directory = await looked(CARDS[name])
    assert [entry.status for entry in directory.entries] == ["invalid", "ready"]
    assert [peer.url for peer in directory.candidates("order-return")] == ["http://returns"]


async def test_a_card_without_end_is_read_as_far_as_a_card_may_go() -> None:
    hung_up = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if CARD_PATH.encode() not in asked:
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return writer.close()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b" " * MAX_BYTES)
                await writer.drain()
        return hung_up.set()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server, http_client() as http:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        directory = Directory([url], http, Keyring("me").identity("me"))
        await directory.refresh()
        await hung_up.wait()
    (entry,) = directory.entries
    assert (entry.status, entry.why) == ("invalid", f"the card is larger than {MAX_BYTES} bytes")


@pytest.mark.parametrize("tag", ['W/"é"', '"' + "x" * 10_000 + '"'], ids=["no ASCII", "long"])
async def test_a_tag_that_cannot_be_sent_back_is_not_kept(tag: str) -> None:
    def answer() -> Response:
        response = JSONResponse(card("orders"))
        response.raw_headers.append((b"etag", tag.encode("latin-1")))
        return response

    directory = await looked(answer, times=2)
    assert [entry.status for entry in directory.entries] == ["ready", "ready"]
    assert directory.entries[0].etag == ""
