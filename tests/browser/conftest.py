"""Real Chromium before the console, and behind it an orchestrator with its real doors, tokens and rows."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.console.town import Town, town

ARTIFACTS = Path(__file__).parents[2] / ".artifacts"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]
DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """The system's browser, not one that Playwright brings."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: `apt-get install chromium`, and these tests run")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Sight:
    """One browser window before the console, and what it complained about."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(self.base + path)

    async def wait(self, seconds: float) -> None:
        """Let the page think that so much time has passed."""
        await self.page.clock.run_for(int(seconds * 1000))

    async def shot(self, name: str) -> None:
        """Keep a picture for people to look at."""
        ARTIFACTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)

    async def violations(self) -> list[str]:
        """What axe finds wrong with the page: the rule, and where."""
        axe = files("axe_playwright_python").joinpath("axe.min.js").read_text()
        await self.page.evaluate(axe)
        found = await self.page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{rule['id']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]
        ]

    async def everywhere(self, name: str) -> None:
        """See that the page holds at both widths and in both themes, and keep pictures of it."""
        for width, height in (DESKTOP, PHONE):
            await self.page.set_viewport_size({"width": width, "height": height})
            for theme in ("light", "dark"):
                await self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
                await self.shot(f"{name}-{width}-{theme}")
                assert await self.violations() == []
                assert not await self.is_too_wide()

    async def is_too_wide(self) -> bool:
        """Whether the page has to be scrolled sideways."""
        return bool(await self.page.evaluate("() => document.documentElement.scrollWidth > innerWidth"))


Look = Callable[..., Any]


@pytest.fixture
async def look(chromium: Browser) -> AsyncIterator[Look]:
    """Open a window: `look(base, size=, dark=, js=)`; with `clock` time passes there when told to. At the end nothing may have broken the content policy or thrown."""
    sights: list[tuple[Sight, BrowserContext]] = []

    async def opened(
        base: str,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        js: bool = True,
        clock: bool = False,
    ) -> Sight:
        context = await chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=js,
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        sight = Sight(await context.new_page(), base)
        if clock:
            await sight.page.clock.install()
        sight.page.on("pageerror", lambda error: sight.complaints.append(str(error)))
        sight.page.on("console", lambda said: _heard(sight, said.type, said.text))
        sights.append((sight, context))
        return sight

    yield opened
    for sight, context in sights:
        await context.close()
        assert sight.complaints == []


#: That an answer was 409, or did not come, is no complaint of the browser's but what the page then shows.
NO_COMPLAINT = (
    "Failed to load resource",
    "Response Status Error Code",
    "htmx:afterRequest",
    "htmx:sendError",
)


def _heard(sight: Sight, kind: str, text: str) -> None:
    if kind == "error" and not text.startswith(NO_COMPLAINT):
        sight.complaints.append(text)


@pytest.fixture(name="town")
async def a_town(tmp_path: Path) -> AsyncIterator[Town]:
    async with town(tmp_path) as made:
        yield made
