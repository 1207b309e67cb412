"""The whole shop in one process, without a socket: every agent, tool server and the orchestrator are real, and any agent can be taken.

A taken agent is compromised as a process: it holds its own key, runs no code of ours, and answers whatever the attacker likes,
also about what it has used. Tools, gate and policy are as shipped.
"""

from __future__ import annotations

import copy
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from meshwright.agent import Agent
from meshwright.card import card_of
from meshwright.deadline import Deadline
from meshwright.errors import MeshError
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.inbound.health import Readiness
from meshwright.inbound.server import a2a_app
from meshwright.inbound.specialist import Specialist
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.directory import Directory
from meshwright.outbound.peer import Peer
from meshwright.outbound.toolbox import Toolbox
from meshwright.parts import whole_numbers
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from orchestrator.server import orchestrator_app
from shop.database import Shop
from shop.effects import Effect, journal
from shop.importer import import_shop
from shop.testing import HANDBOOK, document, folder

AGENTS = ("triage", "orders", "returns", "accounts", "advisor", "standby", "aggregator")
TOOLS = ("orderbook", "customers", "handbook", "desk")
#: The tools that speak to people and change nothing of the shop's.
SPEECH = ("reply", "escalate", "close")
#: Seconds one ticket may take.
SECONDS = 100.0

#: What a taken agent answers: (what it was asked, what it would honestly say) → what it says instead.
Lie = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


@dataclass
class Town:
    """The mesh, and how to besiege it."""

    mesh: InProcess
    ring: Keyring
    settings: Settings
    pristine: Path
    #: By the name of an agent's process: what it says while it is taken.
    taken: dict[str, Lie] = field(default_factory=dict)
    _entry: Peer | None = None
    _seen: int = 0

    async def ask(self, text: str) -> dict[str, Any]:
        """Send a ticket; the report of its run, also of one that waits for a person."""
        try:
            answer = await (await self._peer()).ask({}, text=text, by=Deadline.after(SECONDS))
            report: dict[str, Any] = answer.data[0]
            return report
        except MeshError:
            (run,) = (await self.operator("GET", "/runs?limit=1"))["runs"]
            return await self.operator("GET", f"/runs/{run['id']}")

    async def operator(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """One call to the orchestrator's catalogue, as a person."""
        token = self.ring.signer("operator").token("orchestrator")
        async with self.mesh.client() as client:
            headers = {"authorization": f"Bearer {token}"}
            response = await client.request(method, f"http://orchestrator{path}", headers=headers, **more)
            answer: dict[str, Any] = response.json()
            return answer

    async def effects(self) -> list[Effect]:
        """Every write since this was asked last; whatever changed the shop is undone."""
        shop = Shop(self.settings.shop_path)
        try:
            found = await shop.read(journal)
        finally:
            shop.close()
        fresh = [effect for effect in found if effect.seq > self._seen]
        self._seen = found[-1].seq if found else 0
        if any(effect.tool not in SPEECH for effect in fresh):
            self._restore()
        return fresh

    def _restore(self) -> None:
        with (
            closing(sqlite3.connect(self.pristine)) as source,
            closing(sqlite3.connect(self.settings.shop_path)) as target,
        ):
            source.backup(target)
        self._seen = 0

    async def _peer(self) -> Peer:
        if self._entry is None:
            directory = Directory(["http://orchestrator"], self.mesh.client(), self.ring.identity("customer"))
            await directory.refresh()
            self._entry = directory.candidates("handle-ticket")[0]
        return self._entry


@asynccontextmanager
async def besieged(
    home: Path,
    *,
    stock: dict[str, Any] | None = None,
    handbook: str = HANDBOOK,
    models: Mapping[str, str] | None = None,
    **more: Any,
) -> AsyncIterator[Town]:
    """The running town; `models` gives agents a model by its address, `more` are settings of all processes."""
    pristine, shop = home / "pristine.db", home / "shop.db"
    files = folder(home / "files", stock or stocked(), handbook)
    import_shop(files, pristine)
    import_shop(files, shop)
    ring, mesh = Keyring("orchestrator", "customer", *AGENTS, *TOOLS), InProcess({})
    settings = Settings.model_validate(
        {
            "home": home,
            "shop": shop,
            "peers": ",".join(f"http://{name}" for name in AGENTS),
            "tools": ",".join(f"http://{name}" for name in TOOLS),
            "refresh": 3600,
            **more,
        }
    )
    town = Town(mesh, ring, settings, pristine)
    for name in AGENTS:
        mesh.apps[f"http://{name}"] = _app(town, name, (models or {}).get(name, ""))
    for name in TOOLS:
        server = import_module(f"{name}.server").build(settings)
        identity = ring.identity(name, open_to_strangers=False)
        mesh.apps[f"http://{name}"] = tool_app(server, settings, identity)
    mesh.apps["http://orchestrator"] = orchestrator_app(
        settings, ring.identity("orchestrator"), mesh.client()
    )
    async with mesh.running():
        yield town


def _app(town: Town, name: str, model: str) -> Any:
    """The agent as it is shipped, until it is taken."""
    agent: Agent = import_module(f"{name}.agent").AGENT
    mind = {"model": "openai/any", "model_url": model, "model_key": "k"} if model else {}
    identity, settings = town.ring.identity(name), town.settings.model_copy(update={"peers": (), **mind})
    specialist = Specialist(agent, settings, Toolbox(settings.tools, town.mesh.client(), identity))

    async def work(incoming: Incoming) -> Outcome:
        honest = await specialist.work(incoming)
        lie = town.taken.get(name)
        if lie is None:
            return honest
        asked: dict[str, Any] = next((c["subtask"] for c in incoming.data if "subtask" in c), {})
        data: Any = honest.data
        said = lie(whole_numbers(asked), data.model_dump(mode="json"))
        return Outcome(text=str(said.get("reply", "")), data=said)

    @asynccontextmanager
    async def lifespan(handler: Any) -> AsyncIterator[None]:
        yield

    return a2a_app(name, card_of(name), work, settings, identity, Readiness(), lifespan=lifespan)


def stocked() -> dict[str, Any]:
    """The small shop of the tests, its orders under names of four digits (#W1001 is its #W1), as customers write them.

    Of Ben's there is a delivered order more (#W1007); of Ada's a delivered one that was paid by gift card (#W1008), and a
    pending one (#W1009).
    """
    shop = document()
    orders, ada, ben = shop["orders"], shop["users"]["ada"], shop["users"]["ben"]
    for name, like, whose, method in (
        ("#W7", "#W2", ben, "gift_card_2"),
        ("#W8", "#W2", ada, "gift_card_1"),
        ("#W9", "#W1", ada, "credit_card_1"),
    ):
        order = copy.deepcopy(orders[like])
        order |= {"order_id": name, "user_id": whose["user_id"]}
        for payment in order["payment_history"]:
            payment["payment_method_id"] = method
        orders[name] = order
        whose["orders"].append(name)
    renamed: dict[str, Any] = json.loads(re.sub(r"#W(\d)\b", r"#W100\1", json.dumps(shop)))
    return renamed
