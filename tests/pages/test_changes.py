"""What is changed on the home's pages in a browser, with and without scripts; and who is refused."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
import pytest
from playwright.async_api import Browser, Page, expect

from gladys_companion.clock import SYSTEM
from gladys_companion.config import Local
from gladys_companion.errors import ConfigError
from gladys_companion.protocol.owntracks.box import seal
from gladys_companion.web import socket_path
from gladys_companion.web.visitors import Visitors
from tests.browser import audit, open_page, picture
from tests.needs import needs
from tests.pages.home import FRENCH, LAMP, Home, home_config, open_whole_home

pytestmark = [needs("chromium"), pytest.mark.timeout(360)]  # the first of them waits for npm

PASSWORD = "correct horse battery"
REFUSED = ("Failed to load resource: the server responded with a status of 4",)
DEVICE = f"/device?id={LAMP.id}"


async def token(http: aiohttp.ClientSession, url: str) -> str:
    """Return what the forms of a page carry."""
    async with http.get(url) as answer:
        found = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
    assert found is not None
    return found[1]


async def log_in(page: Page, password: str) -> None:
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_device_is_named_tried_and_given_ids(home: Home, browser: Browser, axe: str, *, scripts: bool) -> None:
    """Each form does what it says and leads to a page that shows it."""
    async with open_page(browser, java_script_enabled=scripts) as page:
        await page.goto(f"{home.url}/devices")
        await page.get_by_role("link", name="Lamp <b>&</b>").click()
        await page.get_by_label("Its name").fill("Lampe du salon")
        await page.get_by_role("button", name="Rename").click()
        await expect(page.get_by_role("heading", name="Lampe du salon")).to_be_visible()
        await expect(page.get_by_text("It has its new name.")).to_be_visible()
        if scripts:
            await audit(page, axe)
            await picture(page, "home-device")
        await page.get_by_role("button", name="On: on").click()
        await expect(page.get_by_role("heading", name="mqtt:lamp/on?x=1 = 1")).to_be_visible()
        await page.get_by_role("button", name="Do it once more").click()
        await expect(page.get_by_role("row", name="Because of")).to_be_visible()
        await page.goto(f"{home.url}{DEVICE}")
        await page.get_by_label("Value of Heat").fill("21,5")
        await page.get_by_role("button", name="Set").click()
        await expect(page.get_by_role("heading", name="mqtt:heat = 21.5")).to_be_visible()
        await page.goto(f"{home.url}{DEVICE}")
        more = page.get_by_role("article").filter(has_text="mqtt:heat")
        await more.get_by_text("Ids, and who may command it").click()
        await more.get_by_label("Another id for it").fill("mqtt:warm & <i>")
        await more.get_by_role("button", name="Add").click()
        await expect(page.get_by_text("mqtt:warm & <i>")).to_be_visible()
        await page.get_by_role("button", name="Remove the id mqtt:warm & <i>").click()
        await expect(page.get_by_text("The id means nothing any more.")).to_be_visible()
        assert "mqtt:warm & <i>" not in home.daemon.registry.snapshot.aliases
        lamp = page.get_by_role("article").filter(has_text="mqtt:lamp/on")
        await lamp.get_by_text("Ids, and who may command it").click()
        await lamp.get_by_role("button", name="Let phones command it").click()
        await expect(page.get_by_text("Phones may command it now.")).to_be_visible()
        await lamp.get_by_text("Ids, and who may command it").click()
        await lamp.get_by_role("button", name="Let phones command it no more").click()
        await expect(page.get_by_text("No phone may command it any more.")).to_be_visible()


async def test_an_unknown_id_is_bound_in_one_click(home: Home, browser: Browser, axe: str) -> None:
    """The overview offers the likeliest feature; what waited is delivered. Any other can be chosen at the event."""
    waiting = await home.post("mqtt:heating", 19)
    other = await home.post("mqtt:something-else", 1)
    async with open_page(browser) as page:
        await page.goto(home.url)
        await expect(page.get_by_role("heading", name="Ids that nothing has")).to_be_visible()
        await audit(page, axe)
        await page.get_by_role("button", name="Bind to Lamp <b>&</b>, Heat").click()
        await expect(page.get_by_text("The id means this feature now.")).to_be_visible()
        await page.goto(f"{home.url}/events/{waiting}")
        await expect(page.get_by_text("done", exact=True)).to_be_visible()
        await page.goto(f"{home.url}/events/{other}")
        await page.get_by_label("Or choose").select_option("Lamp <b>&</b>, On")
        await audit(page, axe)
        await page.get_by_role("button", name="Bind", exact=True).click()
        await expect(page.get_by_text("The id means this feature now.")).to_be_visible()
        assert home.daemon.registry.snapshot.aliases["mqtt:something-else"] == "mqtt:lamp/on?x=1"


async def test_settings_hold_at_once_and_after_a_restart(tmp_path: Path, browser: Browser, axe: str) -> None:
    """In French, with a comma; what the file says is shown beside, and holds again after a reset."""
    config = home_config(tmp_path)
    async with open_whole_home(config) as home, open_page(browser, expected=REFUSED, **FRENCH) as page:
        await page.goto(f"{home.url}/settings")
        card = page.get_by_role("article").filter(has_text="presence.leave_dwell")
        await card.get_by_label("Valeur").fill("90,5")
        await card.get_by_role("button", name="Changer").click()
        await expect(page.get_by_text("Le réglage est changé")).to_be_visible()
        await audit(page, axe)
        assert home.daemon.presence.rulebook.options.leave_dwell == 90.5
        await card.get_by_label("Valeur").fill("beaucoup")
        await card.get_by_role("button", name="Changer").click()
        await expect(page.get_by_role("heading", name="Cela n'a pas marché")).to_be_visible()
    async with open_whole_home(config) as home, open_page(browser) as page:
        assert home.daemon.presence.rulebook.options.leave_dwell == 90.5
        await page.goto(f"{home.url}/settings")
        await expect(page.get_by_text("the configuration says 60.0")).to_be_visible()
        await page.get_by_role("button", name="Reset presence.leave_dwell").click()
        await expect(page.get_by_text("The configuration holds again.")).to_be_visible()
        assert home.daemon.presence.rulebook.options.leave_dwell == 60.0


async def test_with_a_password_changes_ask_for_it(home: Home, browser: Browser, axe: str) -> None:
    """From this machine everybody may look; forms are there for who is logged in, until the password is another."""
    await set_password(home, PASSWORD)
    async with open_page(browser, expected=REFUSED) as page:
        await page.goto(f"{home.url}{DEVICE}")
        assert await page.get_by_role("button").count() == 0
        await page.get_by_role("link", name="Log in to change things").click()
        await audit(page, axe)
        await log_in(page, "wrong")
        await expect(page.get_by_role("alert")).to_have_text("This password is wrong.")
        await log_in(page, PASSWORD)
        await expect(page.get_by_role("heading", name="How it goes")).to_be_visible()
        await page.goto(f"{home.url}{DEVICE}")
        await page.get_by_label("Its name").fill("Mine")
        await page.get_by_role("button", name="Rename").click()
        await expect(page.get_by_role("heading", name="Mine")).to_be_visible()
        await set_password(home, f"{PASSWORD} 2")
        await page.get_by_label("Its name").fill("Yours")
        await page.get_by_role("button", name="Rename").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert home.daemon.registry.snapshot.devices[LAMP.id].name == "Mine"
        await log_in(page, f"{PASSWORD} 2")
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_ten_wrong_passwords(home: Home, browser: Browser) -> None:
    """Then also the right one has to wait, and the page says how long."""
    await set_password(home, PASSWORD)
    async with open_page(browser, expected=REFUSED) as page:
        await page.goto(f"{home.url}/login")
        for _ in range(10):
            await log_in(page, "wrong")
            await expect(page.get_by_role("alert")).to_be_visible()
        await log_in(page, PASSWORD)
        await expect(page.get_by_role("alert")).to_contain_text("10 wrong passwords came from this address")


async def set_password(home: Home, password: str) -> None:
    """Set it as the command does, through the socket."""
    connector = aiohttp.UnixConnector(str(socket_path(home.daemon.config)))
    async with (
        aiohttp.ClientSession("http://home", connector=connector) as http,
        http.put("/api/password", json={"password": password}) as answer,
    ):
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize(
    ("headers", "fields", "status"),
    [
        ({}, {}, 200),
        ({"Origin": "https://evil.example"}, {}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, {}, 403),
        ({"Sec-Fetch-Site": "same-site"}, {}, 403),
        ({"Origin": "http://["}, {}, 403),
        ({"Host": "evil.example"}, {}, 421),
        ({}, {"csrf": "guessed"}, 403),
        ({}, {"csrf": ""}, 403),
        ({}, {"name": ""}, 422),
        ({}, {"name": "x" * 10_000}, 422),
        ({}, {"device": "virtual:none"}, 404),
    ],
)
async def test_forms_of_others(home: Home, headers: dict[str, str], fields: dict[str, str], status: int) -> None:
    """A form of another site, or without the page's token, changes nothing; a bad field is told."""
    async with aiohttp.ClientSession() as http:
        wish = {"csrf": await token(http, f"{home.url}{DEVICE}"), "device": LAMP.id, "name": "Renamed"}
        async with http.post(f"{home.url}/devices/rename", data={**wish, **fields}, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == status
    renamed = home.daemon.registry.snapshot.devices[LAMP.id].name == "Renamed"
    assert renamed == (status == 200)
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/devices/set", {"external_id": "mqtt:heat", "value": "warm"}, 422),
        ("/devices/set", {"external_id": "mqtt:heat", "value": "inf"}, 422),
        ("/devices/set", {"external_id": "mqtt:none", "value": "1"}, 404),
        ("/aliases/bind", {"alias": "", "external_id": "mqtt:heat"}, 422),
        ("/aliases/bind", {"alias": "mqtt:lamp/on?x=1", "external_id": "mqtt:heat"}, 409),
        ("/aliases/unbind", {"alias": "none"}, 404),
        ("/events/replay", {"event": "none"}, 404),
        ("/settings/change", {"name": "gateway.listen", "value": "1"}, 404),
        ("/settings/change", {"name": "log_level", "value": "loud"}, 422),
        ("/settings/change", {"name": "retention.events_days", "value": "1"}, 422),
        ("/settings/reset", {"name": "none"}, 404),
        ("/devices/rename", {"device": "<script>alert(1)</script>", "name": "x"}, 404),
        ("/api/devices", {}, 405),
        ("/nowhere", {}, 405),
    ],
)
async def test_bad_wishes(home: Home, path: str, fields: dict[str, str], status: int) -> None:
    """Each is refused with a page that says why, and nothing of it is run."""
    async with aiohttp.ClientSession() as http:
        wish = {"csrf": await token(http, f"{home.url}{DEVICE}"), **fields}
        async with http.post(f"{home.url}{path}", data=wish, headers={"Accept-Language": "fr"}) as answer:
            text = await answer.text()
            assert answer.status == status
    assert "Traceback" not in text
    assert "<script>alert" not in text


