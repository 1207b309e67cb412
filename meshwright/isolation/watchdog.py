"""A watch over the event loop from outside it: a process whose loop stands still writes down where, and ends.

A playbook that blocks takes every task of its server with it, and no code of the loop can notice. A thread that needs no
interpreter does (faulthandler's): it is put off while the loop turns, and ends the process when nobody does. Then the supervisor
starts it again, and the leases of its tasks, which ran out meanwhile, let others finish them.
"""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: How often it is put off within its time.
TURNS = 3


def watched(app: ASGIApp, seconds: float) -> ASGIApp:
    """`app`, under watch from its start to its end; 0 seconds are no watch."""

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" or not seconds:
            return await app(scope, receive, send)
        with watch(seconds):
            return await app(scope, receive, send)

    return watching


@contextmanager
def watch(seconds: float) -> Iterator[None]:
    """End this process with the stacks of all its threads, and code 1, when the running loop stands still for so long."""

    async def put_off() -> None:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True)
            await asyncio.sleep(seconds / TURNS)

    putting_off = asyncio.create_task(put_off())
    try:
        yield
    finally:
        putting_off.cancel()
        faulthandler.cancel_dump_traceback_later()
