"""``python -m tests.record_wire``: record tests/fixtures/wire anew, with the official client and npm's socket.io."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.npm_modules import Node, install, node
from tests.wire import Proxy, Transcript, open_proxy, redact, save

STATE = {
    "version": "1.0",
    "type": "gladys-open-api",
    "action": "create-device-state",
    "instance_id": "6a1f0d3e-7d0e-4f0b-9a0e-5b1f0c9d8e7a",
    "data": {"device_feature_external_id": "mqtt:my-lamp", "state": 0.5},
    "sender_id": "2f1c1bb5-43e9-4b2e-8b54-0d6f2c0b8f11",
    "local_user_id": None,
}
EVENT = {**STATE, "action": "create-event", "data": {"refuse": True, "user": None}}
SECRETS = {"the-refresh-token": "<refresh-token>", "the-access-token": "<access-token>"}


async def _until(plus: Node, name: str) -> None:
    while name not in await plus.hear():
        pass


async def _noted(proxy: Proxy, body: str) -> None:
    while not any(step.body == body for step in proxy.steps):
        await proxy.changed()


async def instance(modules: Path) -> None:
    """A Gladys connects, gets messages and acks them, answers a ping, and leaves."""
    async with node(modules, "wire.cjs", "1500", "20000") as plus:
        upstream = f"http://127.0.0.1:{(await plus.hear())['port']}"
        async with (
            open_proxy(upstream) as proxy,
            node(modules, "instance.cjs", proxy.url, "the-refresh-token") as gladys,
        ):
            await _until(plus, "authenticated")
            await gladys.hear()
            await _noted(proxy, "5")
            for message in (STATE, EVENT):
                await plus.say({"say": ["open-api-message", message]})
                await _until(plus, "answered")
            await _noted(proxy, "3")
            await gladys.say({"leave": True})
            await _until(plus, "disconnected")
            what = (
                "A Gladys connects by polling, upgrades, authenticates, acks two messages, answers a ping, and leaves."
            )
            _save(modules, "instance", what, proxy)


async def refused(modules: Path) -> None:
    """A Gladys shows a token that is refused, and comes back as it does."""
    async with node(modules, "wire.cjs", "25000", "20000") as plus:
        upstream = f"http://127.0.0.1:{(await plus.hear())['port']}"
        await plus.say({"refuse": True})
        async with open_proxy(upstream) as proxy, node(modules, "instance.cjs", proxy.url, "the-refresh-token"):
            for _ in range(2):
                await _until(plus, "authenticated")
            what = "A Gladys whose access token is refused is dismissed, and comes back at once, for ever."
            _save(modules, "refused", what, proxy)


async def account(modules: Path) -> None:
    """A person signs up, logs in with two factors, creates an instance, and has an Open API key for a while."""
    async with node(modules, "wire-account.cjs", "server") as plus:
        upstream = f"http://127.0.0.1:{(await plus.hear())['port']}"
        async with open_proxy(upstream) as proxy, node(modules, "wire-account.cjs", "client", proxy.url) as person:
            assert await person.hear() == {"done": True}
            what = (
                "A person signs up, mistypes the password, logs in, sets two factors up, mistypes the code, logs in "
                "with it, creates an instance, and makes, lists, renames and revokes an Open API key."
            )
            _save(modules, "account", what, proxy)


def _save(modules: Path, name: str, what: str, proxy: Proxy) -> None:
    client, server = (
        json.loads((modules / package / "package.json").read_text())
        for package in ("@gladysassistant/gladys-gateway-js", "socket.io")
    )
    steps = redact(proxy.steps, SECRETS)
    save(name, Transcript(what, f"{client['name']} {client['version']}", f"socket.io {server['version']}", steps))


async def main(modules: Path) -> None:
    """Record all."""
    await instance(modules)
    await refused(modules)
    await account(modules)


if __name__ == "__main__":
    asyncio.run(main(install()))
    sys.stdout.write("Recorded; see what changed by `git diff tests/fixtures/wire`.\n")
