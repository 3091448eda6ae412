"""The gateway's pages in a browser: an admin is made by a link, logs in, and manages homes, keys and phones."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import audit, open_page, picture
from tests.gateway_world import World, delivered
from tests.home import SetClock
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.timeout(360)]  # the first of them waits for npm

NAME, PASSWORD = "Anna", "correct horse battery"
FAILED = ("Failed to load resource: the server responded with a status of 4",)
FRENCH: dict[str, Any] = {"locale": "fr-FR"}


async def asked(world: World, operation: str, **wish: object) -> Any:  # noqa: ANN401 - JSON
    connector = aiohttp.UnixConnector(str(world.gateway.socket))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.post(f"http://gateway/admin/{operation}", json=wish) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def become_admin(page: Page, world: World) -> None:
    """Open a link, choose name and password, and be logged in."""
    await page.goto((await asked(world, "admin.link"))["url"])
    await page.locator("#name").fill(NAME)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("main button").click()
    await page.wait_for_url("**/homes")


async def test_an_admin_is_made_once_by_a_link(world: World, browser: Browser, axe: str, clock: SetClock) -> None:
    """The link makes one, a second use none; a bad password is told, and the link stays good for another try."""
    async with open_page(browser, expected=FAILED) as page:
        url = (await asked(world, "admin.link"))["url"]
        await page.goto(url)
        await audit(page, axe)
        await page.evaluate("document.querySelector('form').noValidate = true")
        await page.get_by_label("Name").fill(NAME)
        await page.get_by_label("Password").fill("short")
        await page.get_by_role("button", name="Create, and log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("10 to 500 characters")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Create, and log in").click()
        await expect(page.get_by_role("heading", name="Homes")).to_be_visible()
        await audit(page, axe)
        await page.goto(url)
        await expect(page.get_by_role("heading", name="This link has ended")).to_be_visible()
        await audit(page, axe)
        late = (await asked(world, "admin.link"))["url"]
        clock.pass_by(601)
        await page.goto(late)
        await expect(page.get_by_role("heading", name="This link has ended")).to_be_visible()
    assert [one["name"] for one in await asked(world, "admin.list")] == [NAME]


async def test_log_in_and_out(world: World, browser: Browser, axe: str, clock: SetClock) -> None:
    """Only name and password get in; ten wrong ones nobody for a while; a removed admin is out at once."""
    async with open_page(browser) as page:
        await become_admin(page, world)
        await page.get_by_role("button", name="Log Anna out").click()
        await page.wait_for_url("**/login")
        await page.goto(f"{world.gateway.url}/homes")
        assert page.url.endswith("/login")
    async with open_page(browser, expected=FAILED) as page:
        await page.goto(f"{world.gateway.url}/")
        await audit(page, axe)
        for password in ("wrong password", PASSWORD):
            await page.get_by_label("Name").fill(NAME)
            await page.get_by_label("Password").fill(password)
            await page.get_by_role("button", name="Log in").click()
            if password != PASSWORD:
                await expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
        await expect(page.get_by_role("heading", name="Homes")).to_be_visible()
        await asked(world, "admin.remove", name=NAME)
        await page.reload()
        assert page.url.endswith("/login")
        for _ in range(10):
            await page.get_by_label("Name").fill("nobody")
            await page.get_by_label("Password").fill("wrong")
            await page.get_by_role("button", name="Log in").click()
            await expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
        await page.get_by_label("Name").fill("nobody")
        await page.get_by_label("Password").fill("wrong")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("try again in")
        clock.pass_by(901)
        await page.get_by_label("Password").fill("wrong")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")


async def test_keys_and_what_is_held(world: World, browser: Browser, axe: str) -> None:
    """A key is made, shown once, used, renamed, rotated and revoked; what the home has not got yet is shown."""
    async with open_page(browser, size="desktop") as page:
        await become_admin(page, world)
        await expect(page.get_by_text("Never connected yet")).to_be_visible()
        await page.get_by_role("link", name="Home", exact=True).click()
        await page.locator("summary").click()
        form = page.locator("form[action$='/keys']")
        await form.get_by_label("Name").fill("Garage <b>door</b>")
        await form.get_by_label("positions").uncheck()
        await form.get_by_role("button", name="Make the key").click()
        secret = await page.locator("#secret").text_content()
        assert secret is not None
        assert len(secret) == 80
        await audit(page, axe)
        reply = await world.post(json={"device_feature_external_id": "mqtt:door", "state": 1}, key=secret)
        assert reply.body["outcome"] == "held"
        assert (await world.post("owntracks", json={"_type": "location"}, key=secret)).status == 403
        await page.goto(page.url.rsplit("/keys", 1)[0])
        assert secret not in await page.content()
        card = page.locator("article.card", has_text="Garage <b>door</b>")
        await expect(card).to_contain_text("mqtt:door")
        await expect(page.locator("li", has_text="mqtt:door")).to_be_visible()
        await picture(page, "gateway-home")
        await card.get_by_label("Other name").fill("Garage")
        await card.get_by_role("button", name="Rename").click()
        await page.get_by_role("button", name="New secret for Garage").click()
        fresh = await page.locator("#secret").text_content()
        assert fresh not in {None, secret}
        await page.get_by_role("button", name="Revoke Garage").click()
        await expect(page.get_by_role("alert")).to_contain_text("refused from now on")
        assert await page.get_by_role("heading", name="Garage").count() == 0
        assert (await world.post(json={"device_feature_external_id": "x", "state": 1}, key=fresh)).status == 401
        await page.goto(f"{world.gateway.url}/homes")
        await expect(page.get_by_text("Held events: 1.")).to_be_visible()


async def test_a_phone_is_added_from_here(world: World, browser: Browser, axe: str) -> None:
    """The page shows a QR code, whose link sets the phone up; in French."""
    async with world.connected(delivered), open_page(browser, **FRENCH) as page:
        await become_admin(page, world)
        await expect(page.get_by_text("Connectée")).to_be_visible()
        await page.locator("article.card a").click()
        await page.get_by_label("Comment s'appelle le téléphone").fill("Téléphone d'Anna")
        await page.get_by_role("button", name="Créer un lien pour lui").click()
        await expect(page.get_by_alt_text("Code QR")).to_be_visible()
        await audit(page, axe)
        await page.locator("section.card[role=status] a").click()
        await page.get_by_role("button", name="Relier ce téléphone").click()
        await expect(page.get_by_text("« Téléphone d'Anna » a sa clé")).to_be_visible()


async def test_without_scripts(world: World, browser: Browser) -> None:
    """All of it works without."""
    async with open_page(browser, java_script_enabled=False) as page:
        await become_admin(page, world)
        await page.get_by_role("link", name="Home", exact=True).click()
        await page.get_by_label("What the phone is called").fill("Phone 2")
        await page.get_by_role("button", name="Make a link for it").click()
        await expect(page.get_by_alt_text("QR code of the link below")).to_be_visible()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({}, 403),
    ],
)
async def test_forms_of_others(world: World, headers: dict[str, str], status: int) -> None:
    """A form of another site, under another name, or without the session's token changes nothing."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        url = (await asked(world, "admin.link"))["url"]
        async with http.post(url, data={"name": NAME, "password": PASSWORD}, allow_redirects=False) as answer:
            assert answer.status == 303
            cookie = answer.cookies["gateway_session"]
            assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        home = f"{world.gateway.url}/homes/{world.home.id}/keys"
        async with http.post(home, data={"name": "x", "scope": "state"}, headers=headers) as answer:
            assert answer.status == status
            assert "Traceback" not in await answer.text()
    assert "x" not in {key.name for key in world.gateway.accounts.keys(world.home.id)}


