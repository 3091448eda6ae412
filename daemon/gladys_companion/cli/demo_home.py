"""The parts of the demo, put together, and one event followed through them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion import config as options
from gladys_companion.app import Daemon, open_daemon
from gladys_companion.errors import Unavailable
from gladys_companion.gateway.server import open_gateway
from gladys_companion.sim.wled import Lamp, open_wled
from gladys_companion.store import trace
from gladys_companion.web.views import Pair

__all__ = ["ALIAS", "Demo", "open_demo"]

ALIAS = "mqtt:demo-lamp"
MAC = "a8032ab12345"
FEATURE = f"wled:{MAC}:on"
READY_WITHIN = 30.0
AT_GATEWAY = {"committed": "committed", "sent": "sent to the home", "settled": "home has answered"}
ARRIVED = frozenset({"delivered", "verified"})


class Demo:
    """The running demo; made by ``open_demo``. ``url`` is the gateway's, ``page`` the status page's."""

    def __init__(self, *, url: str, key: str, lamp: Lamp, daemon: Daemon, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.key = key
        self.lamp = lamp
        self._daemon = daemon
        self._http = http
        host, port = daemon.local or ("127.0.0.1", 0)
        self.page = f"http://{host}:{port}/"

    async def send(self, state: int) -> dict[str, Any]:
        """Post as a phone would, and return ``{"ok", "id", "receipt", "gateway", "home", "hops"}``.

        Each hop is ``{"hop", "ms", "ok", "says"}``, ``ms`` since the phone began.
        """
        began, began_at = time.monotonic(), time.time()
        headers = {"Authorization": f"Bearer {self.key}"}
        body = {"device_feature_external_id": ALIAS, "state": state}
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
        shines = bool(self.lamp.state["on"]) == bool(state)
        hops += [
            hop("lamp", None, f"is {'on' if self.lamp.state['on'] else 'off'}", ok=shines),
            {"hop": "phone", "ms": round(answered, 3), "ok": receipt.get("status") == 200, "says": _said(receipt)},  # noqa: PLR2004 - HTTP
        ]
        ok = all(one["ok"] for one in hops) and any(one["hop"] == "wled" for one in hops)
        return {"ok": ok, "id": event_id, "receipt": receipt, "gateway": at_gateway, "home": at_home, "hops": hops}

    async def _at_home(self, event_id: str) -> dict[str, Any]:
        try:
            return await self._daemon.store.read(lambda database: trace.trace(database, event_id))
        except KeyError:
            return {}

    async def changed(self) -> None:
        """Return when the lamp is switched or dimmed."""
        before = (self.lamp.state["on"], self.lamp.state["bri"])
        await self.lamp.until(lambda lamp: (lamp.state["on"], lamp.state["bri"]) != before)


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
        gateway=options.Gateway(listen="127.0.0.1:0"),
    )


@asynccontextmanager
async def open_demo(directory: Path) -> AsyncIterator[Demo]:
    """Open everything: gateway, home, key, pairing, lamp; return when the lamp was found and can be commanded.

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
        lamp = await enter(open_wled(mac=MAC, name="Demo lamp", zeroconf=zeroconf))
        await lamp.set(on=False)
        daemon = await enter(open_daemon(config))
        await daemon.attempted()
        await daemon.pair(Pair(url=url, code=code.secret, name="Demo daemon"))
        await _until(lambda: daemon.vitals().link.state == "connected", "the home to connect")
        await _until(lambda: FEATURE in daemon.registry.snapshot.features, "the lamp to be found")
        await daemon.registry.alias(ALIAS, FEATURE)
        http = await enter(aiohttp.ClientSession())
        yield Demo(url=url, key=key.secret, lamp=lamp, daemon=daemon, http=http)


async def _until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN):
            while not condition():  # noqa: ASYNC110 - asks parts that have no event to wait for
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise Unavailable(f"Waited {READY_WITHIN:g} s in vain for {what}.") from None
