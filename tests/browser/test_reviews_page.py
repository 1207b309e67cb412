"""The review pages in a real browser: with and without JavaScript, by mouse and by keys, wide and narrow, light and dark."""

from __future__ import annotations

from typing import Any

import pytest

from meshwright.reviews.word import Word

ODD = {"thing": "t2", "colour": "g\u202eold", "note": "p\u0430id"}
SIDES = {
    "about": "order:#W2",
    "why": "nothing settles it: a person decides",
    "sides": [
        {"agent": "orders", "action": "paint", "arguments": {"thing": "t2", "colour": "gold"}},
        {
            "agent": "returns",
            "action": "refund",
            "arguments": {"thing": "t2", "amount": 50000},
            "evidence": [{"source": "tool:workshop.look_at", "quote": "t2 arrived broken"}],
        },
    ],
}
SOURCES = {"thing": "agent", "colour": "customer"}


@pytest.fixture
async def full(town: Any) -> Any:
    """A queue with one review of each kind of trouble."""
    await town.put("r-low", risk="low", arguments={"thing": "t4", "colour": "white"})
    await town.put("r-medium", provenance={"thing": "tool:thing", "colour": "customer"})
    await town.put("r-odd", risk="high", approvals=2, arguments=ODD, provenance=SOURCES, conflict=SIDES)
    return town


async def test_the_pages_hold_at_every_width_and_in_both_themes(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base)
        pages = {"list": "/reviews", "one": "/reviews/r-odd", "empty": "/reviews?state=decided"}
        for name, path in pages.items():
            await sight.go(path)
            await sight.everywhere(f"reviews-{name}")


async def test_what_hides_and_where_it_comes_from_is_on_the_page(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base)
        await sight.go("/reviews/r-odd")
        text = await sight.page.inner_text("main")
        for words in (
            r'"g\u202eold"',
            "colour: U+202E RIGHT-TO-LEFT OVERRIDE",
            "CYRILLIC SMALL LETTER A",
            "the agent alone",
            "it is expensive",
            "policies/shop.cedar",
            "t2 arrived broken",
            "refund",
            "0 of 2",
            "Please paint my chair gold.",
        ):
            assert words in text, words
        assert "\u202e" not in text


async def test_a_review_is_approved_without_javascript(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base, js=False)
        await sight.go("/reviews")
        await sight.page.get_by_role("link", name="paint").nth(1).click()
        await sight.page.get_by_label("Reason optional").fill("fine")
        await sight.page.get_by_role("button", name="Approve exactly this").click()
        await sight.page.locator("main").get_by_text("Approved.", exact=True).wait_for()
        assert sight.page.url.endswith("/reviews/r-medium?done=approve")
        assert await full.state("r-medium") == "approve"


async def test_a_review_is_approved_by_htmx_without_going_anywhere(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base)
        await sight.go("/reviews/r-medium")
        await sight.page.evaluate("() => { window.same = true; }")
        await sight.page.get_by_role("button", name="Approve exactly this").click()
        await sight.page.get_by_text("Approved.", exact=True).wait_for()
        assert await sight.page.evaluate("() => window.same")
        assert await sight.page.get_by_role("button", name="Approve exactly this").count() == 0
        assert await sight.page.evaluate("() => document.activeElement.className") == "told"
        assert await full.state("r-medium") == "approve"
        assert await sight.violations() == []
        await sight.shot("reviews-approved-1280-light")


async def test_a_review_is_found_and_rejected_by_keys_alone(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base)
        keys = sight.page.keyboard
        await sight.go("/reviews")
        await keys.press("Tab")
        assert await sight.page.evaluate("() => document.activeElement.textContent") == "Skip to the page"
        for key in ("j", "j", "k", "j"):
            await keys.press(key)
        assert await sight.page.evaluate("() => document.activeElement.id") == "row-r-medium"
        await keys.press("Enter")
        await sight.page.wait_for_url("**/reviews/r-medium")
        await keys.press("r")
        await keys.type("too dear")
        await keys.press("Tab")
        await keys.press("Enter")
        await sight.page.get_by_text("Rejected.", exact=True).wait_for()
        assert (await full.reviews.one("r-medium"))["reason"] == "too dear"
        await keys.press("u")
        await sight.page.wait_for_url("**/reviews")


