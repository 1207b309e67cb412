"""Who gets in, from where, and what a browser may do with a page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.app import console_app
from console.guard import hosts_of
from console.visits import MAX_FORM
from meshwright.settings import Settings, SettingsError
from meshwright.testing import InProcess, Keyring


def settings(**values: Any) -> Settings:
    return Settings.model_validate({"peers": "http://orchestrator", **values})


@pytest.mark.parametrize("public", [{"host": "0.0.0.0"}, {"public_url": "https://console.example"}])
def test_it_does_not_stand_open_on_a_public_address(public: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"MESHWRIGHT_CONSOLE_USERS .*keys person NAME"):
        console_app(settings(**public), InProcess({}).client(), Keyring("console").identity("console"))


def test_it_wants_to_know_whom_to_ask() -> None:
    with pytest.raises(SettingsError, match="MESHWRIGHT_PEERS"):
        console_app(settings(peers=""), InProcess({}).client(), Keyring("console").identity("console"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot read"),
        ("ann = ", "neither TOML nor JSON"),
        ("", "names nobody"),
        ('ann = "secret"', "is no hash"),
        ('ann = "scrypt$1048576$8$1$AAAAAAAAAAAAAAAA$' + "A" * 44 + '"', "is no hash"),
        ("ann = 1", "is no hash"),
    ],
)
def test_what_is_wrong_with_the_file_of_users_is_said(tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "users.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=rf"MESHWRIGHT_CONSOLE_USERS.*{why}"):
        console_app(
            settings(console_users=file), InProcess({}).client(), Keyring("console").identity("console")
        )


async def test_every_answer_says_what_a_browser_may_do(house: Any) -> None:
    visitor = await house.visitor()
    style = (await visitor.get("/reviews")).text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    for path in ("/reviews", "/nowhere", style, "/livez"):
        headers = (await visitor.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; frame-ancestors 'none'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        kept = "public, max-age=31536000, immutable" if path == style else "no-store"
        assert headers["cache-control"] == kept, path


async def test_a_request_for_another_name_is_not_heard(house: Any) -> None:
    visitor = await house.visitor()
    for host in ("evil.example", "localhost.evil.example", "", "127.0.0.1@evil.example", "[", "::1"):
        assert (await visitor.http.get("/reviews", headers={"host": host})).status_code == 421, host
    for host in ("localhost:8420", "127.0.0.1:1", "[::1]:8420"):
        assert (await visitor.http.get("/reviews", headers={"host": host})).status_code == 200, host


def test_on_a_public_address_its_public_name_counts() -> None:
    public = settings(host="0.0.0.0", public_url="https://console.example/x")
    assert hosts_of(public) == {"console.example"}
    assert hosts_of(settings(public_url="https://console.example")) == {"console.example"}
    assert hosts_of(settings(host="0.0.0.0")) == set()
    assert "127.0.0.1" in hosts_of(settings(host="0.0.0.0", public_url="http://127.0.0.1:8420"))


async def test_two_host_headers_are_one_too_many(house: Any) -> None:
    visitor = await house.visitor()
    twice = [("host", "localhost"), ("host", "evil.example")]
    assert (await visitor.http.get("/reviews", headers=twice)).status_code == 421


async def test_a_form_without_its_token_does_nothing(house: Any) -> None:
    await house.put("r1")
    visitor, other = await house.visitor(), await house.visitor()
    await visitor.get("/reviews/r1")
    await other.get("/reviews/r1")
    word = {"decision": "reject", "reason": "no"}
    tried = [
        await visitor.http.post("/reviews/r1", data=word),
        await visitor.http.post("/reviews/r1", data={**word, "csrf": other.csrf}),
        await visitor.http.post("/reviews/r1", data=word, headers={b"x-csrf": b"\xe4"}),
        await visitor.http.post(
            "/reviews/r1", data={**word, "csrf": visitor.csrf}, headers={"sec-fetch-site": "cross-site"}
        ),
    ]
    assert [answer.status_code for answer in tried] == [403] * 4
    part = await visitor.http.post("/reviews/r1", data=word, headers={"hx-request": "true"})
    assert (part.status_code, part.headers["hx-refresh"]) == (403, "true")
    assert (await house.town.reviews.one("r1"))["state"] == "open"
    assert (await visitor.post("/reviews/r1", **word)).status_code == 303


async def test_a_form_is_small_and_a_form(house: Any) -> None:
    visitor = await house.visitor()
    await visitor.get("/reviews")
    large = await visitor.post("/reviews/r1", reason="x" * MAX_FORM)
    json = await visitor.http.post("/reviews/r1", json={"csrf": visitor.csrf})
    many = await visitor.post("/reviews/r1", **{f"f{number}": "x" for number in range(100)})
    assert (large.status_code, json.status_code, many.status_code) == (413, 415, 403)


async def test_the_cookie_is_for_pages_of_ours_only_and_secure_where_others_can_listen(house: Any) -> None:
    near = await (await house.visitor()).get("/reviews")
    far = await (await house.visitor("console.example", host="0.0.0.0", console_users=house.users)).get(
        "/login"
    )
    assert "HttpOnly; SameSite=Lax" in near.headers["set-cookie"]
    assert "Secure" not in near.headers["set-cookie"]
    assert "HttpOnly; SameSite=Lax" in far.headers["set-cookie"]
    assert far.headers["set-cookie"].endswith("; Secure")


async def test_what_is_served_of_ours_is_only_what_lies_there(house: Any) -> None:
    visitor = await house.visitor()
    for path in ("/static/app.css", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"):
        assert (await visitor.get(path)).status_code == 404, path
    for path in ("/livez", "/readyz"):
        assert (await visitor.get(path)).status_code == 200


async def test_a_colour_is_kept_and_leads_nowhere_else(house: Any) -> None:
    visitor = await house.visitor()
    await visitor.get("/reviews")
    answer = await visitor.post("/theme", theme="dark", to="//evil.example")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert 'data-theme="dark"' in (await visitor.get("/reviews")).text
    await visitor.post("/theme", theme='"><script>', to="/reviews")
    assert "data-theme" not in (await visitor.get("/reviews")).text.partition("<body>")[0]


async def test_many_forms_at_once_are_all_answered(house: Any) -> None:
    await house.put("r1")
    visitor = await house.visitor()
    await visitor.get("/reviews/r1")
    answers: list[httpx.Response] = await asyncio.gather(
        *(visitor.post("/reviews/r1", decision="reject", reason=f"no {n}") for n in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [303] + [409] * 19
