"""What the tests of pages share: a browser, axe-core, and a gateway that knows its own address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser import open_browser
from tests.gateway_world import World, open_world
from tests.home import SetClock
from tests.pages.home import Home, home_config, open_whole_home
from tests.rig import free_port


@pytest.fixture
def clock() -> SetClock:
    """The gateway's clock, which stands still."""
    return SetClock()


@pytest.fixture
async def world(tmp_path: Path, clock: SetClock) -> AsyncIterator[World]:
    """A gateway with a home, a key and a public address."""
    port = free_port()
    async with open_world(
        tmp_path, clock=clock, listen=f"127.0.0.1:{port}", public_url=f"http://127.0.0.1:{port}"
    ) as world:
        yield world


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """A home with a lamp and a person."""
    async with open_whole_home(home_config(tmp_path)) as home:
        yield home


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with open_browser() as browser:
        yield browser


@pytest.fixture
def axe(npm_modules: Path) -> str:
    """The source of axe-core."""
    return (npm_modules / "axe-core" / "axe.min.js").read_text("utf-8")
