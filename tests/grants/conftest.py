"""Two tool servers of a small shop, with everything real but sockets, and callers that may say whatever they like."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from desk.server import build as desk
from meshwright.grants.grant import KIND, digest
from meshwright.inbound.toolapp import tool_app
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access
from orderbook.server import build as orderbook
from shop.database import Shop
from shop.effects import Effect, journal
from shop.testing import small_shop

NAMES = ("orchestrator", "orders", "clerk", "console", "orderbook", "desk")
#: The clerk is another process with a gate: its grants are good for the desk, and for nothing else.
ACCESS = Access({"orders": ("orderbook.*",)}, {"orchestrator": ("*",), "clerk": ("desk.*",)})
PROTOCOL = "2026-07-28"

CANCEL = {"order_id": "#W1", "reason": "no longer needed"}


@dataclass
class Counter:
    """The servers, as somebody sees them who writes requests by hand."""

    shop: Shop
    mesh: InProcess
    ring: Keyring

    def claims(self, tool: str = "cancel_order", arguments: Any = None, **changes: Any) -> dict[str, Any]:
        """Those of a grant as the orchestrator makes it, and then changed; None takes a claim away."""
        now = int(time.time())
        whole = {
            "jti": "a-grant-of-the-test",
            "tool": tool,
            "args": digest(arguments or CANCEL),
            "key": "key-1",
            "ticket": "ticket-1",
            "verdict": {"decision": "apply", "policy": "test"},
            "approvers": ["ann"],
            "iss": "orchestrator",
            "aud": "orderbook",
            "iat": now,
            "exp": now + 60,
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    def signed(self, by: str = "orchestrator", kind: str = KIND, **changes: Any) -> str:
        return self.ring.signer(by).signed(kind, self.claims(**changes))

    async def post(
        self,
        grant: Any,
        arguments: dict[str, Any] | None = None,
        *,
        tool: str = "cancel_order",
        key: str = "key-1",
        ticket: str = "ticket-1",
        who: str | None = "orchestrator",
        server: str = "orderbook",
        bearer: str = "",
        scope: str = "",
        body: str = "",
    ) -> httpx.Response:
        """One call of a write tool, as `who`, with this grant."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": PROTOCOL,
            "io.modelcontextprotocol/clientCapabilities": {},
            "meshwright/idempotency-key": key,
            "meshwright/ticket": ticket,
            **({"meshwright/grant": grant} if grant is not None else {}),
        }
        params = {"name": tool, "arguments": CANCEL if arguments is None else arguments, "_meta": meta}
        headers = {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "mcp-protocol-version": PROTOCOL,
            "mcp-method": "tools/call",
            "mcp-name": tool,
        }
        if who is not None:
            headers["authorization"] = "Bearer " + (
                bearer or self.ring.signer(who).token(server, scope=scope)
            )
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        content = body.replace("META", json.dumps(meta)) if body else json.dumps(call)
        async with self.mesh.client() as client:
            return await client.post(f"http://{server}/mcp", headers=headers, content=content)

    async def write(self, grant: Any, arguments: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """What the tool answered: its receipt. Raises Refused."""
        answer = await self.post(grant, arguments, **more)
        if answer.status_code != 200:
            raise Refused(f"{answer.status_code}: {answer.text}")
        result = answer.json().get("result") or {"isError": True, "content": [{"text": answer.text}]}
        if result.get("isError"):
            raise Refused(result["content"][0]["text"])
        receipt: dict[str, Any] = result["structuredContent"]
        return receipt

    async def journal(self) -> list[Effect]:
        return await self.shop.read(journal)

    async def untouched(self) -> bool:
        """Whether nothing was written, not even that a grant was used."""
        used = await self.shop.read(lambda db: db.execute("SELECT * FROM grants_used").fetchall())
        return not used and not await self.journal()


class Refused(Exception):
    """A call was refused, in these words."""


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    ring = Keyring(*NAMES)
    with closing(small_shop(tmp_path)) as shop:
        settings = Settings(shop=tmp_path / "shop.db")
        apps = {
            f"http://{name}": tool_app(
                build(settings), settings, ring.identity(name, open_to_strangers=False), ACCESS
            )
            for name, build in (("orderbook", orderbook), ("desk", desk))
        }
        mesh = InProcess(apps)
        async with mesh.running():
            yield Counter(shop, mesh, ring)


@pytest.fixture
def refused() -> type[Refused]:
    return Refused
