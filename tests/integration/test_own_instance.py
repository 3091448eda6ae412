"""``pair`` with Gladys Plus: a login by e-mail, password and code in a terminal, and what it refuses to do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gladys_companion.errors import AuthError
from gladys_companion.gateway.logins import Logins, new_login_keys
from gladys_companion.gateway.totp import url
from gladys_companion.link.plus import Plus, is_ours
from tests.gateway_world import open_world
from tests.home import SetClock
from tests.inline import heard
from tests.npm_modules import Node, node
from tests.odd_gateway import message
from tests.processes import Process
from tests.rig import free_port
from tests.terminal import Terminal, terminal
from tests.totp import App

pytestmark = pytest.mark.timeout(360)  # the first of them waits for npm

EMAIL, PASSWORD, CODE = "anna@example.org", "correct horse battery", "123456"
ASKED = "Make the companion an instance of its own?"


@pytest.fixture
async def plus(npm_modules: Path) -> AsyncIterator[tuple[Node, str]]:
    """A server that plays Gladys Plus, and where it is."""
    async with node(npm_modules, "plus-account.cjs", EMAIL, PASSWORD) as running:
        yield running, f"http://127.0.0.1:{(await heard(running, 'port'))['port']}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "home.toml"
    own = f'state_directory = "{tmp_path}/state"\nruntime_directory = "{tmp_path}"\nlog_level = "debug"\n'
    local = f'[discovery]\nenabled = false\n[local]\nlisten = "127.0.0.1:{free_port()}"\n[drivers.virtual]\n'
    file.write_text(own + local, "utf-8")
    (tmp_path / "state").mkdir(mode=0o700)
    return file


async def type_login(screen: Terminal, code: str = CODE, password: str = PASSWORD) -> None:
    await screen.answer("E-mail address at", EMAIL)
    await screen.answer("Password:", password)
    await screen.answer("Code of your second factor:", code)


def _everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.rglob("*") if file.is_file())


async def test_an_instance_of_ones_own(plus: tuple[Node, str], config: Path, tmp_path: Path) -> None:
    """The running daemon connects as it, takes what phones send, and keeps nothing of the login but its token."""
    peer, url = plus
    daemon = Process(config, "run")
    try:
        await daemon.ready()
        async with terminal("--config", str(config), "pair", url, "--name", "raspberry") as screen:
            await type_login(screen, "000000")
            await screen.expect("The code is wrong")
            await screen.answer("Code of your second factor:", CODE)
            warned = await screen.expect(ASKED)
            assert "takes all of that back" in " ".join(warned.split())
            await screen.answer("", "y")
            await screen.expect("This home is 'Gladys Plus'")
            assert await screen.ended() == 0
            assert PASSWORD not in screen.screen
        assert (await heard(peer, "made"))["made"] == "raspberry"
        assert (await heard(peer, "auth"))["auth"]["auth_type"] == "instance"
        await peer.say({"say": ["open-api-message", message("mqtt:unknown", 1)]})
        assert (await heard(peer, "answered"))["answered"]["error_code"] == "DEVICE_FEATURE_NOT_FOUND"
        await peer.say({"say": ["open-api-message", message("x", 1) | {"action": "mcp-webhook"}]})
        assert (await heard(peer, "answered"))["answered"]["error_code"] == "UNSUPPORTED_ACTION"
        await peer.say({"say": ["message", {"encryptedMessage": {}}]})
        assert (await heard(peer, "answered"))["answered"]["error_code"] == "UNSUPPORTED_ACTION"
        async with terminal("--config", str(config), "unpair") as screen:
            assert await screen.ended() == 0
            await screen.closed()
            assert "restart it" in screen.screen
    finally:
        daemon.close()
    files = await asyncio.to_thread(_everything_in, tmp_path)
    for secret in (PASSWORD, CODE, "the-device-token", "the-access-token", "a-two-factor-token"):
        assert secret.encode() not in files, secret


async def test_the_keys_are_kept_where_nobody_else_reads(plus: tuple[Node, str], config: Path, tmp_path: Path) -> None:
    """Without a daemon that runs, the next one connects; token and private keys are in a file of mode 0600."""
    _, url = plus
    async with terminal("--config", str(config), "pair", url, "--yes") as screen:
        await type_login(screen)
        assert await screen.ended() == 0
    database = tmp_path / "state" / "companion.db"
    assert (await asyncio.to_thread(database.stat)).st_mode & 0o777 == 0o600
    files = await asyncio.to_thread(_everything_in, tmp_path / "state")
    assert b"the-instance-token" in files
    assert b"unwrapKey" in files


async def test_a_gladys_is_not_robbed(plus: tuple[Node, str], config: Path) -> None:
    """If the account has an instance, nothing is made unless one says so, and is told what it does."""
    peer, url = plus
    await peer.say({"instances": ["Living room"]})
    async with terminal("--config", str(config), "pair", url) as screen:
        await type_login(screen)
        assert "'Living room'" in await screen.expect("[INSTANCE_EXISTS]")
        assert await screen.ended() == 65
    async with terminal("--config", str(config), "pair", url, "--take-over") as screen:
        await type_login(screen)
        warned = " ".join((await screen.expect(ASKED)).split())
        for said in ("'Living room'", "that Gladys no more", "dashboard from outside stops working"):
            assert said in warned
        await screen.answer("", "n")
        await screen.expect("Aborted")
        assert await screen.ended() == 130
    async with terminal("--config", str(config), "pair", url, "--take-over", "--yes") as screen:
        await type_login(screen)
        await screen.expect("This home is 'Gladys Plus'")
        assert await screen.ended() == 0
    asked = []
    while (said := await peer.hear()).get("made") is None:
        asked.append(said.get("asked"))
    assert asked.count("POST /users/login-finalize") == 3
    assert asked.count("POST /instances") == 1


@pytest.mark.parametrize(
    ("email", "password", "codes", "told", "says", "exit_code"),
    [
        ("nobody@example.org", PASSWORD, [], {}, "Nobody logs in to", 77),
        (EMAIL, "wrong password", [], {}, "The password is wrong.", 77),
        (EMAIL, PASSWORD, ["000000", "1", "x"], {}, "The code is wrong, or too old. [AUTH]", 77),
        (EMAIL, PASSWORD, [], {"two_factor": False}, "[TWO_FACTOR_MISSING]", 65),
        (EMAIL, PASSWORD, [], {"lie": True}, "it is not who it says it is", 76),
        (EMAIL, PASSWORD, [], {"answer": {"POST /users/login-salt": [429, {}]}}, "[TOO_MANY_REQUESTS]", 75),
        (EMAIL, PASSWORD, [], {"answer": {"POST /users/login-salt": [502, "<html>"]}}, "is it Gladys Plus?", 76),
        (EMAIL, PASSWORD, [], {"answer": {"POST /users/login-salt": [200, "garbage"]}}, "[PROTOCOL]", 76),
        (EMAIL, PASSWORD, [], {"answer": {"POST /users/login-salt": [200, {"srp_salt": 5}]}}, "[PROTOCOL]", 76),
        (EMAIL, PASSWORD, [], {"answer": {"POST /users/login-salt": [200, {"srp_salt": "zz"}]}}, "[PROTOCOL]", 76),
        (
            EMAIL,
            PASSWORD,
            [],
            {
                "answer": {
                    "POST /users/login-generate-ephemeral": [
                        200,
                        {"server_ephemeral_public": "00", "login_session_key": "x"},
                    ]
                }
            },
            "[PROTOCOL]",
            76,
        ),
        (EMAIL, PASSWORD, [CODE], {"answer": {"GET /instances": [200, {}]}}, "[PROTOCOL]", 76),
    ],
)
async def test_what_goes_wrong(  # noqa: PLR0917 - a table
    plus: tuple[Node, str],
    config: Path,
    email: str,
    password: str,
    codes: list[str],
    told: dict[str, Any],
    says: str,
    exit_code: int,
) -> None:
    """Each mistake, of a person or of the gateway, is a sentence and an exit code; no instance is made."""
    peer, url = plus
    await peer.say(told)
    async with terminal("--config", str(config), "pair", url, "--yes") as screen:
        await screen.answer("E-mail address at", email)
        await screen.answer("Password:", password)
        for code in codes:
            await screen.answer("Code of your second factor:", code)
        await screen.expect(says)
        assert await screen.ended() == exit_code
        assert "Traceback" not in screen.screen


async def test_in_line_mode_and_an_own_instance_exclude_each_other(plus: tuple[Node, str], config: Path) -> None:
    """Nobody is asked for a password then."""
    _, url = plus
    with config.open("a", encoding="utf-8") as file:
        file.write("[inline]\nenabled = true\n")
    async with terminal("--config", str(config), "pair", url) as screen:
        await screen.expect("[IN_LINE]")
        assert await screen.ended() == 65


async def test_our_own_gateway_speaks_the_same(tmp_path: Path) -> None:
    """What logs in to Gladys Plus logs in to ours as well, and makes an instance there."""
    clock, context = SetClock(), ssl.create_default_context()
    async with open_world(tmp_path, clock=clock) as world, aiohttp.ClientSession() as http:
        logins = Logins(world.gateway.accounts)
        await logins.create(EMAIL, None, new_login_keys(EMAIL, PASSWORD))
        assert await is_ours(http, world.gateway.url, ssl=context)
        secret = "JBSWY3DPEHPK3PXP" * 3
        app = App(url(secret, EMAIL), clock.now)
        await logins.set_two_factor(EMAIL, secret, app.code())
        plus = Plus(http, world.gateway.url, ssl=context)
        with pytest.raises(AuthError, match="wrong"):
            await plus.log_in(EMAIL, "wrong password")
        await plus.log_in(EMAIL, PASSWORD)
        with pytest.raises(AuthError, match="wrong"):
            await plus.confirm(app.code())  # it was used already
        clock.pass_by(30)
        await plus.confirm(app.code())
        assert await plus.instances() == []
        made = await plus.create("x")
        assert made.name == "companion"
        assert world.gateway.accounts.access_token(made.refresh_token)
        assert PASSWORD not in repr(plus) + repr(made)
        assert made.refresh_token not in repr(made)
