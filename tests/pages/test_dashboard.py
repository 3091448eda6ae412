"""The home's pages in a browser: how it goes, devices, events hop by hop, people, with and without scripts."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from playwright.async_api import Browser, expect

from gladys_companion.app import open_daemon
from gladys_companion.app.daemon import Daemon
from gladys_companion.config import Config, Discovery, Local, PersonOptions, PhoneOptions, ZoneOptions
from gladys_companion.ids import new_id
from gladys_companion.model import Device, Event, Feature
from tests.browser import audit, open_page, picture
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.timeout(360)]  # the first of them waits for npm

LAMP = Device(id="virtual:lamp", driver="virtual", name="Lamp <b>&</b>")
FEATURES = [
    Feature(external_id="mqtt:lamp/on?x=1", device=LAMP.id, name="On", category="light", type="binary", min=0, max=1),
    Feature(
        external_id="mqtt:heat", device=LAMP.id, name="Heat", category="temperature-sensor", type="decimal", unit="°C"
    ),
]
FRENCH: dict[str, Any] = {"locale": "fr-FR"}


class Home(Struct):
    daemon: Daemon
    url: str

    async def post(self, external_id: str, value: float, ago: float = 0.0) -> str:
        """Take an event in, as if it had happened so many seconds ago; return its id."""
        clock, event_id = self.daemon.clock, new_id()
        await self.daemon.intake.submit(
            Event(
                id=event_id,
                origin="gateway",
                at=clock.now() - ago,
                received_at=clock.now(),
                deadline=clock.elapsed() + 60 - ago,
                boot=clock.boot,
                external_id=external_id,
                value=value,
                dated=ago > 0,
            )
        )
        return event_id


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    config = Config(
        state_directory=str(tmp_path),
        runtime_directory=str(tmp_path),
        local=Local(listen="127.0.0.1:0"),
        discovery=Discovery(enabled=False),
        drivers={"virtual": {}},
        people={"anna": PersonOptions(name="Anna", phones={"anna": PhoneOptions(user="anna")})},
        zones={"home": ZoneOptions(name="Home", latitude=48.85, longitude=2.35, radius=100, home=True)},
    )
    async with open_daemon(config) as daemon:
        await daemon.opened.wait()
        await daemon.registry.put_device(LAMP, FEATURES)
        assert daemon.local is not None
        yield Home(daemon, f"http://127.0.0.1:{daemon.local[1]}")


async def test_an_event_is_seen_as_it_comes(home: Home, browser: Browser, axe: str) -> None:
    """The overview shows it without a reload; its own page tells each hop."""
    async with open_page(browser) as page:
        await page.goto(home.url)
        await expect(page.get_by_role("heading", name="How it goes")).to_be_visible()
        await home.post("mqtt:heat", 21.5)
        link = page.get_by_role("link", name="mqtt:heat")
        await expect(link).to_be_visible()
        await expect(page.get_by_role("status").last).to_have_text("This page was updated.")
        await audit(page, axe)
        await link.click()
        await expect(page.get_by_role("row", name="virtual")).to_contain_text("verified")
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
    """Those of unknown ids are found by their state, and say how to bind them; a list has pages."""
    await home.post("mqtt:<unknown>", 1)
    for number in range(60):
        await home.post("mqtt:heat", number)
    async with open_page(browser) as page:
        await page.goto(f"{home.url}/events")
        await page.get_by_role("link", name="Older ones").click()
        await page.get_by_role("link", name="mqtt:<unknown>").click()
        await expect(page.get_by_text("gladys-companion alias add mqtt:<unknown>")).to_be_visible()
        await audit(page, axe)
        await page.goto(f"{home.url}/events?state=unbound")
        assert await page.get_by_role("link", name="mqtt:").count() == 1
        await audit(page, axe)


async def test_people_in_french(home: Home, browser: Browser, axe: str) -> None:
    """Who is where and why, on a map, in the browser's language."""
    position = {"_type": "location", "tst": int(time.time()), "lat": 48.851, "lon": 2.351, "acc": 12}
    told = {"app": "owntracks", "user": "anna", "device": None, "gateway_at": time.time(), "raw": position}
    clock = home.daemon.clock
    await home.daemon.intake.submit(
        Event(
            id=new_id(),
            kind="location",
            origin="gateway",
            at=clock.now(),
            received_at=clock.now(),
            deadline=clock.elapsed() + 60,
            boot=clock.boot,
            body=json.dumps(told),
        )
    )
    async with open_page(browser, **FRENCH) as page:
        for path, heading in (("/", "Comment ça va"), ("/devices", "Appareils"), ("/events", "Événements")):
            await page.goto(f"{home.url}{path}")
            await expect(page.get_by_role("heading", name=heading)).to_be_visible()
            await audit(page, axe)
        await page.goto(f"{home.url}/people")
        await page.get_by_role("link", name="Anna").click()
        await expect(page.get_by_role("heading", name="Anna")).to_be_visible()
        await expect(page.get_by_role("img")).to_be_visible()
        await audit(page, axe)
        await picture(page, "home-person")


async def test_without_scripts_and_wrong_addresses(home: Home, browser: Browser) -> None:
    """Everything can be read; what is not there is a page that says so."""
    event_id = await home.post("mqtt:heat", 20)
    missing = ("Failed to load resource: the server responded with a status of 4",)
    async with open_page(browser, java_script_enabled=False, expected=missing) as page:
        for path in ("/", "/devices", "/events", "/people", f"/events/{event_id}", "/history?id=mqtt:heat"):
            await page.goto(f"{home.url}{path}")
            await expect(page.locator("h1")).to_be_visible()
        for path in ("/events/none", "/people/nobody", "/history?id=none", "/events?state=x", "/events?before=x"):
            await page.goto(f"{home.url}{path}")
            await expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
            assert "Traceback" not in await page.content()
