"""A tool server for the wild agent: it answers, refuses, breaks, or takes long.

MESHWRIGHT_PORT=8421 python -m benchmarks.runaway.workshop
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from meshwright import serve_tools
from meshwright.errors import ToolRefused
from meshwright.settings import Settings
from meshwright.toolserver import ToolServer

#: Who may read here.
ACCESS = '[read]\nwild = ["*"]\n'


class Thing(BaseModel):
    name: str


def build(settings: Settings) -> ToolServer:
    server = ToolServer("workshop", version="1")

    @server.read
    async def look_at(thing: str) -> Thing:
        """A thing, by its name."""
        if thing == "gone":
            raise ToolRefused("there is no such thing")
        return Thing(name=thing.upper())

    @server.read
    async def break_down() -> Thing:
        """Never works."""
        raise RuntimeError("it broke")

    @server.read
    async def take_long() -> Thing:
        """Answers after an hour."""
        await asyncio.sleep(3600)
        return Thing(name="late")

    return server


if __name__ == "__main__":
    serve_tools("workshop", "benchmarks.runaway.workshop:build")
