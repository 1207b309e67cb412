"""The four tool servers over MCP, with real tokens and the shipped access rules; only sockets are missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from customers.server import build as customers
from desk.server import build as desk
from handbook.server import build as handbook
from meshwright.deadline import Deadline
from meshwright.errors import MeshError, ToolRefused
from meshwright.grants.grant import Grant
from meshwright.inbound.toolapp import tool_app
from meshwright.outbound.toolbox import Session, Toolbox
from meshwright.settings import Settings
from meshwright.testing import InProcess, Keyring
from meshwright.toolserver import Access
from orderbook.server import build as orderbook
from shop.database import Shop, ShopError
from shop.effects import journal
from shop.testing import BLUE, CARD, RED, address, small_shop

BUILDERS = {"orderbook": orderbook, "customers": customers, "handbook": handbook, "desk": desk}
ACCESS = Path(__file__).parents[2] / "policies" / "access.toml"
AGENTS = ("triage", "orders", "returns", "accounts", "advisor", "standby", "orchestrator")
SWAP = {"order_id": "#W1", "item_ids": [BLUE], "new_item_ids": [RED], "payment_method_id": CARD}


class Servers:
    """The running servers, as one of the agents sees them."""

    def __init__(self, shop: Shop, keys: Keyring, mesh: InProcess) -> None:
        self.shop = shop
        self._keys = keys
        self._mesh = mesh

    def as_seen_by(self, name: str) -> Session:
        urls = [f"http://{server}" for server in BUILDERS]
        toolbox = Toolbox(urls, self._mesh.client(), self._keys.identity(name))
        return toolbox.session(by=Deadline.after(20), ticket="ticket-1")

    async def apply(self, tool: str, key: str, **arguments: Any) -> dict[str, Any]:
        return await self.apply_as("orchestrator", tool, key, **arguments)

    async def apply_as(self, name: str, tool: str, key: str, **arguments: Any) -> dict[str, Any]:
        grant = Grant.of(tool, arguments, key=key, ticket="ticket-1", policy="test")
        return await self.as_seen_by(name).apply(grant, arguments)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Servers]:
    shop = small_shop(tmp_path)
    settings = Settings(shop=tmp_path / "shop.db")
    keys = Keyring(*AGENTS, *BUILDERS)
    access = Access.load(ACCESS)
    apps = {
        f"http://{name}": tool_app(
            build(settings), settings, keys.identity(name, open_to_strangers=False), access
        )
        for name, build in BUILDERS.items()
    }
    mesh = InProcess(apps)
    try:
        async with mesh.running():
            yield Servers(shop, keys, mesh)
    finally:
        shop.close()


async def test_what_an_agent_reads_is_what_the_shop_holds(tmp_path: Path) -> None:
    async with running(tmp_path) as servers:
        tools = servers.as_seen_by("standby")
        who = await tools.call("find_customer", name="ada novak", zip="97201")
        profile = await tools.call("get_profile", customer_id=who["customer_id"])
        orders = await tools.call("list_orders", customer_id="ada")
        order = await tools.call("get_order", order_id="#W2")
        by_item = await tools.call("get_product", item_id=BLUE)
        by_id = await tools.call("get_product", product_id="mug")
        found = await tools.call("find_products", words="two mugs")
        passages = await tools.call("search_handbook", query="cancel an order")
        article = await tools.call("get_article", article=passages["passages"][0]["article"])
    assert who["verified"]
    assert profile["orders"] == [each["order_id"] for each in orders["orders"]]
    assert orders["orders"][1] == order
    assert by_item == by_id == found["products"][0]
    assert article["title"] == "Cancel pending order"


async def test_every_write_works_over_the_wire_and_is_journaled_under_its_ticket(tmp_path: Path) -> None:
    home = address("9 Elm Way")
    refund = {"order_id": "#W2", "amount_cents": 100, "payment_method_id": CARD, "reason": "late"}
    writes: list[tuple[str, dict[str, Any]]] = [
        ("change_address", {"order_id": "#W5", **home}),
        ("change_profile_address", {"customer_id": "ada", **home}),
        ("change_payment", {"order_id": "#W1", "payment_method_id": "paypal_1"}),
        ("change_items", SWAP),
        ("cancel_order", {"order_id": "#W6", "reason": "ordered by mistake"}),
        ("refund", refund),
        ("return_items", {"order_id": "#W2", "item_ids": [BLUE, BLUE], "payment_method_id": CARD}),
        ("reply", {"ticket_id": "t1", "text": "Done."}),
        ("escalate", {"ticket_id": "t1", "reason": "angry", "summary": "wants more"}),
        ("close", {"ticket_id": "t1", "outcome": "solved"}),
    ]
    async with running(tmp_path) as servers:
        for number, (tool, arguments) in enumerate(writes):
            receipt = await servers.apply(tool, f"key-{number}", **arguments)
            assert (receipt["action"], receipt["replayed"]) == (tool, False)
            assert (await servers.apply(tool, f"key-{number}", **arguments))["replayed"]
        effects = await servers.shop.read(journal)
    assert [(e.tool, e.arguments) for e in effects] == writes
    assert {(e.ticket, e.caller) for e in effects} == {("ticket-1", "orchestrator")}


async def test_an_exchange_is_requested_over_the_wire(tmp_path: Path) -> None:
    async with running(tmp_path) as servers:
        receipt = await servers.apply("exchange_items", "key-1", **{**SWAP, "order_id": "#W2"})
    assert (receipt["state"], receipt["amount_cents"]) == ("exchange requested", 500)


async def test_a_rule_says_no_in_words(tmp_path: Path) -> None:
    async with running(tmp_path) as servers:
        with pytest.raises(ToolRefused, match="order #W3 cannot be cancelled: it is processed"):
            await servers.apply("cancel_order", "key-1", order_id="#W3", reason="no longer needed")
        with pytest.raises(ToolRefused, match="there is no order W1: ids look like"):
            await servers.as_seen_by("orders").call("get_order", order_id="W1")


async def test_a_preview_is_open_to_the_gate(tmp_path: Path) -> None:
    async with running(tmp_path) as servers:
        answer = await servers.as_seen_by("orchestrator").call(
            "preview", action="change_items", arguments=SWAP
        )
    assert (answer["allowed"], answer["amount_cents"]) == (True, 500)


@pytest.mark.parametrize(
    ("agent", "tool", "arguments"),
    [
        ("triage", "find_customer", {"email": "x"}),
        ("advisor", "get_profile", {"customer_id": "ada"}),
        ("advisor", "list_orders", {"customer_id": "ada"}),
        ("orders", "find_customer", {"email": "x"}),
        ("orders", "get_ticket", {"ticket_id": "t1"}),
        ("accounts", "get_order", {"order_id": "#W1"}),
        ("orchestrator", "search_handbook", {"query": "x"}),
    ],
)
async def test_an_agent_reads_only_what_it_is_for(
    tmp_path: Path, agent: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with running(tmp_path) as servers:
        with pytest.raises(MeshError, match="may not read"):
            await servers.as_seen_by(agent).call(tool, **arguments)


async def test_nobody_but_the_apply_step_writes(tmp_path: Path) -> None:
    async with running(tmp_path) as servers:
        for agent in AGENTS[:-1]:
            with pytest.raises(MeshError):
                await servers.apply_as(
                    agent, "cancel_order", "key", order_id="#W1", reason="no longer needed"
                )
        assert await servers.shop.read(journal) == []


async def test_a_ticket_tells_its_history(tmp_path: Path) -> None:
    async with running(tmp_path) as servers:
        tools = servers.as_seen_by("orchestrator")
        with pytest.raises(ToolRefused, match="nothing on ticket t1"):
            await tools.call("get_ticket", ticket_id="t1")
        await servers.apply("reply", "key-1", ticket_id="t1", text="We look into it.")
        await servers.apply("escalate", "key-2", ticket_id="t1", reason="unclear", summary="which order?")
        await servers.apply("reply", "key-3", ticket_id="t1", text="Someone will write.")
        ticket = await tools.call("get_ticket", ticket_id="t1")
        assert ticket["state"] == "escalated"
        assert [note["kind"] for note in ticket["notes"]] == ["reply", "escalation", "reply"]
        await servers.apply("close", "key-4", ticket_id="t1", outcome="solved")
        with pytest.raises(ToolRefused, match="closed already"):
            await servers.apply("close", "key-5", ticket_id="t1", outcome="again")


@pytest.mark.parametrize("name", BUILDERS)
def test_a_server_without_a_shop_does_not_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(ShopError, match="no shop at"):
        BUILDERS[name](Settings(home=tmp_path))
