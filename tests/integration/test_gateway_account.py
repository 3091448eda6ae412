"""``gateway account`` in a terminal, with and without a gateway that runs."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.rig import free_port
from tests.terminal import terminal
from tests.totp import App

EMAIL, PASSWORD = "anna@example.org", "correct horse battery"


@pytest.fixture
def config(tmp_path: Path) -> list[str]:
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'state_directory = "{tmp_path}"\nruntime_directory = "{tmp_path}"\n'
        f'[gateway]\nlisten = "127.0.0.1:{free_port()}"\n'
    )
    return ["--config", str(file)]


def _everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir() if file.is_file())


async def shown(*arguments: str) -> str:
    """Return what a command shows that asks nothing."""
    async with terminal(*arguments) as screen:
        assert await screen.ended() == 0, screen.screen
        await screen.closed()
        return screen.screen


async def test_a_login_is_made_and_helped(config: list[str], tmp_path: Path) -> None:
    """Password, app and all: what is typed is shown and kept nowhere."""
    await shown(*config, "gateway", "home", "create", "Home")
    async with terminal(*config, "gateway", "account", "create", EMAIL) as screen:
        await screen.answer("Password:", "short")
        await screen.answer("Once more:", "short")
        await screen.expect("It needs 8 characters")
        await screen.answer("Password:", PASSWORD)
        await screen.answer("Once more:", PASSWORD)
        await screen.expect("can log in to 'Home'")
        assert await screen.ended() == 0
        assert PASSWORD not in screen.screen
    async with terminal(*config, "gateway", "account", "two-factor", EMAIL) as screen:
        await screen.expect("type this there: ")
        app = App(await screen.expect("\n"), time.time)
        await screen.answer("Code of the app", "000000")
        await screen.expect("The code is wrong")
        await screen.answer("Code of the app", app.code())
        await screen.expect("logs in with password and code from now on")
        assert await screen.ended() == 0
    listed = json.loads(await shown(*config, "gateway", "account", "list", "--json"))
    assert [(one["email"], one["two_factor"], one["home_name"]) for one in listed] == [(EMAIL, True, "Home")]
    await shown(*config, "gateway", "account", "reset-two-factor", EMAIL, "--yes")
    async with terminal(*config, "gateway", "account", "password", EMAIL) as screen:
        await screen.answer("Password:", "another password")
        await screen.answer("Once more:", "another password")
        await screen.expect("has another password")
        assert await screen.ended() == 0
    assert PASSWORD.encode() not in await asyncio.to_thread(_everything_in, tmp_path)
    await shown(*config, "gateway", "account", "remove", EMAIL, "--yes")
    assert "Nobody yet" in await shown(*config, "gateway", "account", "list")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["password", "nobody@example.org"], "Nobody logs in as"),
        (["remove", "nobody@example.org", "--yes"], "Nobody logs in as"),
        (["create", "no address"], "is no e-mail address"),
    ],
)
async def test_what_can_not_be_done(config: list[str], arguments: list[str], says: str) -> None:
    """A clear sentence, and an exit code that is none of success."""
    await shown(*config, "gateway", "home", "create", "Home")
    async with terminal(*config, "gateway", "account", *arguments) as screen:
        if arguments[0] != "remove":
            await screen.answer("Password:", PASSWORD)
            await screen.answer("Once more:", PASSWORD)
        await screen.expect(says)
        assert await screen.ended() != 0
