"""Coming in under one's own name, being slowed down, and going out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from console.page import inside
from console.people import FREE, LONGEST, MOST_WAITING, REMEMBERED, Slowness, load_people
from console.session import COOKIE, HOURS_8, Sessions
from meshwright.passwords import hashed, is_hash, matches
from meshwright.testing import ManualClock

PASSWORD = "correct horse"


def test_a_password_matches_its_own_line_and_no_other() -> None:
    line = hashed(PASSWORD)
    assert is_hash(line)
    assert matches(PASSWORD, line)
    assert not matches("correct horsE", line)
    assert not matches(PASSWORD, hashed("another horse"))
    assert not matches(PASSWORD, "scrypt$16384$8$1$x$y")
    assert line != hashed(PASSWORD), "each line has a salt of its own"
    for wrong in ("short", "x" * 257):
        with pytest.raises(ValueError, match="10 to 256"):
            hashed(wrong)


async def test_whoever_is_not_logged_in_is_led_to_the_door_and_back(house: Any) -> None:
    visitor = await house.visitor(console_users=house.users)
    answer = await visitor.get("/reviews/r1?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?to=%2Freviews%2Fr1%3Fx%3D1")
    page = await visitor.get(answer.headers["location"])
    assert 'name="to" value="/reviews/r1?x=1"' in page.text
    done = await visitor.post("/login", name="ann", password=PASSWORD, to="/reviews/r1?x=1")
    assert done.headers["location"] == "/reviews/r1?x=1"


async def test_a_part_of_a_page_sends_the_whole_page_to_the_door(house: Any) -> None:
    visitor = await house.visitor(console_users=house.users)
    headers = {"hx-request": "true", "hx-current-url": "http://localhost/reviews?risk=high"}
    answer = await visitor.get("/parts/reviews", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login?to=%2Freviews%3Frisk%3Dhigh"


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("/reviews?x=1", "/reviews?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\n", "/"),
        ("javascript:alert(1)", "/"),
        ("/login?to=/", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_to_a_page_of_ours(to: str, where: str) -> None:
    assert inside(to) == where


def without(answer: Any, name: str) -> str:
    return str(answer.text.replace(f'value="{name}"', ""))


async def test_a_wrong_name_and_a_wrong_password_are_answered_alike(house: Any) -> None:
    visitor = await house.visitor(console_users=house.users)
    wrong, unknown = await visitor.login("ann", "wrong password"), await visitor.login("nobody", PASSWORD)
    assert wrong.status_code == unknown.status_code == 401
    assert "do not belong together" in wrong.text
    assert without(wrong, "ann") == without(unknown, "nobody")
    assert (await visitor.get("/reviews")).status_code == 303


async def test_one_whom_the_mesh_does_not_know_is_told_so(house: Any) -> None:
    visitor = await house.visitor(console_users=house.users)
    answer = await visitor.login("zed")
    assert answer.status_code == 403
    assert "meshwright keys person zed" in answer.text
    assert (await visitor.get("/reviews")).status_code == 303


async def test_guessing_slows_down_one_name_and_nobody_else(house: Any) -> None:
    visitor = await house.visitor(console_users=house.users)
    for _ in range(FREE + 1):
        assert (await visitor.login("ann", "wrong password")).status_code == 401
    slowed = await visitor.login("ann")
    assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "1")
    assert (await visitor.login("bob")).status_code == 303


async def test_a_flood_of_names_is_turned_away_and_not_kept(house: Any) -> None:
    visitor = await house.visitor(console_users=house.users)
    await visitor.get("/login")
    tries = [visitor.post("/login", name=f"name{n}", password=PASSWORD) for n in range(60)]
    answers = [answer.status_code for answer in await asyncio.gather(*tries)]
    assert set(answers) == {401, 429}
    assert answers.count(401) <= MOST_WAITING
    assert (await visitor.login("ann")).status_code == 303


def test_a_wait_doubles_ends_and_is_remembered_for_so_many_only() -> None:
    clock = ManualClock()
    slowness = Slowness(clock)
    waits = []
    for _ in range(20):
        slowness.wrong("ann", "10.0.0.1")
        waits.append(slowness.wait("ann", "10.0.0.1"))
    assert waits[:6] == [0, 0, 0, 1, 2, 4]
    assert waits[-1] == LONGEST
    assert slowness.wait("ann", "10.0.0.2") == slowness.wait("bob", "10.0.0.1") == 0
    slowness.right("ann", "10.0.0.1")
    assert slowness.wait("ann", "10.0.0.1") == 0
    for number in range(REMEMBERED + 10):
        slowness.wrong("x" * 1_000_000, f"10.0.{number}")
    assert len(slowness) == REMEMBERED


async def test_a_logout_ends_every_copy_of_the_cookie(house: Any) -> None:
    ann = await house.person("ann")
    copy = ann.http.cookies[COOKIE]
    assert "ann" in (await ann.get("/reviews")).text
    assert (await ann.post("/logout")).headers["location"] == "/login"
    ann.http.cookies.clear()
    assert (await ann.http.get("/reviews", headers={"cookie": f"{COOKIE}={copy}"})).status_code == 303


async def test_a_login_has_a_cookie_of_its_own(house: Any) -> None:
    visitor = await house.visitor(console_users=house.users)
    await visitor.get("/login")
    before, token = visitor.http.cookies[COOKIE], visitor.csrf
    await visitor.login("ann")
    assert visitor.http.cookies[COOKIE] != before
    assert visitor.csrf != token


async def test_a_cookie_of_another_console_or_a_changed_one_counts_for_nothing(house: Any) -> None:
    ann = await house.person("ann")
    cookie = ann.http.cookies[COOKIE]
    for other in (cookie[:-2] + ("AA" if cookie[-2:] != "AA" else "BB"), cookie[:40], "", "a.b.c", "\u0100"):
        quiet = await house.visitor(console_users=house.users)
        header = f"{COOKIE}={other}".encode()
        assert (await quiet.http.get("/reviews", headers={b"cookie": header})).status_code == 303


def test_a_session_ends_after_its_time_with_the_password_and_with_the_key(tmp_path: Any) -> None:
    file = tmp_path / "users.json"
    file.write_text(json.dumps({"ann": hashed(PASSWORD)}))
    now = [1_000_000.0]
    before = Sessions(b"k" * 32, load_people(file).proof, secure=True, clock=lambda: now[0])
    cookie = before.header(before.begin("ann")).partition("=")[2].partition(";")[0]
    assert before.read(cookie).person == "ann"
    now[0] += HOURS_8 + 1
    assert before.read(cookie).person == ""
    now[0] -= HOURS_8
    assert before.read(cookie).person == "ann"
    assert (
        Sessions(b"j" * 32, load_people(file).proof, secure=True, clock=lambda: now[0]).read(cookie).person
        == ""
    )
    file.write_text(json.dumps({"ann": hashed("another horse")}))
    after = Sessions(b"k" * 32, load_people(file).proof, secure=True, clock=lambda: now[0])
    assert after.read(cookie).person == ""
