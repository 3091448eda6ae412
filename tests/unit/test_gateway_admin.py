"""The gateway's quieter routes over real sockets: instances and pairing over TCP, administration over a Unix socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector, web
from aiohttp.test_utils import TestClient, TestServer

from gladys_companion.errors import RequestError
from gladys_companion.gateway.admin import OPERATIONS, admin_routes, perform
from gladys_companion.gateway.answers import answer_errors
from gladys_companion.gateway.instances import instance_routes
from tests.gateway_storage import Gateway, open_gateway

Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def public(gateway: Gateway) -> AsyncIterator[Client]:
    """Serve the routes of instances; the sender's address is what a test says in a header."""
    app = web.Application(middlewares=[answer_errors])
    app.add_routes(
        instance_routes(gateway.accounts, gateway.clock, lambda request: request.headers.get("X-Sender", ""))
    )
    async with TestClient(TestServer(app)) as client:
        yield client


@asynccontextmanager
async def administration(gateway: Gateway, directory: Path) -> AsyncIterator[ClientSession]:
    """Serve the admin routes on a Unix socket."""
    app = web.Application(middlewares=[answer_errors])
    app.add_routes(admin_routes(gateway.accounts))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(directory / "gateway.sock")).start()
    try:
        async with ClientSession("http://gateway", connector=UnixConnector(str(directory / "gateway.sock"))) as session:
            yield session
    finally:
        await runner.cleanup()


async def pair(client: Client, code: str, sender: str = "") -> tuple[int, dict[str, Any]]:
    async with client.post("/pair", json={"code": code, "name": "Companion"}, headers={"X-Sender": sender}) as response:
        return response.status, await response.json()


async def get(client: Client, path: str, token: str) -> tuple[int, Any]:
    async with client.get(path, headers={"Authorization": token} if token else {}) as response:
        return response.status, await response.json()


async def test_companion_pairs_and_gets_a_token(tmp_path: Path) -> None:
    """A code becomes an instance, its refresh token an access token, and that opens the list of users."""
    async with open_gateway(tmp_path) as gateway, public(gateway) as client:
        home = await gateway.accounts.create_home("Home")
        code = (await gateway.accounts.pair_code()).secret
        status, paired = await pair(client, code)
        instance = gateway.accounts.instances()[0]
        assert status == 200
        assert paired == {
            "instance_id": instance.id,
            "home_id": home.id,
            "home_name": "Home",
            "refresh_token": paired["refresh_token"],
            "primary": True,
        }
        status, body = await get(client, "/instances/access-token", paired["refresh_token"])
        assert (status, list(body)) == (200, ["access_token"])
        assert await get(client, "/instances/users", body["access_token"]) == (200, [])
        await gateway.accounts.revoke_instance(None, instance.id)
        status, refused = await get(client, "/instances/access-token", paired["refresh_token"])
        assert (status, refused["status"], refused["error_code"]) == (403, 403, "FORBIDDEN")
        status, refused = await get(client, "/instances/users", body["access_token"])
        assert (status, refused["error_code"]) == (401, "UNAUTHORIZED")


async def test_second_instance_is_told_that_it_is_not_primary(tmp_path: Path) -> None:
    """Who pairs a second companion learns why nothing arrives there, and what to type."""
    async with open_gateway(tmp_path) as gateway, public(gateway) as client:
        await gateway.accounts.create_home("Home")
        await pair(client, (await gateway.accounts.pair_code()).secret)
        _, second = await pair(client, (await gateway.accounts.pair_code()).secret)
        assert second["primary"] is False
        assert f"`gladys-companion gateway home primary {second['instance_id']}`" in second["warning"]