async def test_each_way_to_decide_has_its_key(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base)
        await sight.go("/reviews/r-medium")
        focused = "() => document.activeElement.name || document.activeElement.innerText.trim()"
        for key, where in (("e", "arguments"), ("Escape", ""), ("r", "reason"), ("Escape", "")):
            await sight.page.keyboard.press(key)
            if where:
                assert await sight.page.evaluate(focused) == where
        await sight.page.keyboard.press("a")
        assert await sight.page.evaluate(focused) == "Approve exactly this"
        await sight.page.keyboard.press("?")
        assert await sight.page.get_by_role("dialog", name="Keys").is_visible()
        assert await sight.violations() == []
        await sight.page.keyboard.press("Escape")
        await sight.page.keyboard.press("c")
        await sight.page.get_by_role("button", name="Let go of it").wait_for()
        assert (await full.reviews.one("r-medium"))["claimed_by"] == "operator"
        await sight.page.keyboard.press("n")
        await sight.page.wait_for_url("**/reviews/r-odd")


@pytest.mark.parametrize("js", [True, False], ids=["js", "plain"])
async def test_a_mistake_in_the_arguments_is_said_where_it_was_made(full: Any, look: Any, js: bool) -> None:
    async with full.console() as base:
        sight = await look(base, js=js)
        await sight.go("/reviews/r-medium")
        await sight.page.get_by_text("Edit", exact=True).click()
        box = sight.page.get_by_label("All arguments, as JSON")
        await box.fill('{"thing": "t1", }')
        await sight.page.get_by_label("Reason", exact=True).last.scroll_into_view_if_needed()
        await sight.page.locator("form:has(textarea[name=arguments]) input[name=reason]").fill("cheaper")
        await sight.page.get_by_role("button", name="Propose this instead").click()
        await sight.page.locator("#edit-wrong").wait_for()
        assert "line 1, column 17" in await sight.page.inner_text("#edit-wrong")
        assert await box.input_value() == '{"thing": "t1", }'
        assert await box.get_attribute("aria-invalid") == "true"
        if js:
            assert await box.evaluate("box => box === document.activeElement")
        await box.fill('{"thing": "t1", "colour": "blue"}')
        await sight.page.get_by_role("button", name="Propose this instead").click()
        await sight.page.get_by_text("Proposed instead.", exact=True).wait_for()
        assert (await full.reviews.one("r-medium"))["edited"] == {"thing": "t1", "colour": "blue"}


async def test_who_was_faster_is_shown_before_and_after_one_decides(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base, clock=True)
        await sight.go("/reviews/r-medium")
        await full.reviews.decide("r-medium", Word("reject", "too dear"), by="bob")
        await sight.wait(5)
        await sight.page.get_by_text("This review has changed since you opened it.").wait_for()
        await sight.page.get_by_role("button", name="Approve exactly this").click()
        await sight.page.get_by_text("bob already decided this review").wait_for()
        assert "too dear" in await sight.page.inner_text("main")
        await sight.shot("reviews-409-1280-light")
        assert await full.state("r-medium") == "reject"


async def test_the_list_keeps_itself_up_to_date_and_the_place_in_it(full: Any, look: Any) -> None:
    async with full.console() as base:
        sight = await look(base, clock=True)
        await sight.go("/reviews")
        await sight.page.locator("#row-r-medium").focus()
        await full.put("r-new", risk="high", action="repaint")
        await sight.wait(5)
        await sight.page.locator("#row-r-new").wait_for()
        assert await sight.page.evaluate("() => document.activeElement.id") == "row-r-medium"
        full.mesh.down.add("http://orchestrator")
        await sight.wait(5)
        await sight.page.get_by_text("not up to date").wait_for()
        assert await sight.page.locator("#row-r-new").is_visible()
        full.mesh.down.clear()
        await sight.wait(5)
        await sight.page.get_by_text("live", exact=True).wait_for()
