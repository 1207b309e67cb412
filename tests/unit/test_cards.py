"""A card says what, a setting says where; a card that cannot be routed by, or points elsewhere, is not used."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import agent_cards
from meshwright.card import (
    MAX_BYTES,
    CardError,
    check_addresses,
    load_card,
    offered,
    parse_card,
    read_card,
    stamped,
    to_json,
)
from meshwright.deadline import Deadline
from meshwright.errors import NoPeer, PeerCold, PeerUnreachable
from meshwright.inbound.cardroute import PATH, card_routes
from meshwright.outbound.directory import Directory
from meshwright.settings import SettingsError
from meshwright.testing import InProcess, Keyring

GOOD: dict[str, Any] = json.loads(agent_cards.path("orders").read_text())


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


@pytest.mark.parametrize("name", agent_cards.names())
def test_every_shipped_card_loads_and_names_no_address(name: str) -> None:
    assert agent_cards.load(name).skills


@pytest.mark.parametrize(
    ("card", "why"),
    [
        ([], "JSON object"),
        (changed(name=" "), "needs a name"),
        (changed(description=""), "needs a description"),
        (changed(skills=[]), "no skill"),
        (changed(skills=[GOOD["skills"][0]] * 2), "same id"),
        (changed(skills=[{"id": "x"}]), "'x' needs"),
        (changed(version=7), "not an A2A 1.0 agent card"),
    ],
)
def test_a_card_that_cannot_be_routed_by_says_why(card: Any, why: str) -> None:
    with pytest.raises(CardError, match=why):
        parse_card(card)


def test_a_card_file_with_an_address_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(to_json(stamped(parse_card(GOOD), "http://here"))))
    with pytest.raises(CardError, match="addresses are settings"):
        load_card(file)
    with pytest.raises(CardError, match="meshwright new agent"):
        load_card(tmp_path / "nothing.json")


def test_a_card_that_points_to_another_host_is_not_used() -> None:
    card = stamped(parse_card(GOOD), "http://evil.example")
    with pytest.raises(CardError, match="points to"):
        check_addresses(card, "http://orders")


def listing(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"protocolBinding": binding, "protocolVersion": version} for binding, version in pairs]


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([("JSONRPC", "1.0"), ("GRPC", "0.3")], "'GRPC' '0.3' is not served"),
        ([("JSONRPC", "1.0"), ("CARRIER-PIGEON", "1.0")], "PIGEON' '1.0' is not served"),
        ([("JSONRPC", "")], "is not served"),
        ([("GRPC", "1.0"), ("JSONRPC", "0.3")], "must list JSONRPC or HTTP"),
    ],
)
def test_a_card_file_that_lists_what_is_not_served_is_refused(
    tmp_path: Path, pairs: list[tuple[str, str]], why: str
) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(changed(supportedInterfaces=listing(*pairs))))
    with pytest.raises(CardError, match=why):
        load_card(file)


def addresses(card: Any) -> list[tuple[str, str, str]]:
    return [(i.protocol_binding, i.protocol_version, i.url) for i in card.supported_interfaces]


@pytest.mark.parametrize("base", ["http://here:8402/agents/x", "http://here:8402/agents/x/"])
def test_a_card_is_stamped_with_what_its_file_lists(base: str) -> None:
    card = parse_card(
        changed(supportedInterfaces=listing(("HTTP+JSON", "1.0"), ("GRPC", "1.0"), ("JSONRPC", "0.3")))
    )
    http = [
        ("HTTP+JSON", "1.0", "http://here:8402/agents/x/rest"),
        ("JSONRPC", "0.3", "http://here:8402/agents/x/"),
    ]
    assert addresses(stamped(offered(card, 0), base)) == http
    grpc = ("GRPC", "1.0", "here:50051")
    assert addresses(stamped(offered(card, 50051), base)) == [http[0], grpc, http[1]]


def test_a_card_whose_file_lists_nothing_is_served_by_every_binding_of_one_zero() -> None:
    card = offered(parse_card(GOOD), 50051)
    assert addresses(stamped(card, "http://[::1]:80")) == [
        ("JSONRPC", "1.0", "http://[::1]:80/"),
        ("HTTP+JSON", "1.0", "http://[::1]:80/rest"),
        ("GRPC", "1.0", "[::1]:50051"),
    ]


def test_a_port_for_grpc_that_the_card_has_no_use_for_is_an_error() -> None:
    card = parse_card(changed(supportedInterfaces=listing(("JSONRPC", "1.0"))))
    with pytest.raises(SettingsError, match=r"MESHWRIGHT_GRPC_PORT.*Orders"):
        offered(card, 50051)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("orders:50051", True),
        ("ORDERS:50051", True),
        ("http://orders:50051", True),
        ("evil.example:50051", False),
        ("orders@evil.example:50051", False),
        ("[orders", False),
        ("", False),
    ],
)
def test_the_grpc_of_a_card_is_on_the_host_it_came_from(url: str, good: bool) -> None:
    card = stamped(parse_card(GOOD), "http://orders:8402")
    card.supported_interfaces.add(protocol_binding="GRPC", protocol_version="1.0", url=url)
    if good:
        check_addresses(card, "http://orders:8402")
    else:
        with pytest.raises(CardError, match="points to"):
            check_addresses(card, "http://orders:8402")


@pytest.mark.parametrize("url", ["http://orders:99999/", "http://[orders/"])
def test_an_address_that_is_none_is_no_reason_to_fall_over(url: str) -> None:
    card = stamped(parse_card(GOOD), "http://orders:8402")
    card.supported_interfaces[0].url = url
    with pytest.raises(CardError, match="points to"):
        check_addresses(card, "http://orders:8402")


async def test_a_card_says_since_when_it_is_so() -> None:
    app = Starlette(routes=card_routes(parse_card(GOOD), None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders") as client:
        first = await client.get(PATH)
        again = await client.get(PATH, headers={"if-none-match": first.headers["etag"]})
    assert first.headers["last-modified"].endswith("GMT")
    assert (again.status_code, again.headers["last-modified"]) == (304, first.headers["last-modified"])


def test_unknown_fields_of_newer_cards_are_ignored() -> None:
    assert parse_card(changed(fieldOfTomorrow={"a": 1})).name == "Orders"


@pytest.mark.parametrize(
    ("public", "headers", "base"),
    [
        (None, {}, "http://orders:8402"),
        (None, {"x-forwarded-proto": "https", "x-forwarded-host": "a.example, b"}, "https://a.example"),
        (
            None,
            {"x-forwarded-host": "a.example", "x-forwarded-prefix": "/agents/orders/"},
            "http://a.example/agents/orders",
        ),
        ("https://real.example/x", {"x-forwarded-host": "evil.example"}, "https://real.example/x"),
    ],
)
async def test_a_card_names_the_address_under_which_it_was_asked_for(
    public: str | None, headers: dict[str, str], base: str
) -> None:
    app = Starlette(routes=card_routes(parse_card(GOOD), public))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders:8402") as client:
        answer = await client.get(PATH, headers=headers)
    assert [i["url"] for i in answer.json()["supportedInterfaces"]] == [base + "/", base + "/rest"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        *(("host", value) for value in ("[", "[::1", "a b", "a:99999")),
        *(("x-forwarded-host", "["), ("x-forwarded-proto", "x:y"), ("x-forwarded-prefix", "/?q")),
    ],
)
async def test_whoever_asks_for_a_card_at_what_is_no_address_is_told_so(header: str, value: str) -> None:
    app = Starlette(routes=card_routes(parse_card(GOOD), None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders:8402") as client:
        answer = await client.get(PATH, headers={header: value})
    assert (answer.status_code, answer.text) == (
        400,
        "Host and X-Forwarded-* of this request make no address",
    )


class Shelf:
    """A server of one card that can change, and counts how often it was sent whole."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.sent = 0

    async def card(self, request: Any) -> Response:
        if request.headers.get("if-none-match") == '"1"':
            return Response(status_code=304)
        self.sent += 1
        if isinstance(self.document, bytes):
            return StreamingResponse(itertools.repeat(self.document))
        return JSONResponse(self.document, headers={"etag": '"1"'})


