"""Debian's Chromium in a test, by Playwright: a page may say nothing in error, and ask nothing of anybody else.

``audit`` runs axe-core (from npm) in both languages, and both themes, and on a phone's width as on a desktop's.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.needs import program

__all__ = ["Watched", "audit", "open_browser", "open_page", "picture"]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}
PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


class Watched:
    """A page, and what went wrong in it."""

    def __init__(self, page: Page, expected: tuple[str, ...]) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", lambda said: self._said(said.type, said.text, expected))
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, kind: str, text: str, expected: tuple[str, ...]) -> None:
        if kind in {"error", "warning"} and not any(one in text for one in expected):
            self.wrong.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            self.wrong.append(f"it asked {url}")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Run Chromium."""
    executable = program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(executable), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_page(
    browser: Browser, *, size: str = "phone", expected: tuple[str, ...] = (), **context: Any
) -> AsyncIterator[Page]:
    """Open a page; what goes wrong in it, but for what is ``expected``, fails the test."""
    made: BrowserContext = await browser.new_context(viewport=SIZES[size], **context)  # type: ignore[arg-type]
    try:
        page = await made.new_page()
        watched = Watched(page, expected)
        yield page
        assert watched.wrong == []
    finally:
        await made.close()


async def audit(page: Page, axe: str) -> None:
    """Let axe-core find fault with what a page shows now, in both themes and at both widths."""
    for theme in ("light", "dark"):
        await page.emulate_media(color_scheme=theme)
        for size in SIZES.values():
            await page.set_viewport_size(size)  # type: ignore[arg-type]
            await page.evaluate(axe)
            found = await page.evaluate("axe.run(document, {runOnly: %s})" % list(RULES))  # noqa: UP031 - it is JavaScript
            faults = [f"{one['id']}: {node['target']}" for one in found["violations"] for node in one["nodes"]]
            assert faults == [], f"{theme} {size}: {faults}"
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"it is {wide} px too wide for {size}"
    await page.set_viewport_size(SIZES["phone"])  # type: ignore[arg-type]
    await page.emulate_media(color_scheme="light")


async def picture(page: Page, name: str) -> None:
    """Keep what a page looks like under ``docs/pictures``, when UPDATE_PICTURES is set."""
    if os.environ.get("UPDATE_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        await page.screenshot(path=str(PICTURES / f"{name}.png"))
