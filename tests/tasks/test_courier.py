"""Notifications: written with what they tell, delivered in order, again after a failure, and never to where they must not go."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from a2a.types import StreamResponse, TaskPushNotificationConfig
from google.protobuf.json_format import ParseDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from meshwright.errors import PeerUnreachable
from meshwright.outbound.webhook import UNRESOLVED, Screen, Webhooks, key_routes, resolved
from meshwright.tasks import pushes
from meshwright.tasks.courier import AT_ONCE, EACH, LONGEST_PAUSE, TRIES, Courier, Parcel, Undeliverable
from meshwright.testing import Keyring
from tests.tasks.conftest import context, request

OPEN = Screen(["127.0.0.1"])


class Receiver:
    """A webhook that answers with what it is told to, and keeps what came."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.came: list[tuple[dict[str, str], Any]] = []
        self.bell = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Receiver]:
        async def hook(request: Request) -> Response:
            self.came.append((dict(request.headers), await request.json()))
            self.bell.set()
            return Response(status_code=self.answers.pop(0) if self.answers else 204, headers=self.headers)

        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        work = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield self
        finally:
            server.should_exit = server.force_exit = True
            await work
            listener.close()

    async def had(self, number: int) -> None:
        while len(self.came) < number:
            self.bell.clear()
            if len(self.came) < number:
                await self.bell.wait()


@asynccontextmanager
async def carrying(replica: Any, screen: Screen = OPEN) -> AsyncIterator[Courier]:
    identity = Keyring("echo").identity("echo")
    webhooks = Webhooks(replica.book, screen, identity)
    courier = Courier(replica.book, {"push": webhooks.deliver})
    courier.start()
    try:
        yield courier
    finally:
        await courier.aclose()
        await webhooks.aclose()


async def asked(replica: Any, url: str, **more: Any) -> Any:
    task = await replica.send("ask")
    config = TaskPushNotificationConfig(task_id=task.id, id="hook", url=url, **more)
    await replica.handler.on_create_task_push_notification_config(config, context())
    return task


async def outbox(replica: Any) -> list[Any]:
    rows = await replica.database.execute("SELECT * FROM outbox ORDER BY id")
    return list(rows)


async def test_who_asks_to_be_told_while_it_runs_is_told_of_what_comes_next(start: Any) -> None:
    one, two = await start(), await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    config = TaskPushNotificationConfig(task_id=task.id, id="hook", url="https://example.com/")
    await two.handler.on_create_task_push_notification_config(config, context())
    one.work.gate.set()
    await one.rest(task.id)
    assert [(row["kind"], row["address"]) for row in await outbox(two)] == [("push", config.url)] * 2


@pytest.mark.parametrize("words", ["done", "ask"])
async def test_who_asks_too_late_is_told_where_the_task_has_come_to(start: Any, words: str) -> None:
    one, two, receiver = await start(), await start(), Receiver()
    task = await one.send(words)
    config = TaskPushNotificationConfig(task_id=task.id, id="hook", url="http://127.0.0.1:9/old")
    await two.handler.on_create_task_push_notification_config(config, context())
    async with receiver.serving():
        config.url = receiver.url
        for _ in range(3):  # the same again, as by a client that lost the answer, is told once
            await two.handler.on_create_task_push_notification_config(config, context())
        assert len(await outbox(one)) == 2
        async with carrying(one):
            await receiver.had(2)  # where it is wanted now; nothing goes to the old address
    bodies = [ParseDict(body, StreamResponse()).task for _, body in receiver.came]
    assert bodies == [task, task]


async def test_who_was_told_of_the_end_is_not_told_again_for_the_same_configuration(start: Any) -> None:
    one = await start()
    task = await asked(one, "http://127.0.0.1:9/hook")
    await one.send("done", task_id=task.id)
    told = len(await outbox(one))
    config = TaskPushNotificationConfig(task_id=task.id, id="hook", url="http://127.0.0.1:9/hook")
    await one.handler.on_create_task_push_notification_config(config, context())
    assert len(await outbox(one)) == told


