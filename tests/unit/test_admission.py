"""A body is small, in time, and JSON that means one thing; anything else is a 4xx with a plain reason."""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx
import pytest
from a2a.types import SendMessageRequest, StreamResponse, Task
from google.protobuf.json_format import ParseDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from meshwright.errors import InvalidRequest
from meshwright.inbound.admission import MAX_DEPTH, PARSED, Admission, strict_json


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


APP = Admission(Starlette(routes=[Route("/", echo, methods=["POST"])]), max_body=4096)


async def post(body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://x") as client:
        return await client.post("/", content=body, headers={"content-type": "application/json", **headers})


async def test_a_good_body_arrives_byte_for_byte() -> None:
    body = '{"text": "Grüße [}"}'.encode()
    assert (await post(body)).content == body


async def test_a_body_over_the_limit_is_413_whether_it_says_so_or_not() -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(10):
            yield b" " * 1000

    assert (await post(b" " * 5000)).status_code == 413
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://x") as client:
        assert (await client.post("/", content=chunks())).status_code == 413


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"x": NaN}', "NaN"),
        (b'{"x": -Infinity}', "Infinity"),
        (b'{"x": 1e999}', "1e999"),
        (b'{"x": [-1e999]}', "-1e999"),
        (b'{"x": %b}' % (b"9" * 309), "larger number"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": {"b": 1, "b": 2}}', "twice"),
        (b"[" * (MAX_DEPTH + 1), "nested deeper"),
        (b"[" * 4000, "nested deeper"),
        (b'{"x": "\xff"}', "UTF-8"),
        (b'{"x": "\\ud800"}', "surrogate"),
        (b'{"\\uDFFF!": 1}', "surrogate"),
        (b"{", "not JSON"),
        (b"hello", "not JSON"),
    ],
)
async def test_a_body_with_two_meanings_is_400_with_the_reason(body: bytes, why: str) -> None:
    response = await post(body)
    assert response.status_code == 400
    assert why in response.json()["error"]["message"]


def test_the_largest_numbers_that_a2a_can_hold_are_taken() -> None:
    largest = b"1.7976931348623157e308"
    assert strict_json(b"[%b, -%b, 1%b]" % (largest, largest, b"0" * 308)) == [
        sys.float_info.max,
        -sys.float_info.max,
        10**308,
    ]


def test_a_whole_surrogate_pair_is_a_character_and_a_backslash_before_one_a_backslash() -> None:
    assert strict_json(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]


def test_brackets_inside_strings_are_no_depth() -> None:
    assert strict_json(b'"' + b"[" * 1000 + b'"') == "[" * 1000
    with pytest.raises(InvalidRequest):
        strict_json(b'"\\"' + b"[" * 1000)


@pytest.mark.parametrize("body", [b"[" + b"[]," * 100 + b"[]]", b'"' + b"[" * 100 + b'"'])
def test_many_brackets_are_not_depth(body: bytes) -> None:
    strict_json(body)


async def test_the_body_is_handed_on_as_it_was_parsed() -> None:
    seen: list[object] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope.get(PARSED))
        await PlainTextResponse("")(scope, receive, send)

    transport = httpx.ASGITransport(Admission(inner, max_body=4096))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        await client.post("/", content=b'{"a": [1]}', headers={"content-type": "application/json"})
        await client.post("/", content=b'{"a": [1]}', headers={"content-type": "text/plain"})
    assert seen == [{"a": [1]}, None]


def test_the_deepest_body_that_comes_in_can_be_read_back_from_where_it_is_kept() -> None:
    data: Any = "bottom"
    for _ in range(MAX_DEPTH - 4):
        data = {"a": data}
    request = strict_json(json.dumps({"message": {"parts": [{"data": data}]}}).encode())
    with pytest.raises(InvalidRequest):
        strict_json(json.dumps({"message": {"parts": [{"data": {"a": data}}]}}).encode())
    message = ParseDict(request, SendMessageRequest()).message
    kept = StreamResponse(task=Task(history=[message]))
    assert StreamResponse.FromString(kept.SerializeToString()) == kept
