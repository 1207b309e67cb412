"""What the console makes of a mesh's answers, right and wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from console.client import MAX_ANSWER, Mesh, segment
from meshwright.errors import (
    WIRE,
    AlreadyDecided,
    CallerError,
    Claimed,
    Forbidden,
    InvalidRequest,
    MeshError,
    NotFound,
    Outdated,
    PeerAnsweredBadly,
    PeerOverloaded,
    PeerUnreachable,
    Unauthenticated,
)
from meshwright.inbound.identity import Trust
from meshwright.outbound.http import MAX_ANSWER as AN_AGENTS
from meshwright.testing import InProcess, Keyring

RING = Keyring("orchestrator", "console", operators=("ann",), speakers={"console": ["ann"]})


def mesh(answer: Response, name: Any = "orchestrator") -> tuple[Mesh, InProcess]:
    """A mesh that always gives this answer."""

    async def page(request: Request) -> Response:
        return answer

    async def livez(request: Request) -> Response:
        return JSONResponse({"name": name})

    routes = [Route("/livez", livez), Route("/{path:path}", page, methods=["GET", "POST"])]
    net = InProcess({"http://mesh": Starlette(routes=routes)})
    return Mesh("http://mesh", net.client(MAX_ANSWER), RING.identity("console")), net


def refusal(status: int, reason: str = "", message: str = "no") -> JSONResponse:
    return JSONResponse({"error": {"code": status, "reason": reason, "message": message}}, status)


async def test_it_comes_as_the_person() -> None:
    client, net = mesh(JSONResponse({"reviews": []}))
    await client.get("/reviews", "ann", state="open", risk="", run=None)
    asked = net.seen[-1]
    caller = Trust.from_document("orchestrator", RING.document).caller(asked.headers["authorization"])
    assert (caller.name, caller.via, asked.url.query) == ("ann", "console", b"state=open")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        *(
            (refusal(WIRE[kind].status, WIRE[kind].code), kind)
            for kind in (AlreadyDecided, Claimed, Outdated)
        ),
        (refusal(409), Outdated),
        (refusal(403), Forbidden),
        (refusal(401), Unauthenticated),
        (refusal(404), NotFound),
        (refusal(400), InvalidRequest),
        (refusal(503), PeerOverloaded),
        (refusal(500), PeerAnsweredBadly),
        (JSONResponse({"error": ["no"]}, 400), InvalidRequest),
        (JSONResponse([1], 418), PeerAnsweredBadly),
        (JSONResponse([1]), PeerAnsweredBadly),
        (PlainTextResponse("<html>"), PeerAnsweredBadly),
        (PlainTextResponse("[" * 100_000), PeerAnsweredBadly),
        (PlainTextResponse("x" * (MAX_ANSWER + 1)), PeerAnsweredBadly),
        (JSONResponse({}, headers={"content-encoding": "gzip"}), PeerAnsweredBadly),
    ],
)
async def test_a_wrong_answer_is_an_error_of_the_tree(answer: Response, kind: type[MeshError]) -> None:
    client, _ = mesh(answer)
    with pytest.raises(kind) as error:
        await client.get("/reviews", "ann")
    assert type(error.value) is kind
    assert isinstance(error.value, CallerError) or "orchestrator" in str(error.value)


async def test_a_chain_may_be_longer_than_what_any_one_agent_may_answer() -> None:
    client, _ = mesh(JSONResponse({"said": "x" * AN_AGENTS}))
    assert len((await client.get("/runs/1/chain", "ann"))["said"]) == AN_AGENTS


async def test_what_answers_and_is_no_mesh_gets_no_token() -> None:
    for name in (None, 7, "", "x" * 200):
        client, net = mesh(JSONResponse({}), name)
        await client.get("/reviews", "ann")
        assert "authorization" not in net.seen[-1].headers


async def test_nobody_there_is_said_and_the_next_one_is_asked_its_name() -> None:
    client, net = mesh(JSONResponse({"reviews": []}))
    await client.get("/reviews", "ann")
    net.down.add("http://mesh")
    with pytest.raises(PeerUnreachable):
        await client.get("/reviews", "ann")
    net.down.clear()
    await client.get("/reviews", "ann")
    assert [request.url.path for request in net.seen] == [
        "/livez",
        "/reviews",
        "/reviews",
        "/livez",
        "/reviews",
    ]


def test_an_address_is_shown_without_its_password() -> None:
    assert (
        Mesh("http://me:secret@mesh:8400", InProcess({}).client(), RING.identity("console")).where
        == "http://mesh:8400"
    )


@pytest.mark.parametrize(
    ("text", "part"), [("a/b", "a%2Fb"), ("a b?", "a%20b%3F"), ("r1.x", "r1.x"), ("..a", "..a")]
)
def test_a_name_is_one_part_of_a_path(text: str, part: str) -> None:
    assert segment(text) == part


@pytest.mark.parametrize("text", ["", ".", "..", "..."])
def test_what_would_be_a_step_in_a_path_is_no_name(text: str) -> None:
    with pytest.raises(NotFound):
        segment(text)