async def test_who_says_with_the_same_message_once_more_where_word_is_to_go_is_told(start: Any) -> None:
    one, two = await start(), await start()
    asks = request("hold", wait=False, message_id="m1")
    task = await one.handler.on_message_send(asks, context())
    await one.work.began.wait()
    asks.configuration.task_push_notification_config.url = "https://93.184.216.34/hook"
    for replica in (two, one, two):
        assert (await replica.handler.on_message_send(asks, context())).id == task.id
    one.work.gate.set()
    await one.rest(task.id)
    told = [next(iter(json.loads(row["body"]))) for row in await outbox(two)]
    assert told == ["artifactUpdate", "statusUpdate"]


async def test_what_happens_is_told_in_order_with_the_clients_token_and_our_signature(start: Any) -> None:
    one, receiver = await start(), Receiver()
    async with receiver.serving(), carrying(one):
        task = await asked(one, receiver.url, token="secret")
        await one.send("lines 3", task_id=task.id)
        await receiver.had(7)
    told = [next(iter(body)) for _, body in receiver.came]
    assert told == ["task", *["statusUpdate"] * 4, "artifactUpdate", "statusUpdate"]
    headers = receiver.came[0][0]
    assert headers["content-type"] == "application/a2a+json"
    assert headers["x-a2a-notification-token"] == "secret"
    assert headers["x-mesh-signature"].count(".") == 2
    assert len({h["x-mesh-notification"] for h, _ in receiver.came}) == 7
    assert {row["state"] for row in await outbox(one)} <= {"sent", "open"}


async def test_whose_task_came_in_0_3_is_told_of_it_in_its_form(start: Any) -> None:
    """There a notification is the task as it is at that moment, and not what happened to it."""
    one, receiver = await start(), Receiver()
    old = context()
    old.state["headers"] = {"a2a-version": ""}
    async with receiver.serving(), carrying(one):
        task = await one.handler.on_message_send(request("ask"), old)
        config = TaskPushNotificationConfig(task_id=task.id, url=receiver.url)
        await one.handler.on_create_task_push_notification_config(config, old)
        await receiver.had(1)
        await one.send("done", task_id=task.id)
        await receiver.had(4)
    told = [body for _, body in receiver.came]
    assert [(each["kind"], each["id"]) for each in told] == [("task", task.id)] * 4
    states = [each["status"]["state"] for each in told]
    assert states == ["input-required", "working", "working", "completed"]
    assert told[2]["artifacts"][-1]["parts"] == [{"kind": "text", "text": "echo done"}]
    assert {headers["content-type"] for headers, _ in receiver.came} == {"application/json"}


