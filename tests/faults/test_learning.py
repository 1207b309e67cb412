"""A tool server that hangs before anybody knows what it offers: whoever needs another one is not held up by that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from meshwright.deadline import Deadline
from meshwright.errors import MeshError, NotFound, PeerTimedOut
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.toolbox import Toolbox
from meshwright.settings import Settings
from meshwright.testing import WELL, Fault, FaultProxy, Keyring, serving
from meshwright.toolserver import Access

NAMES = ("orders", "shelf")
#: Where the one that hangs stands in the settings.
ORDERS = pytest.mark.parametrize("first", ["hangs", "well"])


@asynccontextmanager
async def two(http: httpx.AsyncClient, shelf: Any, first: str) -> AsyncIterator[tuple[Toolbox, FaultProxy]]:
    """A toolbox that knows nothing yet of two servers: one is well, and one hangs behind the proxy."""
    ring = Keyring(*NAMES)
    access = Access({"orders": ("shelf.*",)}, {})
    app = tool_app(shelf.server(), Settings(), ring.identity("shelf", open_to_strangers=False), access)
    async with serving(app) as url, FaultProxy(url).running() as proxy:
        proxy.shows(Fault("hang"))
        urls = [proxy.url, url] if first == "hangs" else [url, proxy.url]
        yield Toolbox(urls, http, ring.identity("orders")), proxy


@ORDERS
async def test_a_tool_of_a_server_that_is_well_is_found_although_another_hangs(
    http: httpx.AsyncClient, make_shelf: Callable[[], Any], first: str
) -> None:
    async with two(http, make_shelf(), first) as (box, _):
        assert await box.session(by=Deadline.after(5)).call("stock") == {"pieces": 7}


async def test_who_waits_for_a_server_that_hangs_holds_up_nobody_who_needs_another(
    http: httpx.AsyncClient, make_shelf: Callable[[], Any]
) -> None:
    async with two(http, make_shelf(), "well") as (box, proxy):
        await box.session(by=Deadline.after(20)).call("stock")
        looking = asyncio.create_task(box.session(by=Deadline.after(60)).call("elsewhere"))
        while not proxy.exchanges:
            await asyncio.wait({looking}, timeout=0.01)
        assert await box.session(by=Deadline.after(5)).call("stock") == {"pieces": 7}
        assert not looking.done()
        looking.cancel()
        await asyncio.wait({looking})


async def test_who_waits_for_another_to_learn_waits_no_longer_than_its_own_time(
    http: httpx.AsyncClient, make_shelf: Callable[[], Any]
) -> None:
    async with two(http, make_shelf(), "hangs") as (box, proxy):
        looking = asyncio.create_task(box.session(by=Deadline.after(60)).call("elsewhere"))
        while not proxy.exchanges:
            await asyncio.wait({looking}, timeout=0.01)
        with pytest.raises(PeerTimedOut):
            await box.session(by=Deadline.after(0.3)).call("elsewhere")
        assert not looking.done()
        looking.cancel()
        await asyncio.wait({looking})


async def test_a_tool_that_nobody_offers_is_told_apart_from_one_whose_server_does_not_answer(
    http: httpx.AsyncClient, make_shelf: Callable[[], Any]
) -> None:
    async with two(http, make_shelf(), "hangs") as (box, proxy):
        with pytest.raises(PeerTimedOut):
            await box.session(by=Deadline.after(0.5)).call("elsewhere")
        proxy.shows(WELL)
        with pytest.raises(NotFound):
            await box.session(by=Deadline.after(20)).call("elsewhere")


async def test_many_who_come_at_once_ask_a_server_once_what_it_offers(
    http: httpx.AsyncClient, make_shelf: Callable[[], Any]
) -> None:
    async with two(http, make_shelf(), "hangs") as (box, proxy):
        proxy.shows(WELL)

        async def look() -> object:
            try:
                return await box.session(by=Deadline.after(20)).call("elsewhere")
            except MeshError as error:
                return type(error)

        assert set(await asyncio.gather(*(look() for _ in range(20)))) == {NotFound}
        assert proxy.exchanges == 2  # its name, and its tools