def directory_of(**documents: Any) -> tuple[Directory, InProcess, dict[str, Shelf]]:
    shelves = {name: Shelf(document) for name, document in documents.items()}
    apps = {f"http://{n}": Starlette(routes=[Route(PATH, s.card)]) for n, s in shelves.items()}
    mesh = InProcess(apps)
    urls = [f"http://{name}" for name in documents]
    return Directory(urls, mesh.client(), Keyring("me").identity("me")), mesh, shelves


def at(host: str, **fields: Any) -> dict[str, Any]:
    return to_json(stamped(parse_card(changed(**fields)), f"http://{host}"))


async def test_a_card_is_fetched_once_and_then_only_asked_about() -> None:
    directory, _, shelves = directory_of(a=at("a"))
    for _ in range(3):
        await directory.refresh()
    assert shelves["a"].sent == 1
    assert [peer.name for peer in directory.candidates("order-cancel")] == ["Orders"]


async def test_a_bad_card_is_listed_with_its_reason_and_never_asked() -> None:
    directory, _, _ = directory_of(a=at("evil"), b=[1], c=at("c", name="Good"))
    await directory.refresh()
    assert [e.status for e in directory.entries] == ["invalid", "invalid", "ready"]
    assert "points to" in directory.entries[0].why
    assert [peer.name for peer in directory.candidates("order-cancel")] == ["Good"]