async def test_instance_says_goodbye(tmp_path: Path) -> None:
    """With its refresh token an instance ends its pairing, as often as it likes; the next one is primary."""
    async with open_gateway(tmp_path) as gateway, public(gateway) as client:
        home = await gateway.accounts.create_home("Home")
        _, paired = await pair(client, (await gateway.accounts.pair_code()).secret)
        for _ in range(2):
            async with client.post("/unpair", headers={"Authorization": paired["refresh_token"]}) as response:
                assert response.status == 200
                assert await response.json() == {"instance_id": paired["instance_id"], "home_id": home.id}
        assert gateway.accounts.home().primary_instance is None
        assert (await get(client, "/instances/access-token", paired["refresh_token"]))[0] == 403
        async with client.post("/unpair", headers={"Authorization": "garbage"}) as response:
            assert (response.status, (await response.json())["error_code"]) == (401, "UNAUTHORIZED")
        _, again = await pair(client, (await gateway.accounts.pair_code()).secret)
        assert again["primary"] is True


async def test_user_is_listed_only_with_keys(tmp_path: Path) -> None:
    """The official client dies of a user without public keys, so only one with keys is listed, as Plus does."""
    async with open_gateway(tmp_path) as gateway, public(gateway) as client:
        home = await gateway.accounts.create_home("Home", "Ada")
        _, paired = await pair(client, (await gateway.accounts.pair_code()).secret)
        token = gateway.accounts.access_token(paired["refresh_token"])
        rsa, ecdsa = '{"kty":"RSA"}', '{"kty":"EC"}'
        members = {"gladys_user_id": "ada-at-home", "rsa_public_key": rsa, "ecdsa_public_key": ecdsa}
        await perform(gateway.accounts, "home.user", members)
        user = {
            "id": home.user_id,
            "name": "Ada",
            "rsa_public_key": rsa,
            "ecdsa_public_key": ecdsa,
            "gladys_4_user_id": "ada-at-home",
            "connected": False,
        }
        assert await get(client, "/instances/users", token) == (200, [user])
        for wrong in ("not JSON", '{"kty":"EC"}', "[]"):
            with pytest.raises(RequestError, match="rsa_public_key"):
                await perform(gateway.accounts, "home.user", {"rsa_public_key": wrong})


@pytest.mark.parametrize("path", ["/instances/access-token", "/instances/users"])
@pytest.mark.parametrize("token", ["", "garbage", "Bearer garbage", "a.b.c"])
async def test_garbage_token_is_401(tmp_path: Path, path: str, token: str) -> None:
    """Without a token of ours nothing opens, and the body is shaped as Gladys' own."""
    async with open_gateway(tmp_path) as gateway, public(gateway) as client:
        status, body = await get(client, path, token)
        assert (status, body["status"], body["error_code"]) == (401, 401, "UNAUTHORIZED")
        assert set(body) == {"status", "error_code", "error_message"}


async def test_address_has_five_tries(tmp_path: Path) -> None:
    """Wrong codes of one address are counted whatever they are; another address, or ten minutes, begins anew."""
    async with open_gateway(tmp_path) as gateway, public(gateway) as client:
        await gateway.accounts.create_home("Home")
        code = (await gateway.accounts.pair_code()).secret
        wrong = ("AAAA" if code[:4] != "AAAA" else "BBBB") + code[4:]
        for _ in range(5):
            assert (await pair(client, wrong, "a"))[0] == 403
        async with client.post("/pair", json={"code": code}, headers={"X-Sender": "a"}) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "601")
        assert (await pair(client, code, "b"))[0] == 200
        gateway.clock.pass_by(601)
        assert (await pair(client, (await gateway.accounts.pair_code()).secret, "a"))[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "BAD_REQUEST"),
        (b"\xff", 400, "BAD_REQUEST"),
        (b"", 422, "INVALID_FIELD"),
        (b"[]", 422, "INVALID_FIELD"),
        (b'{"code": 1}', 422, "INVALID_FIELD"),
        (b'{"code": "AAAAAAAA", "name": ""}', 422, "INVALID_FIELD"),
        (b'{"code": ""}', 403, "PAIRING_REFUSED"),
    ],
)
async def test_bad_pairing_is_answered(tmp_path: Path, body: bytes, status: int, code: str) -> None:
    """What is no request is told so, and never a 500."""
    async with (
        open_gateway(tmp_path) as gateway,
        public(gateway) as client,
        client.post("/pair", data=body) as response,
    ):
        assert (response.status, (await response.json())["error_code"]) == (status, code)