@pytest.mark.parametrize("name", ["x" * 10_000, "", "\x00", "<script>"])
async def test_odd_names(world: World, browser: Browser, name: str) -> None:
    """Whatever is typed as a name is taken as it is, or refused in a sentence."""
    async with open_page(browser, expected=FAILED) as page:
        await become_admin(page, world)
        await page.goto(f"{world.gateway.url}/homes/{world.home.id}")
        await page.evaluate("document.querySelectorAll('form').forEach((one) => { one.noValidate = true; })")
        await page.locator("#phone").evaluate("(one, name) => { one.maxLength = 20000; one.value = name; }", name)
        await page.get_by_role("button", name="Make a link for it").click()
        shown = page.get_by_role("status") if name == "<script>" else page.get_by_role("alert")
        await expect(shown).to_be_visible()


async def test_a_home_that_has_fallen_silent_is_shown(world: World, browser: Browser, clock: SetClock) -> None:
    """Also where it is still connected: being connected is not enough."""
    async with world.connected() as home, open_page(browser) as page:
        home.beats = False
        await become_admin(page, world)
        await expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        clock.pass_by(601)
        async with asyncio.timeout(20):
            while await page.get_by_text("Silent: nothing was heard of it since").count() == 0:
                await page.reload()
        await page.get_by_role("link", name="Home", exact=True).click()
        await expect(page.get_by_text("Silent: nothing was heard of it since")).to_be_visible()
