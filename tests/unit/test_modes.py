"""What a client says that it takes is what it is answered with, by whoever answers, as far as there is something of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from a2a.server.request_handlers import RequestHandler
from a2a.types import Message, Part, Role

import agent_cards
from meshwright.database import open_database
from meshwright.inbound.executor import Incoming, Outcome
from meshwright.inbound.health import Readiness
from meshwright.inbound.server import a2a_app
from meshwright.settings import Settings
from meshwright.tasks.accept import Ask, Desk, accept, signal
from meshwright.tasks.modes import KEY, LONGEST, MOST, output_modes
from meshwright.testing import InProcess, Keyring

ORIGIN = "http://agent"
V1 = {"a2a-version": "1.0"}
TEXT, DATA = {"text": "seven"}, {"data": {"number": 7.0}}


@pytest.fixture
async def agent() -> AsyncIterator[httpx.AsyncClient]:
    """Answers with a text and data, or asks with both."""

    async def work(incoming: Incoming) -> Outcome:
        if incoming.text == "ask":
            return Outcome(waits="seven", notice={"number": 7})
        return Outcome(text="" if incoming.text == "data" else "seven", data={"number": 7})

    @asynccontextmanager
    async def nothing_else(handler: RequestHandler) -> AsyncIterator[None]:
        yield

    settings = Settings(database="memory:", public_url=ORIGIN)
    card, identity = agent_cards.load("orchestrator"), Keyring("agent").identity("agent")
    app = a2a_app("agent", card, work, settings, identity, Readiness(), lifespan=nothing_else)
    async with InProcess({ORIGIN: app}).running() as mesh, mesh.client() as http:
        yield http


def asking(text: str, modes: list[str]) -> dict[str, Any]:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
    return {"message": message, "configuration": {"acceptedOutputModes": modes}}


async def sent(http: httpx.AsyncClient, params: dict[str, Any], **headers: str) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
    return (await http.post(ORIGIN, json=body, headers={**V1, **headers})).json()["result"]["task"]


def bare(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in part.items() if name != "mediaType"} for part in parts]


@pytest.mark.parametrize(
    ("modes", "parts"),
    [
        ([], [TEXT, DATA]),
        (["text/plain"], [TEXT]),
        (["text"], [TEXT]),
        (["TEXT/*; q=1", "image/png"], [TEXT]),
        (["application/json"], [DATA]),
        (["application/*"], [DATA]),
        (["text/plain", "application/json"], [TEXT, DATA]),
        (["*/*"], [TEXT, DATA]),
        (["image/png"], [TEXT, DATA]),
        (["", ";", ","], [TEXT, DATA]),
    ],
)
@pytest.mark.parametrize("words", ["answer", "ask"])
async def test_an_answer_and_a_question_hold_what_their_client_takes(
    agent: httpx.AsyncClient, words: str, modes: list[str], parts: list[dict[str, Any]]
) -> None:
    task = await sent(agent, asking(words, modes))
    found = task["status"]["message"]["parts"] if words == "ask" else task["artifacts"][0]["parts"]
    assert bare(found) == parts


async def test_an_answer_that_is_data_only_is_there_for_a_client_of_texts(agent: httpx.AsyncClient) -> None:
    task = await sent(agent, asking("data", ["text/plain"]))
    assert bare(task["artifacts"][0]["parts"]) == [DATA]


async def test_no_header_of_a_request_says_it(agent: httpx.AsyncClient) -> None:
    task = await sent(agent, asking("answer", []), **{KEY: "text/plain"})
    assert bare(task["artifacts"][0]["parts"]) == [TEXT, DATA]


def test_of_a_list_without_end_the_beginning_is_kept() -> None:
    kept = output_modes([f"text/{number}{'x' * 500}" for number in range(500)])[KEY].split(",")
    assert (len(kept), max(map(len, kept))) == (MOST, LONGEST)
    assert output_modes([]) == {}


async def test_what_goes_on_by_our_own_word_holds_to_what_came_with_the_first_message() -> None:
    database = await open_database("memory:")
    message = Message(message_id="m", role=Role.ROLE_USER, parts=[Part(text="hi")])
    ask = Ask("me", "", message, output_modes(["text/plain"]), 60.0)
    task = await database.write(lambda tx: accept(tx, Desk("agent", "r", None), ask))
    assert await database.write(lambda tx: signal(tx, "agent", task.task_id, "decided"))
    headers = await database.execute("SELECT headers FROM inbox ORDER BY turn")
    assert [json.loads(row["headers"])[KEY] for row in headers] == ["text/plain"] * 2
    await database.close()
