"""The console before a real orchestrator, in one process, and a browser that is only a client with a cookie jar."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from meshwright.passwords import hashed
from meshwright.testing import InProcess
from tests.console.town import Town, town

PASSWORD = "correct horse"
#: The token in a page's head.
_CSRF = re.compile(r'<meta name="csrf" content="([0-9a-f]+)">')


@dataclass
class Visitor:
    """Somebody with a browser that has no JavaScript."""

    http: httpx.AsyncClient
    csrf: str = ""

    async def get(self, path: str, **more: Any) -> httpx.Response:
        response = await self.http.get(path, **more)
        found = _CSRF.search(response.text)
        self.csrf = found[1] if found else self.csrf
        return response

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.http.post(path, data={"csrf": self.csrf, **fields})

    async def login(self, name: str, password: str = PASSWORD) -> httpx.Response:
        await self.get("/login")
        answer = await self.post("/login", name=name, password=password)
        if answer.status_code == 303:
            await self.get("/reviews")
        return answer


@dataclass
class House:
    """The orchestrator with its rows, and consoles before it."""

    town: Town
    stack: AsyncExitStack
    users: Path = field(default_factory=Path)

    async def put(self, key: str, *, client: str = "customer", by: str = "orders", needed: int = 1) -> str:
        """Put a proposal before people, in words that would be a script; its hash."""
        words = "<script>alert(1)</script>"
        said = {"arguments": {"thing": "t1"}, "proposed_by": by, "why": words, "approvals": needed}
        return await self.town.put(key, client=client, request=words, **said)

    async def visitor(self, at: str = "localhost", **settings: Any) -> Visitor:
        """A new browser before a console with these settings."""
        mesh = InProcess({f"http://{at}": self.town.app(**settings)})
        client = httpx.AsyncClient(transport=mesh, base_url=f"http://{at}")
        await self.stack.enter_async_context(client)
        return Visitor(client)

    async def person(self, name: str) -> Visitor:
        """Somebody who is logged in."""
        visitor = await self.visitor(console_users=self.users)
        assert (await visitor.login(name)).status_code == 303
        return visitor


@pytest.fixture(scope="session")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ann and Bob, and Zed, whom the mesh does not know; all with the same password."""
    file = tmp_path_factory.mktemp("users") / "users.toml"
    line = hashed(PASSWORD)
    file.write_text("".join(f'{name} = "{line}"\n' for name in ("ann", "bob", "zed")))
    return file


@pytest.fixture
async def house(tmp_path: Path, users: Path) -> AsyncIterator[House]:
    async with town(tmp_path) as made, AsyncExitStack() as stack:
        yield House(made, stack, users)
