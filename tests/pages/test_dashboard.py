"""The home's pages in a browser: how it goes, devices, events hop by hop, people, with and without scripts."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, expect
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.config import Discovery
from tests.browser import audit, open_page, picture
from tests.linking import until
from tests.needs import needs
from tests.pages.home import FRENCH, Home, home_config, open_whole_home

pytestmark = [needs("chromium"), pytest.mark.timeout(360)]  # the first of them waits for npm


async def test_an_event_is_seen_as_it_comes(home: Home, browser: Browser, axe: str) -> None:
    """The overview shows it without a reload; its own page tells each hop."""
    async with open_page(browser) as page:
        await page.goto(home.url)
        await expect(page.get_by_role("heading", name="How it goes")).to_be_visible()
        await home.post("mqtt:heat", 21.5)
        await picture(page, "home-overview")
        link = page.get_by_role("link", name="mqtt:heat")
        await expect(link).to_be_visible()
        await expect(page.get_by_role("status").last).to_have_text("This page was updated.")
        await audit(page, axe)
        await link.click()
        await expect(page.get_by_role("row", name="virtual")).to_contain_text("delivered, and seen to be so")
        await audit(page, axe)
        await picture(page, "home-event")


async def test_devices_and_their_past(home: Home, browser: Browser, axe: str) -> None:
    """Found by any of their names; each feature has its value, and a drawn past."""
    for hour in range(20):
        await home.post("mqtt:heat", 18 + hour % 5, ago=3_600.0 * (20 - hour))
    async with open_page(browser, size="desktop") as page:
        await page.goto(f"{home.url}/devices")
        await expect(page.get_by_role("heading", name="Lamp <b>&</b>")).to_be_visible()
        await audit(page, axe)
        await page.get_by_label("Name, id or external id").fill("nothing")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_text("No device is known here by that.")).to_be_visible()
        await page.get_by_label("Name, id or external id").fill("HEAT")
        await page.get_by_role("button", name="Search").click()
        await page.get_by_role("link", name="mqtt:heat").click()
        await expect(page.get_by_role("img", name="From 18 °C to 22 °C")).to_be_visible()
        await audit(page, axe)
        await picture(page, "home-history")
        await page.get_by_role("link", name="A week").click()
        await expect(page.get_by_role("img", name="From 18 °C to 22 °C")).to_be_visible()
        await page.goto(f"{home.url}/history?id=mqtt:lamp/on%3Fx%3D1")
        await expect(page.get_by_text("There are no numbers of that time.")).to_be_visible()


async def test_events_that_wait(home: Home, browser: Browser, axe: str) -> None:
    """Those of unknown ids are found by their state; a list has pages."""
    await home.post("mqtt:<unknown>", 1)
    for number in range(60):
        await home.post("mqtt:heat", number)
    async with open_page(browser) as page:
        await page.goto(f"{home.url}/events")
        await page.get_by_role("link", name="Older ones").click()
        await page.get_by_role("link", name="mqtt:<unknown>").click()
        await expect(page.get_by_role("heading", name="What does this id mean?")).to_be_visible()
        await audit(page, axe)
        await page.goto(f"{home.url}/events?state=unbound")
        assert await page.get_by_role("link", name="mqtt:").count() == 1
        await audit(page, axe)


async def test_people_in_french(home: Home, browser: Browser, axe: str) -> None:
    """Who is where and why, on a map, in the browser's language."""
    for minutes in range(30, 0, -2):  # home from 3 km away
        await home.locate(48.85 + 0.0002 * minutes**1.5, 2.35 + 0.001 * minutes, ago=60 * minutes - 50)
    async with open_page(browser, **FRENCH) as page:
        for path, heading in (("/", "Comment ça va"), ("/devices", "Appareils"), ("/events", "Événements")):
            await page.goto(f"{home.url}{path}")
            await expect(page.get_by_role("heading", name=heading)).to_be_visible()
            await expect(page.locator('main [lang="en"]')).to_have_count(0)
            await audit(page, axe)
        await page.goto(f"{home.url}/people")
        await page.get_by_role("link", name="Anna").click()
        await expect(page.get_by_role("heading", name="Anna")).to_be_visible()
        await expect(page.get_by_role("img")).to_be_visible()
        await expect(page.get_by_text("absent depuis").first).to_be_visible()
        await expect(page.locator('main [lang="en"]')).to_have_count(0)
        await audit(page, axe)
        await picture(page, "home-person")


async def test_without_scripts_and_wrong_addresses(home: Home, browser: Browser) -> None:
    """Everything can be read; what is not there is a page that says so."""
    event_id = await home.post("mqtt:heat", 20)
    missing = ("Failed to load resource: the server responded with a status of 4",)
    async with open_page(browser, java_script_enabled=False, expected=missing) as page:
        for path in (
            "/",
            "/devices",
            "/events",
            "/people",
            "/settings",
            f"/events/{event_id}",
            "/history?id=mqtt:heat",
        ):
            await page.goto(f"{home.url}{path}")
            await expect(page.locator("h1")).to_be_visible()
        for path in ("/events/none", "/people/nobody", "/history?id=none", "/events?state=x", "/events?before=x"):
            await page.goto(f"{home.url}{path}")
            await expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
            assert "Traceback" not in await page.content()


async def test_what_is_found_and_not_used_is_shown(tmp_path: Path, browser: Browser) -> None:
    """A lamp whose driver is off is there with what to do, in the browser's language."""
    config = home_config(tmp_path, discovery=Discovery(interfaces=("127.0.0.1",)))
    info = AsyncServiceInfo(
        "_wled._tcp.local.",
        "kitchen._wled._tcp.local.",
        port=80,
        properties={"mac": "a8032ab12345"},
        server="kitchen.local.",
        parsed_addresses=["127.0.0.1"],
    )
    async with open_whole_home(config) as home, AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf:
        await (await zeroconf.async_register_service(info))
        await until(lambda: any(one.name.startswith("kitchen") for one in home.daemon.scan()))
        async with open_page(browser, **FRENCH) as page:
            await page.goto(f"{home.url}/devices")
            found = page.get_by_role("listitem").filter(has_text="kitchen")
            await expect(found).to_contain_text("C'est une lampe WLED : activez son pilote avec [drivers.wled]")


def damage(directory: Path) -> None:
    """Write over a database, and what belongs to it."""
    for file in directory.glob("companion.db*"):
        file.write_bytes(bytes(100_000))


async def test_a_damaged_database_is_shown(home: Home, tmp_path: Path) -> None:
    """How it goes is shown all the same, with what is wrong; other pages say it in a sentence."""
    await asyncio.to_thread(damage, tmp_path)
    async with aiohttp.ClientSession() as http:
        async with http.get(home.url) as answer:
            text = await answer.text()
            assert answer.status == 200
        assert re.search(r'href="#store">Database</a> <span class="state fail">mend this', text)
        async with http.get(f"{home.url}/events") as answer:
            assert answer.status == 503
            assert "is damaged" in await answer.text()