async def test_other_machines_give_the_password(tmp_path: Path) -> None:
    """Nothing is listened on before there is one; then browsers log in, and programs send it as HTTP Basic."""
    config = home_config(tmp_path, local=Local(listen="0.0.0.0:0", names=("home.lan",)))
    with pytest.raises(ConfigError, match="password set"):
        async with open_whole_home(config):
            pass
    async with open_whole_home(home_config(tmp_path)) as home:
        await set_password(home, PASSWORD)
    jar = aiohttp.CookieJar(unsafe=True)  # it takes cookies of addresses, as browsers do
    async with open_whole_home(config) as home, aiohttp.ClientSession(cookie_jar=jar) as http:
        assert home.daemon.local is not None
        url = f"http://127.0.0.1:{home.daemon.local[1]}"
        far = {"X-Forwarded-For": "192.0.2.1"}  # what a proxy on this machine says of a visitor from elsewhere
        for name, status in (("home.lan", 200), ("192.0.2.7:8480", 200), ("evil.example", 421)):
            async with http.get(f"{url}/healthz", headers={"Host": name}) as answer:
                assert answer.status == status
        async with http.get(url, headers=far, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        for path in ("/api/status", "/metrics", "/api/events/stream"):
            async with http.get(f"{url}{path}", headers=far) as answer:
                assert (answer.status, (await answer.json())["error_code"]) == (401, "PASSWORD_REQUIRED")
        right, wrong = (aiohttp.encode_basic_auth("prometheus", word) for word in (PASSWORD, "wrong"))
        for given, status in ((right, 200), (right, 200), (wrong, 401), ("Basic !", 401), ("Bearer x", 401)):
            async with http.get(f"{url}/metrics", headers={**far, "Authorization": given}) as answer:
                assert answer.status == status
        async with http.post(f"{url}/login", data={"password": PASSWORD}, headers=far) as answer:
            assert answer.status == 200
            assert "<h1>How it goes</h1>" in await answer.text()
        cookie = answer.history[0].headers["Set-Cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict"))
        async with http.post(f"{url}/login", data={"password": PASSWORD}, headers={"Origin": "http://evil"}) as answer:
            assert answer.status == 403
        async with http.get(f"{url}/api/events/stream", headers=far) as stream:
            await home.post("mqtt:heat", 20)
            assert (await stream.content.readline()).startswith(b"data: ")
            await set_password(home, f"{PASSWORD} 2")
            await home.post("mqtt:heat", 21)
            rest = await stream.content.read()  # it ends
            assert b'"value":21.0' not in rest


