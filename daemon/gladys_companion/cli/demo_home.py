"""The parts of the demo, put together: three simulated devices, and events followed to them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import Struct
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion import config as options
from gladys_companion.app import Daemon, open_daemon
from gladys_companion.errors import Unavailable
from gladys_companion.gateway.server import open_gateway
from gladys_companion.sim.elgato import open_elgato
from gladys_companion.sim.shelly_gen2 import open_shelly_gen2
from gladys_companion.sim.wled import open_wled
from gladys_companion.store import trace
from gladys_companion.web.views import Pair

__all__ = ["Demo", "Shown", "open_demo"]

READY_WITHIN = 30.0
AT_GATEWAY = {"committed": "committed", "sent": "sent to the home", "settled": "home has answered"}
ARRIVED = frozenset({"delivered", "verified"})


class Shown(Struct, frozen=True):
    """One simulated device: its driver, what people call it, the alias that phones use, and the truth about it.

    ``until`` returns when the given condition holds, which is asked again after each change of the device.
    """

    driver: str
    what: str
    alias: str
    feature: str
    is_on: Callable[[], bool]
    until: Callable[[Callable[[object], bool]], Awaitable[None]]

    def says(self) -> str:
        """Return ``on`` or ``off``."""
        return "on" if self.is_on() else "off"


class Demo:
    """The running demo; made by ``open_demo``. ``url`` is the gateway's, ``page`` the status page's."""

    def __init__(
        self, *, url: str, key: str, devices: tuple[Shown, ...], daemon: Daemon, http: aiohttp.ClientSession
    ) -> None:
        self.url = url
        self.key = key
        self.devices = devices
        self._daemon = daemon
        self._http = http
        host, port = daemon.local or ("127.0.0.1", 0)
        self.page = f"http://{host}:{port}/"

    async def send(self, device: Shown, state: int) -> dict[str, Any]:
        """Post as a phone would, and return ``{"ok", "id", "external_id", "receipt", "gateway", "home", "hops"}``.

        Each hop is ``{"hop", "ms", "ok", "says"}``, ``ms`` since the phone began.
        """
        began, began_at = time.monotonic(), time.time()
        headers = {"Authorization": f"Bearer {self.key}"}
        body = {"device_feature_external_id": device.alias, "state": state}
        async with self._http.post(f"{self.url}/v1/api/device/state", json=body, headers=headers) as response:
            receipt: dict[str, Any] = await response.json()
        answered = (time.monotonic() - began) * 1000
        event_id = receipt.get("id", "")
        async with self._http.get(f"{self.url}/v1/api/events/{event_id}", headers=headers) as response:
            at_gateway: dict[str, Any] = await response.json()
        at_home = await self._at_home(event_id)

        def hop(name: str, at: float | None, says: str, *, ok: bool) -> dict[str, Any]:
            return {"hop": name, "ms": None if at is None else round((at - began_at) * 1000, 3), "ok": ok, "says": says}

        hops = [
            hop("phone", began_at, f"posts to {self.url}", ok=True),
            *(hop("gateway", one["at"], AT_GATEWAY[one["what"]], ok=True) for one in at_gateway.get("hops", ())[:2]),
            hop("home", at_home.get("received_at"), "committed", ok="id" in at_home),
        ]
        for target in at_home.get("hops", ()):
            if target["hop"] not in {"happened", "journal"}:
                says = target.get("reason") or f"the delivery is {target['state']}"
                hops.append(hop(target["hop"], target["at"], says, ok=target["state"] in ARRIVED))
        hops += [
            hop(device.what, None, f"is {device.says()}", ok=device.is_on() == bool(state)),
            {"hop": "phone", "ms": round(answered, 3), "ok": receipt.get("status") == 200, "says": _said(receipt)},  # noqa: PLR2004 - HTTP
        ]
        return {
            "ok": all(one["ok"] for one in hops) and any(one["hop"] == device.driver for one in hops),
            "id": event_id,
            "external_id": device.alias,
            "receipt": receipt,
            "gateway": at_gateway,
            "home": at_home,
            "hops": hops,
        }

    async def _at_home(self, event_id: str) -> dict[str, Any]:
        try:
            return await self._daemon.store.read(lambda database: trace.trace(database, event_id))
        except KeyError:
            return {}


def _said(receipt: dict[str, Any]) -> str:
    return (
        f"is told {receipt.get('status')} {receipt.get('outcome') or ''} {receipt.get('error_message') or ''}".rstrip()
    )


def _config(directory: Path) -> options.Config:
    return options.Config(
        state_directory=str(directory / "state"),
        runtime_directory=str(directory),
        log_level="error",
        local=options.Local(listen="127.0.0.1:0"),
        discovery=options.Discovery(interfaces=("127.0.0.1",), ipv6=False),
        drivers={"virtual": {}, "wled": {}, "shelly": {}, "elgato": {}},
        gateway=options.Gateway(listen="127.0.0.1:0"),
    )


def _mac() -> str:
    """Return an identity that no other demo on this machine has."""
    return f"02{secrets.token_hex(5)}"


@asynccontextmanager
async def _devices(zeroconf: AsyncZeroconf) -> AsyncIterator[tuple[Shown, ...]]:
    """Run one device of each kind, all of them off."""
    async with (
        open_wled(mac=_mac(), name="Demo lamp", zeroconf=zeroconf) as lamp,
        open_shelly_gen2(mac=_mac(), name="Demo plug", zeroconf=zeroconf) as plug,
        open_elgato(mac=_mac(), name="Demo light", zeroconf=zeroconf) as light,
    ):
        await lamp.set(on=False)
        await plug.set(plug.part, output=False)
        await light.set(on=0)
        yield (
            Shown("wled", "lamp", "mqtt:demo-lamp", f"wled:{lamp.mac}:on", lambda: bool(lamp.state["on"]), lamp.until),
            Shown(
                "shelly",
                "plug",
                "mqtt:demo-plug",
                f"shelly:{plug.mac}:{plug.part}",
                lambda: bool(plug.status[plug.part]["output"]),
                plug.until,
            ),
            Shown(
                "elgato",
                "light",
                "mqtt:demo-light",
                f"elgato:{light.mac}:on",
                lambda: bool(light.state["on"]),
                light.until,
            ),
        )


@asynccontextmanager
async def open_demo(directory: Path) -> AsyncIterator[Demo]:
    """Open everything: gateway, home, key, pairing, devices; return when these were found and can be commanded.

    Raises:
        Unavailable: something of it did not come up in time.
    """
    config = _config(directory)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        gateway = await enter(open_gateway(config.gateway, Path(config.state_directory), directory))
        url = gateway.url
        home = await gateway.accounts.create_home("Demo home")
        key = await gateway.accounts.create_key(home.id, "Demo phone")
        code = await gateway.accounts.pair_code(home.id)
        zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
        stack.push_async_callback(zeroconf.async_close)
        devices = await enter(_devices(zeroconf))
        daemon = await enter(open_daemon(config))
        await daemon.attempted()
        await daemon.pair(Pair(url=url, code=code.secret, name="Demo daemon"))
        await _until(lambda: daemon.vitals().link.state == "connected", "the home to connect")
        for device in devices:
            await _until(lambda: device.feature in daemon.registry.snapshot.features, f"the {device.what} to be found")  # noqa: B023 - awaited at once
            await daemon.registry.alias(device.alias, device.feature)
        http = await enter(aiohttp.ClientSession())
        yield Demo(url=url, key=key.secret, devices=devices, daemon=daemon, http=http)


async def _until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN):
            while not condition():  # noqa: ASYNC110 - asks parts that have no event to wait for
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise Unavailable(f"Waited {READY_WITHIN:g} s in vain for {what}.") from None
