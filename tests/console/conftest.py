"""The console before a real orchestrator, in one process, and a browser that is only a client with a cookie jar."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.types import Message, Part

from console.app import console_app
from meshwright.database import open_database
from meshwright.findings import Proposal, Verdict
from meshwright.passwords import hashed
from meshwright.records.runs import RunStore
from meshwright.reviews.store import ReviewStore
from meshwright.settings import Settings
from meshwright.tasks.accept import Ask, Desk, accept
from meshwright.testing import InProcess, Keyring
from orchestrator.server import orchestrator_app

PEOPLE = ("operator", "ann", "bob")
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

    reviews: ReviewStore
    ring: Keyring
    mesh: InProcess
    home: Path
    put: Callable[..., Any]
    stack: AsyncExitStack
    users: Path = field(default_factory=Path)

    async def visitor(self, at: str = "localhost", **settings: Any) -> Visitor:
        """A new browser before a console with these settings."""
        values = {"peers": "http://orchestrator", "home": self.home, **settings}
        app = console_app(Settings.model_validate(values), self.mesh.client(), self.ring.identity("console"))
        client = httpx.AsyncClient(transport=InProcess({f"http://{at}": app}), base_url=f"http://{at}")
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
    url = f"sqlite:///{tmp_path}/house.db"
    ring = Keyring(
        "orchestrator", "orders", "customer", "console", operators=PEOPLE, speakers={"console": PEOPLE}
    )
    mesh = InProcess({})
    settings = Settings(home=tmp_path, database=url, refresh=3600)
    mesh.apps["http://orchestrator"] = orchestrator_app(
        settings, ring.identity("orchestrator"), mesh.client()
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(mesh.running())
        database = await open_database(url)
        stack.push_async_callback(database.close)
        store = ReviewStore(database, "orchestrator")

        async def put(key: str, *, client: str = "customer", by: str = "orders", needed: int = 1) -> str:
            """Put a proposal before people; its hash."""
            ask = Ask("", client, Message(message_id=key, parts=[Part(text="paint it")]), {}, 10)
            taken = await database.write(lambda tx: accept(tx, Desk("orchestrator", "test", 3600), ask))
            assert taken.claim is not None
            run, words = f"run-{key}", "<script>alert(1)</script>"
            await RunStore(database).start(
                run, task_id=taken.task_id, caller=client, request=words, graph_version="1"
            )
            proposal = Proposal(action="paint", arguments={"thing": "t1"}, proposed_by=by, why=words)
            verdict = Verdict(decision="review", policy="large", why=words, risk="medium", approvals=needed)
            await store.open(key, run, proposal, verdict, taken.claim)
            return str((await store.one(key))["hash"])

        async with mesh.client() as http:
            me = ring.identity("operator").authorization("orchestrator")
            while (await http.get("http://orchestrator/reviews", headers=me)).status_code != 200:
                pass
        yield House(store, ring, mesh, tmp_path, put, stack, users)
