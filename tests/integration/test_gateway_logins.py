"""The official client logs in to our gateway, as Gladys' settings page has it do, and does there what it can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gladys_companion.gateway.logins import Logins, new_login_keys
from tests.gateway_world import World, open_world
from tests.home import SetClock
from tests.npm_modules import Node, node
from tests.totp import App

pytestmark = pytest.mark.timeout(360)  # the first of them waits for npm

EMAIL, PASSWORD = "Anna@Example.org", "correct horse battery staple"


class Person:
    """Somebody at the official client."""

    def __init__(self, client: Node, clock: SetClock) -> None:
        self.client = client
        self.clock = clock

    async def call(self, method: str, *args: object) -> Any:  # noqa: ANN401 - JSON
        """Call a method of the client and return its result, or ``{"failed": ...}``."""
        await self.client.say({"call": [method, *args]})
        told = await self.client.hear()
        return told.get("result", told)

    def fresh(self, app: App) -> str:
        """Wait for the next code of the app, and return it."""
        self.clock.pass_by(30)
        return app.code()

    async def set_up(self) -> App:
        """Log in for the first time, and set the second factor up."""
        begun = await self.call("login", EMAIL, PASSWORD)
        app = App((await self.call("configureTwoFactor", begun["access_token"]))["otpauth_url"], self.clock.now)
        assert await self.call("enableTwoFactor", begun["access_token"], app.code()) == {"two_factor_enabled": True}
        return app

    async def log_in(self, app: App, password: str = PASSWORD) -> dict[str, Any]:
        """Log in with password and code."""
        begun = await self.call("login", EMAIL, password)
        done: dict[str, Any] = await self.call(
            "loginTwoFactor", begun["two_factor_token"], password, self.fresh(app), "Browser"
        )
        return done


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def world(tmp_path: Path, clock: SetClock) -> AsyncIterator[World]:
    async with open_world(tmp_path, clock=clock) as world:
        await Logins(world.gateway.accounts).create(EMAIL, None, new_login_keys(EMAIL, PASSWORD))
        yield world


@pytest.fixture
async def anna(npm_modules: Path, world: World, clock: SetClock) -> AsyncIterator[Person]:
    async with node(npm_modules, "account.cjs", world.gateway.url) as client:
        yield Person(client, clock)


async def test_log_in_and_set_up_a_second_factor(anna: Person) -> None:
    """Password, then a code of an app: neither a wrong one nor one that was used gets anybody in."""
    wrong = await anna.call("login", EMAIL, "wrong password")
    assert (wrong["failed"]["status"], wrong["failed"]["body"]["error_code"]) == (403, "FORBIDDEN")
    nobody = await anna.call("login", "nobody@example.org", PASSWORD)
    assert nobody["failed"]["status"] == 404
    begun = await anna.call("login", EMAIL, PASSWORD)
    token = begun["access_token"]
    app = App((await anna.call("configureTwoFactor", token))["otpauth_url"], anna.clock.now)
    assert (await anna.call("enableTwoFactor", token, "000000"))["failed"]["status"] == 403
    assert await anna.call("enableTwoFactor", token, app.code()) == {"two_factor_enabled": True}
    assert (await anna.call("configureTwoFactor", token))["failed"]["status"] == 403
    token = (await anna.call("login", EMAIL, PASSWORD))["two_factor_token"]
    for code in ("000000", app.code(), app.code(-300), app.code(300), ""):
        assert (await anna.call("loginTwoFactor", token, PASSWORD, code))["failed"]["status"] == 403
    done = await anna.call("loginTwoFactor", token, PASSWORD, anna.fresh(app), "Browser")
    assert done["gladysUserId"] is None
    assert len(done["rsaPublicKeyFingerprint"]) == 95  # its private keys were opened with the password
    assert (await anna.call("getMyself"))["email"] == EMAIL.lower()


async def test_gladys_connects_as_an_instance(anna: Person, world: World) -> None:
    """It makes its instance, connects, gets what a phone posts, and acks it."""
    app = await anna.set_up()
    begun = await anna.call("login", EMAIL, PASSWORD)
    await anna.call("loginInstance", begun["two_factor_token"], anna.fresh(app))
    await world.gateway.accounts.revoke_instance(None, world.paired.instance.value.id)
    await anna.client.say({"instance": ["raspberry"]})
    made = (await anna.client.hear())["instance"]
    assert made["name"] == "raspberry"
    (user,) = await anna.call("getUsersInstance")
    assert (user["connected"], user["gladys_4_user_id"]) == (False, None)
    assert await anna.call("calculateLatency") >= 0
    reply = await world.post(json={"device_feature_external_id": "mqtt:phone", "state": 1})
    assert reply.status == 200
    message = (await anna.client.hear())["message"]
    assert message["data"] == {"device_feature_external_id": "mqtt:phone", "state": 1}
    assert (await anna.call("getBackups"))["failed"]["body"]["error_code"] == "NOT_OFFERED"
    await anna.client.say({"events": ["clear-key-cache", "clear-connected-users-list"]})
    await Logins(world.gateway.accounts).set_password(EMAIL, new_login_keys(EMAIL, "another password"))
    assert [(await anna.client.hear())["event"] for _ in range(2)] == ["clear-key-cache", "clear-connected-users-list"]


async def test_open_api_keys(anna: Person, world: World) -> None:
    """Made, listed, renamed and revoked by the settings page; the key opens what it should, until it is revoked."""
    await anna.log_in(await anna.set_up())
    made = await anna.call("createApiKey", "Phone")
    assert (made["name"], len(made["api_key"])) == ("Phone", 80)
    state = {"device_feature_external_id": "mqtt:phone", "state": 1}
    async with world.connected():
        assert (await world.post(json=state, key=made["api_key"])).status == 200
    listed = {one["id"]: one for one in await anna.call("getApiKeys")}
    assert listed[made["id"]]["last_used"] is not None
    assert "api_key" not in listed[made["id"]]
    assert (await anna.call("updateApiKeyName", made["id"], "Old phone"))["name"] == "Old phone"
    assert await anna.call("revokeApiKey", made["id"]) == {"success": True}
    assert made["id"] not in {one["id"] for one in await anna.call("getApiKeys")}
    assert (await world.post(json=state, key=made["api_key"])).status == 401
    assert (await anna.call("revokeApiKey", made["id"]))["failed"]["status"] == 409
    assert (await anna.call("revokeApiKey", "nothing"))["failed"]["status"] == 404


async def test_devices_and_refreshed_tokens(anna: Person, clock: SetClock) -> None:
    """An access token ends after an hour, a refresh token when its device is logged out."""
    done = await anna.log_in(await anna.set_up())
    clock.pass_by(3_601)
    assert (await anna.call("getMyself"))["email"] == EMAIL.lower()  # the client refreshes its token
    (device,) = await anna.call("getDevices")
    assert (device["id"], device["name"]) == (done["deviceId"], "Browser")
    assert await anna.call("revokeDevice", device["id"]) == {"id": device["id"], "revoked": True}
    assert (await anna.call("getAccessToken", done["refreshToken"]))["failed"]["status"] == 403
    assert (await anna.call("getAccessToken", "garbage"))["failed"]["status"] == 401
    assert (await anna.call("getMyself"))["failed"]["status"] == 403  # its access token ended as well


async def test_another_password_ends_what_began_with_the_old_one(anna: Person, world: World) -> None:
    """Set at the gateway, it logs out everywhere at once, also who was about to set a second factor up."""
    begun = (await anna.call("login", EMAIL, PASSWORD))["access_token"]
    app = await anna.set_up()
    await anna.log_in(app)
    logins = Logins(world.gateway.accounts)
    await logins.reset_two_factor(EMAIL)
    await logins.set_password(EMAIL, new_login_keys(EMAIL, "another password"))
    assert (await anna.call("configureTwoFactor", begun))["failed"]["status"] == 401
    assert (await anna.call("getMyself"))["failed"]["status"] == 403
    assert "access_token" in await anna.call("login", EMAIL, "another password")


async def test_what_one_may_change(anna: Person, world: World) -> None:
    """Name, language, the user in Gladys, and the password, with which the keys are opened from then on."""
    app = await anna.set_up()
    await anna.log_in(app)
    changed = await anna.call("updateMyself", "Anna", EMAIL, "a better password", "fr-FR")
    assert (changed["name"], changed["language"]) == ("Anna", "fr")
    assert (await anna.call("updateMyself", "Anna", "other@example.org", "", "fr"))["failed"]["status"] == 422
    await anna.call("updateUserIdInGladys", "the-user-of-gladys")
    assert world.gateway.accounts.home().gladys_user_id == "the-user-of-gladys"
    assert (await anna.call("login", EMAIL, PASSWORD))["failed"]["status"] == 403
    done = await anna.log_in(app, "a better password")
    assert done["gladysUserId"] == "the-user-of-gladys"
    assert (await anna.call("getSetupState"))["user_gladys_acccount_linked"]
    assert [one["name"] for one in await anna.call("getUsersInAccount")] == ["Anna"]


async def test_what_is_not_offered(anna: Person) -> None:
    """Payment, backups, AI, assistants, cameras and a dashboard get a clear code, and nothing hangs."""
    done = await anna.log_in(await anna.set_up())
    for method, *args in (
        ("signup", "Bob", "bob@example.org", "password", "en"),
        ("confirmEmail", "token"),
        ("forgotPassword", EMAIL),
        ("getResetPasswordEmail", "token"),
        ("inviteUser", "bob@example.org", "user"),
        ("getInvitation", "token"),
        ("getCurrentPlan",),
        ("getInvoices",),
        ("getCard",),
        ("getBackups",),
        ("initializeMultiPartBackup", {}),
        ("openAIAsk", {}),
        ("ttsGetToken", {}),
        ("googleHomeRequestSync",),
        ("alexaRequestSync",),
        ("initializeEnedis",),
        ("getEcowattSignals", "4.86.1"),
        ("getEdfTempo", "4.86.1"),
        ("cameraStartStreaming",),
        ("getLatestGladysVersion", "4.86.1", {}),
    ):
        failed = (await anna.call(method, *args))["failed"]
        assert (failed["status"], failed["body"]["error_code"]) == (501, "NOT_OFFERED"), method
    assert (await anna.call("adminGetAccounts"))["failed"]["body"]["error_code"] == "ROUTE_NOT_FOUND"
    assert "failed" in await anna.call("userConnect", done["refreshToken"], done["serializedKeys"])


async def test_wrong_passwords_are_counted(anna: Person, clock: SetClock) -> None:
    """After ten wrong ones in a quarter of an hour nobody gets in, not even with the right one, for a while."""
    for _ in range(10):
        assert (await anna.call("login", EMAIL, "wrong"))["failed"]["status"] == 403
    refused = (await anna.call("login", EMAIL, PASSWORD))["failed"]
    assert (refused["status"], refused["body"]["error_code"]) == (429, "TOO_MANY_REQUESTS")
    clock.pass_by(901)
    assert "access_token" in await anna.call("login", EMAIL, PASSWORD)


async def test_tokens_open_only_their_own_step(anna: Person, world: World, clock: SetClock) -> None:
    """The token of one step of a login is none for another, one of an instance is none of a user, and they end."""
    begun = await anna.call("login", EMAIL, PASSWORD)
    configure = begun["access_token"]
    instance = world.gateway.accounts.access_token(world.paired.instance.secret)
    for token in (configure, instance, "garbage", ""):
        own = {"Authorization": token}
        assert (await world.ask("GET", "/users/me", headers=own)).status == 401
        code = await world.ask("POST", "/users/login-two-factor", json={"two_factor_code": "1"}, headers=own)
        assert code.status == 401
    assert (await world.ask("GET", "/instances/users", headers={"Authorization": configure})).status == 401
    app = await anna.set_up()
    token = (await anna.call("login", EMAIL, PASSWORD))["two_factor_token"]
    clock.pass_by(121)
    assert (await anna.call("loginTwoFactor", token, PASSWORD, app.code()))["failed"]["status"] == 401


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/users/login-salt", b"{", 400),
        ("/users/login-salt", b"{}", 422),
        ("/users/login-salt", b'{"email":5}', 422),
        ("/users/login-generate-ephemeral", b'{"email":"anna@example.org"}', 422),
        ("/users/login-finalize", b'{"login_session_key":"x","client_session_proof":"y"}', 404),
        ("/users/two-factor-configure", b"{}", 401),
        ("/instances", b"{}", 401),
        ("/devices/x/revoke", b"{}", 401),
    ],
)
async def test_bad_bodies(world: World, path: str, body: bytes, status: int) -> None:
    """What is no login is refused, in a sentence."""
    reply = await world.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert reply.status == status
    assert reply.body["error_message"]


@pytest.mark.parametrize("public", ["0", "00" * 256, "zz", ""])
async def test_an_ephemeral_that_opens_everything(world: World, public: str) -> None:
    """A client's value of zero would make the key known without the password: it is refused."""
    body = {"email": EMAIL, "client_ephemeral_public": public}
    begun = await world.ask("POST", "/users/login-generate-ephemeral", json=body)
    proof = {"login_session_key": begun.body["login_session_key"], "client_session_proof": "00" * 32}
    assert (await world.ask("POST", "/users/login-finalize", json=proof)).status == 422


async def test_nothing_of_a_password_is_kept(world: World, tmp_path: Path) -> None:
    """Neither it nor what opens as much as it does is in the database, nor in a representation."""
    login = Logins(world.gateway.accounts).one(EMAIL)
    shown = repr(login) + repr(new_login_keys(EMAIL, PASSWORD))
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*.db*"))  # noqa: ASYNC240 - small
    assert login.email.encode() in kept
    assert PASSWORD.encode() not in kept
    assert login.srp_verifier not in shown
    assert "wrappedKey" not in shown
    assert msgspec.json.decode(login.rsa_encrypted_private_key)["wrappedKey"]
