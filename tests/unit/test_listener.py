"""A server that nobody calls is not woken, and all the same tells the right time and hears that it should stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
from email.utils import formatdate

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from meshwright.inbound.listener import Dated, Listener

APP = Starlette(routes=[Route("/", lambda request: PlainTextResponse("hi"))])


def test_the_date_is_that_of_the_answer() -> None:
    config = uvicorn.Config(APP, headers=[("x-more", "1")], server_header=False, log_config=None)
    config.load()
    now = 1_800_000_000.0
    dated = Dated(config, clock=lambda: now)
    dated.default_headers = []  # what uvicorn's clock would do
    for now in (1_800_000_000.0, 1_800_000_000.9, 1_800_000_001.0, 1_800_086_400.0):
        headers = dict(dated.default_headers)
        assert headers == {b"date": formatdate(int(now), usegmt=True).encode(), b"x-more": b"1"}


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_signal_stops_it_at_once_though_nothing_else_wakes_it(loop: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = int(listening.getsockname()[1])
    server = Listener(uvicorn.Config(APP, loop=loop, log_config=None, lifespan="off"))
    answers: list[httpx.Response] = []

    def client() -> None:
        with httpx.Client() as http:
            answers.append(http.get(f"http://127.0.0.1:{port}/"))
        os.kill(os.getpid(), signal.SIGTERM)

    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda sig, frame: heard.append(sig))
    try:
        calling = threading.Thread(target=client)
        calling.start()
        server.run(sockets=[listening])
        calling.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]  # uvicorn hands it on when it has stopped
    assert answers[0].text == "hi"
    assert "date" in answers[0].headers