async def test_a_password_that_is_not_known_yet_protects(home: Home) -> None:
    """While the database did not tell whether there is one, nobody may change anything."""
    fresh = Visitors(home.daemon.store, SYSTEM)
    before = fresh.protected
    await fresh.load()
    assert (before, fresh.protected) == (True, False)


async def test_tiles_are_asked_of_the_server_that_was_named_and_of_no_other(tmp_path: Path, browser: Browser) -> None:
    """They lie below the map; without an option nobody is asked."""
    tiles = "http://127.0.0.1:9/{z}/{x}/{y}.png"
    local = Local(listen="127.0.0.1:0", map_tiles=tiles)
    async with open_whole_home(home_config(tmp_path, local=local)) as home:
        await home.locate(48.851, 2.351)
        async with open_page(browser, expected=("net::ERR",)) as page:
            async with page.expect_request(re.compile(r"http://127\.0\.0\.1:9/17/\d+/\d+\.png")):
                await page.goto(f"{home.url}/people")
            await expect(page.get_by_role("img")).to_be_visible()
    config = msgspec.structs.replace(home_config(tmp_path), local=Local(listen="127.0.0.1:0"))
    async with open_whole_home(config) as home, open_page(browser) as page:
        await page.goto(f"{home.url}/people")
        shown: Any = await page.locator("svg.map image").count()
        assert shown == 0
        await expect(page.get_by_role("img")).to_be_visible()


