"""``pair`` with Gladys Plus: asks for e-mail, password and code, says what an instance of one's own does, and makes it.

The password is used in this process only; the daemon is given the instance's token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import click
import msgspec

from gladys_companion.cli.daemon import home
from gladys_companion.config import Config
from gladys_companion.errors import AuthError, RequestError
from gladys_companion.link import tls_context
from gladys_companion.link.pairing import check_url
from gladys_companion.link.plus import OwnInstance, Plus, is_ours

__all__ = ["pair_by_login", "wants_login"]

CODES = 3  # tries, within the two minutes that a login lasts

ALONE = """
This makes the companion an instance of its own on the account of {email}.
What phones send to {url} goes to it from now on.

If a Gladys is on this account, or joins it later, the two take everything from each other: see below.
"""
OVER = """
WARNING: the account of {email} has a Gladys already: {names}.

If you go on, at once and until that Gladys connects again:
 - what phones send to {url} reaches the companion, and that Gladys no more;
 - its dashboard from outside stops working: it says that it can not reach your home;
 - Alexa, Google Home and whatever else goes by Gladys Plus fails.
"""
EITHER = """
Each time that a Gladys on this account connects, it takes all of that back, and each time that the companion
connects, the companion takes it again. `unpair` gives nothing back until that Gladys is restarted.
To have both, stay in line instead: docs/howto/gladys-plus.md.
"""


async def wants_login(config: Config, url: str) -> bool:
    """Return whether a gateway is none of ours, so that one logs in instead of typing a pairing code.

    Raises:
        RequestError: that is no address of a gateway.
        Unavailable: it can not be reached.
    """
    checked = check_url(url)
    context = await asyncio.to_thread(tls_context, config.link.ca_certificate)
    async with aiohttp.ClientSession() as http:
        return not await is_ours(http, checked, ssl=context)


async def pair_by_login(config: Config, url: str, name: str, *, take_over: bool, yes: bool) -> dict[str, Any]:
    """Log in, ask once more, make an instance, and have the home connect as it; return what it is known as.

    Raises:
        RequestError: 409: in-line mode is on, or the account has an instance and ``take_over`` was not said.
        AuthError: wrong e-mail, password or code.
    """
    if config.inline.enabled:
        sentence = "In-line mode is on: what phones send by Gladys Plus comes already. Switch [inline] off first."
        raise RequestError(409, "IN_LINE", sentence)
    url = check_url(url)
    context = await asyncio.to_thread(tls_context, config.link.ca_certificate)
    async with home(config) as daemon, aiohttp.ClientSession() as http:
        email: str = click.prompt(f"E-mail address at {url}", type=str)
        plus = Plus(http, url, ssl=context)
        await plus.log_in(email, click.prompt("Password", hide_input=True, type=str))
        await _confirm(plus)
        names = await plus.instances()
        if names and not take_over:
            raise RequestError(
                409,
                "INSTANCE_EXISTS",
                f"The account has a Gladys already, {_listed(names)}, from which the companion would take messages and "
                "dashboard. Stay in line instead (docs/howto/gladys-plus.md), or say --take-over.",
            )
        click.echo((OVER if names else ALONE).format(email=email.strip(), url=url, names=_listed(names)), nl=False)
        click.echo(EITHER)
        if not yes:
            click.confirm("Make the companion an instance of its own?", abort=True)
        made = await plus.create(name)
        found: dict[str, Any] = await daemon.ask("POST", "/api/pair/instance", _adopted(url, made))
        return found


async def _confirm(plus: Plus) -> None:
    for tries_left in reversed(range(CODES)):
        try:
            await plus.confirm(click.prompt("Code of your second factor", type=str))
        except AuthError as error:
            if not tries_left:
                raise
            click.echo(str(error), err=True)
        else:
            return


def _adopted(url: str, made: OwnInstance) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(made)
    return {"url": url, **members}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
