"""What is around every page, in a real browser: the door, the colours, the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshwright.passwords import hashed

PASSWORD = "correct horse"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.toml"
    file.write_text("".join(f'{name} = "{hashed(PASSWORD)}"\n' for name in ("ann", "zed")))
    return file


async def test_the_door_and_the_errors_hold_at_every_width_and_in_both_themes(
    town: Any, look: Any, users: Path
) -> None:
    async with town.console(console_users=users) as base:
        sight = await look(base)
        await sight.go("/reviews")
        await sight.page.get_by_label("Name").fill("ann")
        await sight.page.get_by_label("Password").fill("wrong password")
        await sight.page.get_by_role("button", name="Log in").click()
        await sight.page.get_by_text("do not belong together").wait_for()
        await sight.everywhere("login")
        await sight.page.get_by_label("Password").fill(PASSWORD)
        await sight.page.keyboard.press("Enter")
        await sight.page.wait_for_url("**/reviews")
        town.mesh.down.add("http://orchestrator")
        await sight.go("/reviews")
        await sight.everywhere("error")
        assert await sight.page.get_by_role("navigation", name="Pages").is_visible()
        town.mesh.down.clear()
        await sight.page.get_by_role("link", name="Try again").click()
        await sight.page.get_by_role("heading", name="Reviews").wait_for()


@pytest.mark.parametrize("js", [True, False], ids=["js", "plain"])
async def test_colours_are_chosen_once_for_all_pages(town: Any, look: Any, js: bool) -> None:
    async with town.console() as base:
        sight = await look(base, js=js)
        await sight.go("/reviews")
        paper = "() => getComputedStyle(document.body).backgroundColor"
        before = await sight.page.evaluate(paper)
        await sight.page.get_by_role("button", name="Dark colours").click()
        await sight.page.get_by_role("button", name="Light colours").wait_for()
        dark = await sight.page.evaluate(paper)
        await sight.go("/reviews?state=decided")
        assert await sight.page.evaluate(paper) == dark != before
        await sight.page.get_by_role("button", name="Light colours").click()
        await sight.page.get_by_role("button", name="Dark colours").wait_for()
        assert await sight.page.evaluate(paper) == before


async def test_one_logs_out_from_the_menu_by_keys(town: Any, look: Any, users: Path) -> None:
    async with town.console(console_users=users) as base:
        sight = await look(base)
        await sight.go("/login?to=/reviews")
        await sight.page.keyboard.type("ann")
        await sight.page.keyboard.press("Tab")
        await sight.page.keyboard.type(PASSWORD)
        await sight.page.keyboard.press("Enter")
        await sight.page.wait_for_url("**/reviews")
        await sight.page.locator("details.who summary").focus()
        await sight.page.keyboard.press("Enter")
        await sight.shot("menu-1280-light")
        assert await sight.violations() == []
        await sight.page.keyboard.press("Escape")
        assert not await sight.page.get_by_role("button", name="Log out").is_visible()
        await sight.page.keyboard.press("Enter")
        await sight.page.keyboard.press("Tab")
        await sight.page.keyboard.press("Enter")
        await sight.page.wait_for_url("**/login")


async def test_a_login_that_ran_out_leads_to_the_door_and_back(town: Any, look: Any, users: Path) -> None:
    async with town.console(console_users=users) as base:
        sight = await look(base, clock=True)
        await sight.go("/login?to=/reviews%3Frisk%3Dhigh")
        await sight.page.get_by_label("Name").fill("ann")
        await sight.page.get_by_label("Password").fill(PASSWORD)
        await sight.page.keyboard.press("Enter")
        await sight.page.wait_for_url("**/reviews?risk=high")
        await sight.page.context.clear_cookies()
        await sight.wait(5)
        await sight.page.wait_for_url("**/login?to=%2Freviews%3Frisk%3Dhigh")


async def test_a_script_in_a_page_would_not_run(town: Any, look: Any) -> None:
    async with town.console() as base:
        sight = await look(base)
        await sight.go("/reviews")
        await sight.page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s); }"
        )
        assert await sight.page.evaluate("() => window.ran") is None
        assert "Content Security Policy" in sight.complaints.pop()
        assert sight.complaints == []