async def test_keys_are_managed_over_the_unix_socket(tmp_path: Path) -> None:
    """Create, list, rename, rotate and revoke: each answer is what the command line prints, only two show a secret."""
    async with open_gateway(tmp_path) as gateway, administration(gateway, tmp_path) as session:

        async def do(operation: str, **members: Any) -> Any:  # noqa: ANN401 - JSON
            async with session.post(f"/admin/{operation}", json=members) as response:
                assert response.status == 200, await response.text()
                return await response.json()

        await do("home.create", name="Home")
        made = await do("key.create", name="Phone", scopes=["state", "event"], allowed_ids=["mqtt:a"])
        gateway.storage.key_for(made["secret"])
        assert made["key"]["scopes"] == ["event", "state"]
        assert (await do("key.rename", key="Phone", name="Tablet"))["id"] == made["key"]["id"]
        new = await do("key.rotate", key="Tablet")
        assert new["key"]["old_secret_until"] == gateway.clock.now() + 7 * 86_400
        (listed,) = await do("key.list")
        assert (listed["name"], listed["prefix"], listed["last_used"]) == (
            "Tablet",
            new["secret"][:6],
            gateway.clock.now(),
        )
        assert listed["allowed_ids"] == ["mqtt:a"]
        assert made["secret"] not in json.dumps(listed)
        revoked = await do("key.revoke", key="Tablet")
        assert "iPhone" in revoked["warning"]
        assert revoked["key"]["revoked_at"] == gateway.clock.now()
        with pytest.raises(RequestError, match="revoked"):
            gateway.storage.key_for(new["secret"])
        async with session.post("/admin/key.revoke", json={"key": "Tablet"}) as response:
            assert (response.status, (await response.json())["error_code"]) == (409, "ALREADY_REVOKED")
        async with session.post("/admin/key.revoke", json={"key": "Watch"}) as response:
            assert (response.status, (await response.json())["error_code"]) == (404, "KEY_NOT_FOUND")
        async with session.post("/admin/key.create", json={"name": "x", "scope": "all"}) as response:
            assert (response.status, (await response.json())["error_code"]) == (422, "INVALID_FIELD")
        async with session.post("/admin/nothing") as response:
            assert (response.status, (await response.json())["error_code"]) == (404, "UNKNOWN_OPERATION")


async def test_homes_are_managed_without_a_running_gateway(tmp_path: Path) -> None:
    """The same operations on an open storage, as the command line does when nobody serves."""
    async with open_gateway(tmp_path) as gateway:
        accounts = gateway.accounts
        home = await perform(accounts, "home.create", {"name": "Home", "user_name": "Ada"})
        code = await perform(accounts, "home.pair-code", {})
        assert code == {
            "code": code["code"],
            "home_id": home["id"],
            "home_name": "Home",
            "expires_at": gateway.clock.now() + 600,
        }
        first = await accounts.pair(code["code"], "First")
        second = await accounts.pair((await perform(accounts, "home.pair-code", {"home": "Home"}))["code"], "Second")
        changed = await perform(accounts, "home.primary", {"instance": "Second"})
        assert changed["primary_instance"] == second.instance.value.id
        revoked = await perform(accounts, "instance.revoke", {"instance": "First"})
        assert revoked["id"] == first.instance.value.id
        listed = await perform(accounts, "instance.list", {})
        assert [(one["name"], one["primary"], one["connected"]) for one in listed] == [
            ("First", False, False),
            ("Second", True, False),
        ]
        (shown,) = await perform(accounts, "home.list", {})
        assert (shown["instances"], shown["keys"], shown["held_events"], shown["held_bytes"]) == (1, 0, 0, 0)
        with pytest.raises(RequestError, match="home"):
            await perform(accounts, "home.remove", {})
        await perform(accounts, "home.remove", {"home": home["id"]})
        assert await perform(accounts, "home.list", {}) == []


def test_every_operation_tells_what_it_answers() -> None:
    """The docstring of an operation is its reference: it names the operation first."""
    for name, operation in OPERATIONS.items():
        assert (operation.__doc__ or "").startswith(f"``{name}``:")