async def test_a_card_that_does_not_end_is_read_no_further_than_any_card_is_long() -> None:
    directory, _, _ = directory_of(a=b"[" * 4096, b=at("b", name="Good"))
    async with asyncio.timeout(20):
        await directory.refresh()
    assert [e.status for e in directory.entries] == ["invalid", "ready"]
    assert directory.entries[0].why == f"the card is larger than {MAX_BYTES} bytes"


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"a":' * 40_000, b"9" * 10_000, b'{"name": "\\ud800"}', b""]
)
def test_what_comes_in_the_place_of_a_card_is_none(body: bytes) -> None:
    with pytest.raises(CardError, match="not JSON"):
        read_card(body, "http://a")


def test_a_card_may_begin_with_a_byte_order_mark() -> None:
    assert read_card(b"\xef\xbb\xbf" + json.dumps(at("a")).encode(), "http://a").name == GOOD["name"]


async def test_a_lost_peer_is_stale_and_asked_last() -> None:
    directory, mesh, _ = directory_of(a=at("a", name="First"), b=at("b", name="Second"))
    await directory.refresh()
    mesh.down.add("http://a")
    await directory.refresh()
    assert [peer.name for peer in directory.candidates("order-cancel")] == ["Second", "First"]


async def test_a_skill_that_nobody_offers_is_an_error_that_lists_what_is_offered() -> None:
    directory, _, _ = directory_of(a=at("a"))
    await directory.refresh()
    with pytest.raises(NoPeer, match=r"'fly'.*order-cancel"):
        directory.candidates("fly")


async def test_a_server_that_is_not_ours_gets_no_token() -> None:
    directory, mesh, _ = directory_of(a=at("a"))
    await directory.refresh()
    assert directory.entries[0].audience == ""
    assert not any("authorization" in request.headers for request in mesh.seen)


class Own(Shelf):
    """A server of this mesh: it says its name, and whether it still starts."""

    def __init__(self, document: Any) -> None:
        super().__init__(document)
        self.waiting_for = {"start": "starting"}
        self.draining = False

    async def livez(self, request: Any) -> Response:
        return JSONResponse({"alive": True, "name": "own"})

    async def readyz(self, request: Any) -> Response:
        body = {"ready": not self.waiting_for, "waiting_for": self.waiting_for, "draining": self.draining}
        return JSONResponse(body, 503 if self.waiting_for or self.draining else 200)

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route(PATH, self.card), Route("/livez", self.livez), Route("/readyz", self.readyz)]
        )


async def test_a_peer_that_serves_its_card_and_still_starts_is_cold_until_it_is_ready() -> None:
    directory, mesh, _ = directory_of(a=at("a", name="First"), b=at("b", name="Second"))
    own = Own(at("a", name="First"))
    mesh.apps["http://a"] = own.app()
    await directory.refresh()
    entry = directory.entries[0]
    assert (entry.status, entry.why, entry.name) == ("cold", "still starting: start", "First")
    assert [peer.name for peer in directory.candidates("order-cancel")] == ["Second", "First"]
    [(name, standing)] = directory.passed_over("order-cancel")
    assert (name, type(standing)) == ("First", PeerCold)
    peer = directory.peer(entry)
    with pytest.raises(PeerCold, match="First: still starting: start"):
        await directory.require_warm(peer, Deadline.after(0))
    waiting = asyncio.ensure_future(directory.require_warm(peer, Deadline.after(20)))
    while len(mesh.seen) < 12:
        await asyncio.sleep(0)
    assert not waiting.done()
    own.waiting_for = {}
    await waiting
    assert entry.status == "ready"
    assert directory.passed_over("order-cancel") == []


async def test_a_lost_peer_that_would_come_first_is_named_with_its_error() -> None:
    directory, mesh, _ = directory_of(a=at("a", name="First"), b=at("b", name="Second"))
    await directory.refresh()
    mesh.down.add("http://a")
    await directory.refresh()
    [(name, standing)] = directory.passed_over("order-cancel")
    assert (name, type(standing)) == ("First", PeerUnreachable)


async def test_one_that_dies_while_it_starts_is_not_waited_for() -> None:
    directory, mesh, _ = directory_of(a=at("a"))
    mesh.apps["http://a"] = Own(at("a")).app()
    await directory.refresh()
    mesh.down.add("http://a")
    await directory.require_warm(directory.peer(directory.entries[0]), Deadline.after(20))
    assert directory.entries[0].status == "stale"


async def test_one_that_leaves_is_not_cold() -> None:
    directory, mesh, _ = directory_of(a=at("a"))
    own = Own(at("a"))
    own.waiting_for, own.draining = {}, True
    mesh.apps["http://a"] = own.app()
    await directory.refresh()
    assert directory.entries[0].status == "ready"


async def test_a_server_that_is_not_ours_is_never_asked_whether_it_is_ready() -> None:
    directory, mesh, _ = directory_of(a=at("a"))
    await directory.refresh()
    peer = directory.peer(directory.entries[0])
    assert not await directory.is_cold(peer, Deadline.after(20))
    await directory.require_warm(peer, Deadline.after(0))
    assert not any(request.url.path == "/readyz" for request in mesh.seen)