async def test_a_courier_that_breaks_begins_again_and_delivers(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, take = asyncio.Event(), Courier.take

    async def breaks_once(courier: Courier) -> list[Parcel]:
        if broken.is_set():
            return await take(courier)
        broken.set()
        courier._working._pause = 0.0
        raise LookupError("a bug")

    monkeypatch.setattr(Courier, "take", breaks_once)
    one, receiver = await start(), Receiver()
    async with receiver.serving(), carrying(one):
        await asked(one, receiver.url)
        await receiver.had(1)
    assert broken.is_set()


async def test_a_failed_delivery_is_tried_again_and_holds_its_followers_back(start: Any) -> None:
    one, receiver = await start(), Receiver()
    receiver.answers = [500]
    async with receiver.serving(), carrying(one):
        task = await asked(one, receiver.url)
        await one.send("done", task_id=task.id)
        await receiver.had(1)
        while not (rows := [r for r in await outbox(one) if r["why"]]):
            await asyncio.sleep(0)
        assert (rows[0]["state"], rows[0]["attempts"], "500" in rows[0]["why"]) == ("open", 1, True)
        assert len(receiver.came) == 1
        await one.database.execute("UPDATE outbox SET due = 0.0")
        one.book.feed.ring("echo:outbox")
        await receiver.had(4)
    ids = [headers["x-mesh-notification"] for headers, _ in receiver.came]
    assert ids[0] == ids[1]
    assert ids[1:] == sorted(ids[1:])


@pytest.mark.parametrize("answer", [302, 400, 410])
async def test_what_a_receiver_refuses_for_good_is_not_tried_again(start: Any, answer: int) -> None:
    one, receiver = await start(), Receiver()
    receiver.answers = [answer, 204, 204]
    async with receiver.serving(), carrying(one):
        task = await asked(one, receiver.url)
        await one.send("done", task_id=task.id)
        await receiver.had(3)
        while "dead" not in (states := [row["state"] for row in await outbox(one)]):
            await asyncio.sleep(0)
    assert states[0] == "dead"


async def test_a_dead_receiver_does_not_hold_the_task_up(start: Any) -> None:
    one = await start()
    async with carrying(one):
        task = await asked(one, "http://127.0.0.1:9/nobody")
        done = await one.send("done", task_id=task.id)
    assert done.artifacts[-1].parts[0].text == "echo done"


@pytest.mark.parametrize("path", ["", "/", "/hook_%?"])
async def test_a_sick_receiver_does_not_hold_word_to_others_up(start: Any, path: str) -> None:
    one, told = await start(), asyncio.Event()

    async def deliver(parcel: Parcel) -> None:
        if parcel.address != "https://sick.example.org/hook":
            await asyncio.Event().wait()
        told.set()

    for _ in range(AT_ONCE + EACH):
        await asked(one, f"https://sick.example{path}")
    await asked(one, "https://sick.example.org/hook")
    courier = Courier(one.book, {"push": deliver})
    courier.start()
    async with asyncio.timeout(20):
        await told.wait()
    assert len(await courier.take()) == 0
    await courier.aclose()
    taken = [row for row in await outbox(one) if row["attempts"]]
    assert len([row for row in taken if row["address"] != "https://sick.example.org/hook"]) == EACH


async def test_who_carries_nearly_as_many_as_may_be_takes_no_more_than_that(start: Any) -> None:
    one = await start()
    for number in range(AT_ONCE + EACH):
        await asked(one, f"https://{number}.example/hook")

    async def deliver(parcel: Parcel) -> None:
        await asyncio.Event().wait()

    courier = Courier(one.book, {"push": deliver})
    for parcel in (await courier.take())[:-1]:
        courier._carry(parcel, asyncio.Event())
    assert len(await courier.take()) == 1
    await courier.aclose()


async def test_a_row_is_taken_by_one_courier_and_by_the_next_when_that_one_died(start: Any) -> None:
    one, two = await start(), await start()
    task = await asked(one, "http://127.0.0.1:9/hook")
    await one.send("done", task_id=task.id)
    first, second = (Courier(r.book, {"push": refuse}) for r in (one, two))
    taken = await asyncio.gather(first.take(), second.take())
    assert sorted(len(parcels) for parcels in taken) == [0, 1]
    assert await second.take() == []
    await one.database.execute("UPDATE outbox SET due = 0.0")
    assert [p.attempts for p in await second.take()] == [2]


async def refuse(parcel: Parcel) -> None:
    raise PeerUnreachable("receiver", "is down")


async def test_a_delivery_that_never_works_is_given_up_with_the_reason(start: Any) -> None:
    one = await start()
    task = await asked(one, "http://127.0.0.1:9/hook")
    await one.send("done", task_id=task.id)
    courier = Courier(one.book, {"push": refuse}, chance=lambda: 1.0)
    await one.database.execute("UPDATE outbox SET attempts = ?", TRIES - 1)
    (parcel,) = await courier.take()
    await courier.deliver(parcel)
    row = (await outbox(one))[0]
    assert (row["state"], row["why"]) == ("dead", f"given up after {TRIES} tries: receiver: is down")
    assert [courier.pause(n) for n in (1, 2, 3, 20)] == [1.0, 2.0, 4.0, LONGEST_PAUSE]


async def test_who_is_away_for_hours_is_told_when_they_are_back(start: Any) -> None:
    hurried = Courier((await start()).book, {"push": refuse}, chance=lambda: 0.0)
    assert sum(hurried.pause(number) for number in range(1, TRIES)) > 12 * 3600
    patient = Courier((await start()).book, {"push": refuse}, chance=lambda: 1.0)
    assert sum(patient.pause(number) for number in range(1, TRIES)) < 48 * 3600


async def test_what_its_courier_dies_of_each_time_is_given_up_as_well(start: Any) -> None:
    one = await start()
    task = await asked(one, "http://127.0.0.1:9/hook")
    await one.send("done", task_id=task.id)
    came: list[Parcel] = []

    async def deliver(parcel: Parcel) -> None:
        came.append(parcel)

    await one.database.execute("UPDATE outbox SET attempts = ?", TRIES)
    courier = Courier(one.book, {"push": deliver})
    (parcel,) = await courier.take()
    await courier.deliver(parcel)
    row = (await outbox(one))[0]
    assert (row["state"], came) == ("dead", [])
    assert row["why"].startswith(f"given up after {TRIES} tries")


@pytest.mark.parametrize(("said", "least"), [("120", 119.0), ("999999", 3599.0), ("soon", 0.0)])
async def test_a_receiver_that_says_when_is_not_asked_before(start: Any, said: str, least: float) -> None:
    one, receiver = await start(), Receiver()
    receiver.answers, receiver.headers = [429], {"retry-after": said}
    async with receiver.serving(), carrying(one):
        task = await asked(one, receiver.url)
        await one.send("done", task_id=task.id)
        row = "SELECT due - EPOCH() AS left FROM outbox WHERE why LIKE '%429%'"
        while not (found := await one.database.execute(row)):
            await asyncio.sleep(0)
    assert least <= found[0]["left"] <= least + 2.0


@pytest.mark.parametrize(
    ("path", "token"),
    [("/hook", "grüße"), ("/hook", "a\nb: c"), ("/a b\x01", ""), ("/\u20ac", "")],
    ids=["letters", "lines", "control", "path"],
)
async def test_what_no_request_can_be_made_of_is_not_tried_for_ever(
    start: Any, path: str, token: str
) -> None:
    one, receiver = await start(), Receiver()
    async with receiver.serving(), carrying(one):
        task, url = await one.send("ask"), receiver.url.removesuffix("/hook") + path
        # such a configuration is refused by now; builds before took it
        config = TaskPushNotificationConfig(task_id=task.id, id="hook", url=url, token=token)
        await pushes.add(one.book, config, "\x1f")
        await one.send("done", task_id=task.id)
        while {row["state"] for row in await outbox(one)} != {"dead"}:
            await asyncio.sleep(0)
    assert receiver.came == []


async def test_a_name_that_cannot_be_looked_up_just_now_is_tried_again(start: Any) -> None:
    one = await start()
    known = [["127.0.0.1"]]

    async def resolve(host: str, port: int) -> list[str]:
        return known.pop() if known else []

    screen = Screen(["hooks.corp"], resolve)
    assert await screen("http://hooks.corp/hook") == ""
    task = await asked(one, "http://hooks.corp/hook")
    await one.send("done", task_id=task.id)
    webhooks = Webhooks(one.book, screen, Keyring("echo").identity("echo"))
    (parcel,) = await Courier(one.book, {"push": webhooks.deliver}).take()
    with pytest.raises(PeerUnreachable, match="cannot be resolved"):
        await webhooks.deliver(parcel)
    await webhooks.aclose()


async def test_a_configuration_that_was_deleted_is_told_nothing_more(start: Any) -> None:
    one, receiver = await start(), Receiver()
    async with receiver.serving():
        task = await asked(one, receiver.url)
        await one.send("done", task_id=task.id)
        await one.database.execute("DELETE FROM push_configs")
        async with carrying(one):
            while {row["state"] for row in await outbox(one)} != {"dead"}:
                await asyncio.sleep(0)
    assert receiver.came == []


async def test_cancelling_a_task_tells_the_peers_that_still_work_for_it(start: Any) -> None:
    one = await start()
    task = await one.send("hold", wait=False)
    await one.work.began.wait()
    from meshwright.tasks.outbox import Outbox

    box = Outbox(one.database, "echo", one.worker._held[task.id].claim)
    for letter in ("known", "unknown"):
        await box.post(letter, "http://peer", {"content": {}})
    await box.sent("known", "their-task")
    await one.cancel(task.id)
    told: list[Parcel] = []

    async def cancel(parcel: Parcel) -> None:
        told.append(parcel)

    courier = Courier(one.book, {"cancel": cancel})
    for parcel in await courier.take():
        await courier.deliver(parcel)
    assert [(p.address, p.remote) for p in told] == [("http://peer", "their-task")]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1/", False),
        ("https://127.0.0.1/", False),
        ("https://[::1]/", False),
        ("https://[::ffff:127.0.0.1]/", False),
        ("https://169.254.169.254/latest/meta-data", False),
        ("https://[64:ff9b::a9fe:a9fe]/", False),
        ("https://[64:ff9b::7f00:1]/", False),
        ("https://[64:ff9b:1::7f00:1]/", False),
        ("https://[64:ff9b::5db8:d822]/", True),
        ("https://[2002:7f00:1::]/", False),
        ("https://[2001:0:7f00:1::]/", False),
        ("https://[::7f00:1]/", False),
        ("https://[::ffff:0:7f00:1]/", False),
        ("https://[fec0::1]/", False),
        ("https://[fe80::1%25eth0]/", False),
        ("https://[2606:4700::1111]/", True),
        ("https://224.0.1.1/", False),
        ("https://[ff0e::1]/", False),
        ("https://10.1.2.3/", False),
        ("https://0.0.0.0/", False),
        ("https://2130706433/", False),
        ("https://user:pass@example.com/", False),
        ("ftp://example.com/", False),
        ("file:///etc/passwd", False),
        ("https://example.com:99999/", False),
        ("nonsense", False),
        ("https://inside.example/", False),
        ("https://both.example/", False),
        ("http://outside.example/", False),
        ("https://outside.example/", True),
        # of what stands for nothing now it is asked again when word goes there
        ("https://away.example/", True),
        ("http://10.9.9.9/", True),
        ("http://hooks.corp/", True),
        ("http://a.hooks.corp/", True),
        ("http://meta.hooks.corp/", False),
    ],
)
async def test_where_a_notification_may_go(url: str, allowed: bool) -> None:
    names = {
        "inside.example": ["192.168.1.1"],
        "both.example": ["93.184.216.34", "10.0.0.1"],
        "outside.example": ["93.184.216.34"],
        "hooks.corp": ["10.0.0.7"],
        "a.hooks.corp": ["10.0.0.8"],
        "meta.hooks.corp": ["169.254.169.254"],
        "2130706433": ["127.0.0.1"],
    }

    async def resolve(host: str, port: int) -> list[str]:
        return names.get(host, [host] if host.replace(".", "").isdigit() or ":" in host else [])

    screen = Screen(["10.9.9.0/24", "hooks.corp", "*.hooks.corp"], resolve)
    assert (await screen(url) == "") is allowed