async def test_a_phone_gets_its_encryption_key_at_home(home: Home, browser: Browser, axe: str) -> None:
    """By a QR code that the gateway never sees; what is sealed with it is opened, and it is shown once."""
    await home.locate(48.851, 2.351, user="bob")
    async with open_page(browser) as page:
        await page.goto(f"{home.url}/people")
        await page.get_by_role("link", name="Phones").click()
        card = page.get_by_role("article").filter(has_text="bob")
        await expect(card.get_by_text("Messages that wait until it is somebody's: 1")).to_be_visible()
        await audit(page, axe)
        await picture(page, "home-phones")
        await card.get_by_label("Whose it is").select_option("Anna")
        await card.get_by_role("button", name="Note").click()
        await expect(page.get_by_text("It is noted whose the phone is.")).to_be_visible()
        await card.get_by_role("button", name="Make an encryption key").click()
        await expect(page.get_by_role("img", name="QR code of the key")).to_be_visible()
        await audit(page, axe)
        key = await page.locator("pre").inner_text()
        href = await page.get_by_role("link", name="Give OwnTracks the key").get_attribute("href")
        inline = parse_qs(urlsplit(href or "").query)["inline"][0]
        assert json.loads(base64.b64decode(inline)) == {"_type": "configuration", "encryptionKey": key}
        position = {"_type": "location", "tst": int(time.time()) + 1, "lat": 48.86, "lon": 2.36, "acc": 7}
        sealed = json.loads(seal(json.dumps(position).encode(), key))
        await home.tell_position(sealed, user="bob")
        await page.goto(f"{home.url}/people/anna")
        await expect(page.get_by_role("img")).to_be_visible()
        await page.goto(f"{home.url}/phones")
        assert key not in await page.content()
        await expect(page.get_by_text("can not be opened")).to_have_count(0)
        await page.get_by_role("button", name="Forget the key of").click()
        await expect(page.get_by_text("The key is forgotten.")).to_be_visible()
