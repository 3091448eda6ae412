"""A phone is set up in a browser: a link, a button, what its apps import, and its first event, live."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import audit, open_page, picture
from tests.gateway_world import World, delivered
from tests.home import SetClock
from tests.mosquitto import open_broker
from tests.needs import needs
from tests.rig import free_port, open_rig

pytestmark = [needs("chromium"), pytest.mark.timeout(360)]  # the first of them waits for npm

FRENCH: dict[str, Any] = {"locale": "fr-FR"}


async def link(world: World, name: str = "Anna's phone", **more: Any) -> str:
    connector = aiohttp.UnixConnector(str(world.gateway.socket))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.post("http://gateway/admin/phone.add", json={"name": name, **more}) as answer,
    ):
        assert answer.status == 200, await answer.text()
        url: str = (await answer.json())["url"]
        return url


async def unfold(page: Page) -> None:
    """Show all that is folded."""
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


async def test_from_a_link_to_the_first_event(world: World, browser: Browser, axe: str) -> None:
    """The link makes a key of the phone's own; the page waits, and shows the test arrive with the time of each hop."""
    async with world.connected(delivered), open_page(browser) as page:
        await page.goto(await link(world))
        await audit(page, axe)
        await picture(page, "add-phone")
        await page.get_by_role("button", name="Connect this phone").click()
        await expect(page.get_by_role("heading", name="Set this phone up")).to_be_visible()
        assert "/add/phone" in page.url
        await expect(page.get_by_role("status")).to_have_text("Waiting for the first event of this phone…")
        await page.get_by_role("button", name="Send a test").click()
        await expect(page.get_by_role("status")).to_contain_text("It arrived")
        await expect(page.get_by_role("row", name="Home")).to_contain_text("ms")
        await unfold(page)
        await audit(page, axe)
        await page.reload()
        await expect(page.get_by_role("status")).to_contain_text("It arrived")
    (key,) = [one for one in world.gateway.accounts.keys(world.home.id) if one.name == "Anna's phone"]
    assert key.last_used is not None


async def test_in_french(world: World, browser: Browser, axe: str) -> None:
    """All of it speaks the browser's language, or the one that is chosen."""
    async with world.connected(delivered), open_page(browser, **FRENCH) as page:
        await page.goto(await link(world))
        assert await page.locator("html").get_attribute("lang") == "fr"
        await audit(page, axe)
        await page.get_by_role("button", name="Relier ce téléphone").click()
        await page.get_by_role("button", name="Envoyer un essai").click()
        await expect(page.get_by_role("status")).to_contain_text("C'est arrivé")
        await unfold(page)
        await audit(page, axe)
        await page.get_by_role("link", name="English").click()
        await expect(page.get_by_role("heading", name="Set this phone up")).to_be_visible()


async def test_without_scripts(world: World, browser: Browser) -> None:
    """Everything can be read and done but copying; a reload shows what came."""
    async with world.connected(delivered), open_page(browser, java_script_enabled=False) as page:
        await page.goto(await link(world))
        await page.get_by_role("button", name="Connect this phone").click()
        await expect(page.get_by_role("status")).to_have_text("Waiting for the first event of this phone…")
        secret = await page.locator("#secret").text_content()
        assert (await world.post("event", key=secret, json={"event": "x"})).status == 200
        await page.reload()
        await expect(page.get_by_role("status")).to_contain_text("It arrived")
        assert await page.get_by_role("button", name="Copy").count() == 0


async def test_what_apps_import(world: World, browser: Browser) -> None:
    """OwnTracks' link and file, and Tasker's profiles, are what these apps read, and open the gateway."""
    async with open_page(browser) as page:
        await page.goto(await link(world, user="anna"))
        await page.get_by_role("button", name="Connect this phone").click()
        secret = await page.locator("#secret").text_content()
        href = await page.get_by_role("link", name="Set OwnTracks up").get_attribute("href")
        assert href is not None
        inline = parse_qs(urlsplit(href).query)["inline"][0]
        configuration = json.loads(base64.b64decode(inline))
        assert (configuration["_type"], configuration["mode"]) == ("configuration", 3)
        assert (configuration["username"], configuration["password"]) == ("anna", secret)
        file = await page.request.get(f"{world.gateway.url}/add/phone/owntracks.otrc")
        assert await file.json() == configuration
        await page.locator("summary", has_text="Tasker").click()
        await page.get_by_label("Name of your Wi-Fi").fill('Maison "<&é')
        await page.get_by_role("button", name="Use this name").click()
        await page.locator("summary", has_text="Tasker").click()
        href = await page.get_by_role("link", name="Import “Gladys: Wi-Fi”").get_attribute("href")
        assert href is not None
        xml = gzip.decompress(base64.b64decode(href.removeprefix("taskerprofile://")))
        root = ET.fromstring(xml)  # noqa: S314 - our own
        assert root.findtext("Profile/State/code") == "160"
        assert root.findtext("Profile/State/Str[@sr='arg0']") == 'Maison "<&é'
        bodies = [json.loads(one.text or "") for one in root.findall("Task/Action/Str[@sr='arg5']")]
        assert [(one["device_feature_external_id"], one["state"]) for one in bodies] == [
            ("phone:anna:presence", 1),
            ("phone:anna:presence", 0),
        ]
        assert f"Authorization:Bearer {secret}" in (root.findtext("Task/Action/Str[@sr='arg3']") or "")
        file = await page.request.get(f"{world.gateway.url}/add/phone/tasker/3")
        assert b"<code>2076</code>" in await file.body()


