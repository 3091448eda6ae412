"""Every page that there is, in both languages: nothing for axe-core to find, in either theme, at either width."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

import gladys_companion.pages
from gladys_companion.pages import LANGUAGES
from tests.browser import audit, open_page
from tests.gateway_world import World, delivered
from tests.needs import needs
from tests.pages.home import LAMP, Home
from tests.pages.test_add_phone import link
from tests.pages.test_admin_pages import asked, become_admin

pytestmark = [needs("chromium"), pytest.mark.timeout(360)]  # the first of them waits for npm

TEMPLATES = Path(gladys_companion.pages.__file__).parent / "templates"
BASES = {"base.html", "home_base.html", "admin_base.html"}
REFUSED = ("Failed to load resource: the server responded with a status of 4",)

Open = Callable[[Page], Awaitable[object]]


async def looked_at(page: Page, axe: str, language: str, pages: dict[str, Open]) -> None:
    """Open each page, unfold all of it, and let axe-core look."""
    for template, open_it in pages.items():
        await open_it(page)
        assert await page.locator("html").get_attribute("lang") == language, template
        await expect(page.locator("h1")).to_be_visible()
        if language != "en":
            await expect(page.locator('main [lang="en"]')).to_have_count(0)
        await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        await audit(page, axe)


def at(url: str) -> Open:
    """Return what opens an address."""
    return lambda page: page.goto(url)


async def home_pages(home: Home) -> dict[str, Open]:
    """Return what opens each page of the home, by its template."""
    await home.locate(48.8501, 2.3501)
    await home.post("mqtt:heat", 20.5, ago=3_600)
    bad = await home.post("mqtt:lamp/on?x=1", 7)
    await home.post("mqtt:heating", 19)
    pages = {
        "overview": "/",
        "devices": "/devices",
        "device": f"/device?id={LAMP.id}",
        "history": "/history?id=mqtt:heat",
        "events": "/events",
        "event": f"/events/{bad}",
        "people": "/people",
        "person": "/people/anna",
        "phones": "/phones",
        "settings": "/settings",
        "home_login": "/login",
        "home_failed": "/events/none",
    }
    found = {f"{name}.html": at(f"{home.url}{path}") for name, path in pages.items()}

    async def made_a_key(page: Page) -> None:
        await page.goto(f"{home.url}/phones")
        await page.locator("form[action='/phones/seal'] button").first.click()

    return {**found, "phone_key.html": made_a_key}


async def gateway_pages(world: World) -> dict[str, Open]:
    """Return what opens each page of the gateway, by its template."""
    url = world.gateway.url
    setup = (await asked(world, "admin.link"))["url"]
    phone, again = await link(world), await link(world)

    async def connected(page: Page) -> None:
        await page.goto(phone)
        await page.locator("main button").click()

    async def refused(page: Page) -> None:
        await page.goto(again)
        await page.locator("main button").click()

    async def logged_in(page: Page) -> None:
        await become_admin(page, world)

    return {
        "login.html": at(f"{url}/login"),
        "setup.html": at(setup),
        "setup_over.html": at(f"{url}/setup/none"),
        "add.html": at(phone),
        "phone.html": connected,
        "add_over.html": at(phone),
        "add_failed.html": refused,
        "tag.html": at(f"{url}/tag/abc"),
        "homes.html": logged_in,
        "home.html": at(f"{url}/homes/{world.home.id}"),
        "failed.html": at(f"{url}/homes/none"),
    }


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_of_the_home(home: Home, browser: Browser, axe: str, language: str) -> None:
    """In the language of the browser, whole."""
    async with open_page(browser, expected=REFUSED, locale=language) as page:
        await looked_at(page, axe, language, await home_pages(home))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_of_the_gateway(world: World, browser: Browser, axe: str, language: str) -> None:
    """In the language of the browser, whole."""
    async with world.connected(delivered), open_page(browser, expected=REFUSED, locale=language) as page:
        await looked_at(page, axe, language, await gateway_pages(world))


async def test_no_page_is_left_out(home: Home, world: World) -> None:
    """Each template is one of those."""
    there = {file.name for file in TEMPLATES.glob("*.html") if not file.name.startswith("_")} - BASES
    assert {*await home_pages(home), *await gateway_pages(world)} == there