async def test_a_name_that_is_not_told_in_time_is_one_that_stands_for_nothing_just_now() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with asyncio.timeout(20):
        assert await Screen([], resolve, 0.01).look("https://slow.example/") == (UNRESOLVED, "")


async def test_names_are_looked_up_while_the_threads_of_the_loop_are_busy() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(pool)
        busy = loop.run_in_executor(None, gate.wait)
        try:
            async with asyncio.timeout(20):
                assert "127.0.0.1" in await resolved("127.0.0.1", 443)
        finally:
            gate.set()
            await busy


async def test_the_connection_goes_to_the_address_that_was_screened(start: Any) -> None:
    one, receiver = await start(), Receiver()
    asked_for: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked_for.append(host)
        return ["127.0.0.1"]

    async with receiver.serving(), carrying(one, Screen(["hooks.corp"], resolve)):
        port = receiver.url.split(":")[-1].split("/")[0]
        task = await asked(one, f"http://hooks.corp:{port}/hook")
        await one.send("done", task_id=task.id)
        await receiver.had(3)
    assert receiver.came[0][0]["host"] == f"hooks.corp:{port}"
    assert set(asked_for) == {"hooks.corp"}


async def test_a_receiver_may_have_a_name_in_any_letters(start: Any) -> None:
    one, receiver = await start(), Receiver()

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with receiver.serving(), carrying(one, Screen(["bücher.example"], resolve)):
        port = receiver.url.split(":")[-1].split("/")[0]
        task = await asked(one, f"http://bücher.example:{port}/hook")
        await one.send("done", task_id=task.id)
        async with asyncio.timeout(20):
            await receiver.had(3)
    assert receiver.came[0][0]["host"] == f"xn--bcher-kva.example:{port}"


async def test_an_address_that_became_forbidden_meanwhile_gets_nothing(start: Any) -> None:
    one = await start()
    task = await asked(one, "http://127.0.0.1:9/hook")
    await one.send("done", task_id=task.id)
    webhooks = Webhooks(one.book, Screen([]), Keyring("echo").identity("echo"))
    (parcel,) = await Courier(one.book, {"push": webhooks.deliver}).take()
    with pytest.raises(Undeliverable, match="public"):
        await webhooks.deliver(parcel)
    await webhooks.aclose()


def test_the_key_that_signs_is_published_without_its_secret() -> None:
    (route,) = key_routes(Keyring("echo").identity("echo"))
    answer = asyncio.run(route.endpoint(None))  # type: ignore[arg-type]
    (key,) = json.loads(bytes(answer.body))["keys"]
    assert key["kid"] == "echo"
    assert "d" not in key
