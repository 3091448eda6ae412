"""``python -m bench.retries``: how often a gateway that can not be used is asked in an hour, as JSON.

The home's hour is one of a loop whose time jumps, so that it takes seconds; its delays, time-outs and both ends are the
real ones. With ``--client SECONDS``, Gladys' own client is watched for so many real seconds as well, in each of some
cases, and what it did is told beside what that comes to in an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from structlog.testing import capture_logs
from tests.gateway_world import open_world
from tests.inline import open_world as open_inline_world
from tests.npm_modules import install, node
from tests.retrying import CASES, measure
from tests.wire import Proxy, open_proxy

from gladys_companion import config
from gladys_companion.backoff import delay
from gladys_companion.gateway.server import Times

HOUR = 3_600.0
PLUS = 5.0  # seconds: it asks so often that more would tell no more
TOKEN, USERS = "/instances/access-token", "/instances/users"
GARBAGE = '{"access_token":"garbage"}'


def link() -> list[dict[str, Any]]:
    """Return what each bad gateway sees of a home in an hour, where it is one of ours and where it is Gladys Plus."""
    told = []
    for case in CASES:
        for own in (True, False):
            asked = measure(case, HOUR, own=own)
            told.append({"gateway": case.name, "ours": own, **msgspec.to_builtins(asked)})
    return told


@asynccontextmanager
async def _ours(case: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Give our gateway as it is installed, bad in some way, and a refresh token."""
    limits = {name: getattr(config.Gateway(), name) for name in ("rate_per_address", "burst_per_address")}
    with tempfile.TemporaryDirectory(prefix="gladys-retries-") as directory:
        async with (
            open_world(Path(directory), times=Times(), **limits) as world,
            open_proxy(world.gateway.url) as proxy,
        ):
            match case:
                case "has revoked the instance":
                    await world.gateway.accounts.revoke_instance(None, world.paired.instance.value.id)
                case "refuses the access token on the socket":
                    proxy.garbles = {TOKEN: GARBAGE, USERS: "[]"}
                case "refuses the access token everywhere":
                    proxy.garbles = {TOKEN: GARBAGE}
            yield proxy, world.paired.instance.secret


@asynccontextmanager
async def _plus() -> AsyncIterator[tuple[Proxy, str]]:
    """Give a server that dismisses whom it refuses, as Gladys Plus does."""
    async with node(install(), "wire.cjs", "25000", "20000") as plus:
        port = (await plus.hear())["port"]
        await plus.say({"refuse": True})
        async with open_proxy(f"http://127.0.0.1:{port}") as proxy:
            yield proxy, "refresh"


@asynccontextmanager
async def _in_line(upstream: str) -> AsyncIterator[str]:
    """Stand before a gateway; give the URL where Gladys connects."""
    with tempfile.TemporaryDirectory(prefix="gladys-retries-") as directory:
        async with open_inline_world(Path(directory), upstream, delays=delay) as world:
            yield world.url


async def _watch(case: str, proxy: Proxy, refresh_token: str, seconds: float, url: str | None = None) -> dict[str, Any]:
    """Watch at a gateway's door; the client connects there, or to something else (``url``) that does."""
    async with node(install(), "instance.cjs", url or proxy.url, refresh_token):
        began = time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        seen = {"sessions": proxy.opened(), "tokens": proxy.requests(TOKEN), "requests": proxy.asked()}
    hourly = {name: round(count * HOUR / took) for name, count in seen.items()}
    return {"gateway": case, "seconds": round(took, 1), "seen": seen, "that_is_an_hour": hourly}


async def client(seconds: float) -> list[dict[str, Any]]:
    """Return what Gladys' own client does at gateways that refuse it."""
    told = []
    with capture_logs():
        for case in (
            "has revoked the instance",
            "refuses the access token on the socket",
            "refuses the access token everywhere",
        ):
            async with _ours(case) as (proxy, refresh_token):
                told.append(await _watch(case, proxy, refresh_token, seconds))
        async with _plus() as (proxy, refresh_token):
            told.append(await _watch("dismisses whom it refuses, as Gladys Plus", proxy, refresh_token, PLUS))
        for case in ("has revoked the instance", "refuses the access token everywhere"):
            async with _ours(case) as (proxy, refresh_token), _in_line(proxy.url) as url:
                told.append(await _watch(f"{case}; the companion is in line", proxy, refresh_token, seconds, url))
        async with _plus() as (proxy, refresh_token), _in_line(proxy.url) as url:
            case = "dismisses whom it refuses, as Gladys Plus; the companion is in line"
            told.append(await _watch(case, proxy, refresh_token, seconds, url))
    return told


def table(told: dict[str, list[dict[str, Any]]]) -> str:
    """Return the same for people to read."""
    lines = ["| the gateway | ours: attempts an hour | Plus: attempts an hour | at last |", "|---|---|---|---|"]
    for ours, plus in zip(told["link"][::2], told["link"][1::2], strict=True):
        lines.append(f"| {ours['gateway']} | {ours['attempts']} | {plus['attempts']} | {plus['state']} |")
    if "client" in told:
        lines += [
            "",
            "| the gateway that Gladys' own client is at | watched | sessions | requests | sessions an hour |",
        ]
        lines += ["|---|---|---|---|---|"]
    for one in told.get("client", []):
        seen = one["seen"]
        lines.append(
            f"| {one['gateway']} | {one['seconds']} s | {seen['sessions']} | {seen['requests']} "
            f"| {one['that_is_an_hour']['sessions']} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.retries", description=__doc__)
    parser.add_argument("--table", action="store_true", help="for people to read")
    parser.add_argument("--client", type=float, metavar="SECONDS", help="watch Gladys' own client, too [at least 200]")
    chosen = parser.parse_args(arguments)
    told = {"link": link()}
    if chosen.client:
        told["client"] = asyncio.run(client(chosen.client))
    text = table(told) if chosen.table else msgspec.json.format(msgspec.json.encode(told).decode(), indent=2)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