async def test_a_tag(world: World, browser: Browser, axe: str) -> None:
    """The browser that remembers the key sends when a tag is touched, once; another one says what to do."""
    async with world.connected(delivered) as home, open_page(browser) as page:
        await page.goto(await link(world))
        await page.get_by_role("button", name="Connect this phone").click()
        await page.locator("summary", has_text="NFC tag").click()
        url = await page.locator("#tagurl").text_content()
        assert url is not None
        await page.get_by_role("button", name="Remember in this browser").click()
        await page.goto(url)
        await expect(page.get_by_role("status")).to_have_text("Done.")
        await audit(page, axe)
        await page.goto(url)
        await expect(page.get_by_role("status")).to_have_text("This was sent a moment ago.")
        assert [one["data"]["event"] for one in home.messages] == [f"tag:{url.rpartition('/')[2]}"]
    async with open_page(browser) as page:
        await page.goto(url)
        await expect(page.get_by_role("status")).to_contain_text("knows no key")


async def test_a_link_is_good_once_and_not_for_long(world: World, browser: Browser, axe: str, clock: SetClock) -> None:
    """Looking at it spends nothing; using it does, and so does time. What it made stays made."""
    gone = ("Failed to load resource: the server responded with a status of 410",)
    url = await link(world)
    async with open_page(browser, expected=gone) as page:
        for _ in range(3):
            await page.goto(url)
            await expect(page.get_by_role("button", name="Connect this phone")).to_be_visible()
        await page.get_by_role("button", name="Connect this phone").click()
        await page.goto(url)
        await expect(page.get_by_role("heading", name="This link has ended")).to_be_visible()
        await audit(page, axe)
        late = await link(world, "Another phone")
        clock.pass_by(601)
        await page.goto(late)
        await expect(page.get_by_role("heading", name="This link has ended")).to_be_visible()
        clock.pass_by(1_801)
        await page.goto(f"{world.gateway.url}/add/phone")
        await expect(page.get_by_role("heading", name="This link has ended")).to_be_visible()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "x" * 100, "\"'&{{7*7}}", "é🔑"])
async def test_names_that_are_no_names(world: World, browser: Browser, name: str) -> None:
    """Whatever a phone is called is shown as it is, and does nothing."""
    async with open_page(browser) as page:
        await page.goto(await link(world, name))
        await expect(page.get_by_text(f"This phone becomes “{name}”")).to_be_visible()
        await page.get_by_role("button", name="Connect this phone").click()
        await expect(page.get_by_text(f"“{name}” has its key")).to_be_visible()


async def test_two_that_use_one_link_at_once(world: World) -> None:
    """One of them gets the key, and no other page shows it."""
    url = await link(world)
    async with aiohttp.ClientSession() as http:
        first = await http.post(url, allow_redirects=False)
        second = await http.post(url, allow_redirects=False)
        assert (first.status, second.status) == (303, 410)
        cookie = first.cookies["phone"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/add")
        async with http.get(f"{world.gateway.url}/add/phone", cookies={"phone": "another"}) as answer:
            assert answer.status == 410
        async with http.get(url) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
            assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_bad_wishes(world: World) -> None:
    """A name that a key has, one that is too long, an unknown home: a sentence for the command line."""
    await link(world)
    connector = aiohttp.UnixConnector(str(world.gateway.socket))
    async with aiohttp.ClientSession(connector=connector) as http:
        for wish, status in (({"name": "x" * 10_000}, 422), ({"name": "x", "home": "none"}, 404), ({}, 422)):
            async with http.post("http://gateway/admin/phone.add", json=wish) as answer:
                assert answer.status == status
                assert (await answer.json())["error_message"]


@needs("mosquitto")
async def test_the_way_up_to_gladys(tmp_path: Path, browser: Browser) -> None:
    """With a real gateway, home and broker, the page shows the time of each hop, and Gladys is the last of them."""
    port = free_port()
    async with (
        open_broker(tmp_path) as broker,
        open_rig(
            tmp_path,
            gateway={"public_url": f"http://127.0.0.1:{port}"},
            home={"mqtt": {"port": broker.port}, "sinks.gladys": {}},
            port=port,
        ) as rig,
        open_page(browser) as page,
    ):
        made = await rig.command("gateway", "gateway", "phone", "add", "Anna's phone", "--user", "anna")
        await page.goto(made["url"])
        await page.get_by_role("button", name="Connect this phone").click()
        await page.get_by_role("button", name="Send a test").click()
        await expect(page.get_by_role("status")).to_contain_text("It arrived")
        for hop in ("Home", "Gladys"):
            await expect(page.get_by_role("row", name=hop)).to_contain_text("ms")
        await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
        await picture(page, "phone-set-up")
