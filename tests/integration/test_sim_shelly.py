"""The simulated Shellies, by the real ``aioshelly``, real sockets and real mDNS on 127.0.0.0/8."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, DigestAuthMiddleware, TCPConnector, WSMsgType, encode_basic_auth
from aioshelly.block_device import COAP, BlockDevice
from aioshelly.common import ConnectionOptions, get_info
from aioshelly.exceptions import DeviceConnectionError, InvalidAuthError, MacAddressMismatchError, RpcCallError
from aioshelly.rpc_device import RpcDevice, RpcUpdateType
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.drivers._resolver import EndpointResolver
from gladys_companion.sim import shelly_gen1, shelly_gen2
from gladys_companion.sim._shelly_rpc import KINDS, Kind
from gladys_companion.sim.shelly_gen1 import open_shelly_gen1
from gladys_companion.sim.shelly_gen2 import open_shelly_gen2

NAME = "shelly.local"


@asynccontextmanager
async def rpc(
    shelly: shelly_gen2.Shelly, password: str | None = None, mac: str | None = None
) -> AsyncIterator[RpcDevice]:
    """The real client of Gen2, initialized."""
    user = "admin" if password is not None else None
    options = ConnectionOptions(shelly.address, user, password, device_mac=mac or shelly.mac, port=shelly.port)
    async with ClientSession() as session:
        device = await RpcDevice.create(session, None, options)
        try:
            await device.initialize()
            yield device
        finally:
            await device.shutdown()


class Coap(COAP):
    """CoAP from any free port to where the simulator is: the client knows it by a name, which leads to its port."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    async def request(self, ip: str, path: str) -> None:
        assert ip == NAME
        await super().request(self._address, path)


@asynccontextmanager
async def block(shelly: shelly_gen1.Shelly, password: str | None = None) -> AsyncIterator[BlockDevice]:
    """The real client of Gen1, initialized, by HTTP and CoAP."""
    user = "admin" if password is not None else None
    options = ConnectionOptions(NAME, user, password, device_mac=shelly.mac.upper())
    resolver = EndpointResolver({NAME: (shelly.address, shelly.port)}.get)
    coap = Coap(shelly.address)
    await coap.initialize(socket_port=0)
    async with ClientSession(connector=TCPConnector(resolver=resolver, use_dns_cache=False)) as session:
        device = BlockDevice(coap, session, options)
        try:
            await device.initialize()
            yield device
        finally:
            await device.shutdown()
            coap.close()


def basic(password: str) -> dict[str, str]:
    return {"Authorization": encode_basic_auth("admin", password)}


def on(shelly: shelly_gen1.Shelly | shelly_gen2.Shelly) -> bool:
    state = shelly.state if isinstance(shelly, shelly_gen1.Shelly) else shelly.status[shelly.part]
    return bool(state.get("ison", state.get("output")))


@pytest.mark.parametrize("password", [None, "geheim"])
@pytest.mark.parametrize("kind", KINDS)
async def test_gen2_is_read_whole(kind: Kind, password: str | None) -> None:
    """The initialize() of aioshelly finds info, config, status and components, open and with a password."""
    async with (
        open_shelly_gen2(kind=kind, name="Salon é", password=password) as shelly,
        rpc(shelly, password) as device,
    ):
        assert (device.name, device.gen, device.firmware_supported) == ("Salon é", 2, True)
        assert device.requires_auth == (password is not None)
        assert device.status[shelly.part]["id"] == device.config[shelly.part]["id"] == 0
        assert device.config["input:0"]["type"] == "switch"
        await device.poll()
        assert "Switch.Set" in await device.methods_list()


async def test_gen2_takes_commands_and_notifies() -> None:
    """Commands change it, are counted in order, and are told to whoever listens; so are hands."""
    async with open_shelly_gen2() as shelly, rpc(shelly) as device:
        told: asyncio.Queue[RpcUpdateType] = asyncio.Queue()
        device.subscribe_updates(lambda _device, kind: told.put_nowait(kind))
        async with asyncio.timeout(5):
            await device.switch_set(0, value=True)
            assert await told.get() is RpcUpdateType.STATUS
            assert device.status["switch:0"].items() >= {"output": True, "apower": 40.0}.items()
            await shelly.press()
            assert await told.get() is RpcUpdateType.STATUS
            assert device.status["switch:0"].items() >= {"output": False, "apower": 0.0}.items()
            await shelly.push("double_push")
            assert await told.get() is RpcUpdateType.EVENT
        assert device.event is not None
        assert device.event["events"][0]["event"] == "double_push"
        assert shelly.commands == (("Switch.Set", {"id": 0, "on": True}),)


@pytest.mark.parametrize(
    ("kind", "method", "params", "found"),
    [
        ("light", "Light.Set", {"on": True, "brightness": 3}, {"output": True, "brightness": 3}),
        ("light", "Light.Toggle", {}, {"output": True, "brightness": 50}),
        ("color", "RGBW.Set", {"rgb": [1, 2, 3], "white": 4}, {"output": False, "rgb": [1, 2, 3], "white": 4}),
        ("cover", "Cover.GoToPosition", {"pos": 10}, {"state": "stopped", "current_pos": 10}),
        ("cover", "Cover.Open", {}, {"state": "open", "current_pos": 100}),
        ("cover", "Cover.Close", {}, {"state": "closed", "current_pos": 0}),
        ("cover", "Cover.Stop", {}, {"state": "stopped", "current_pos": 50}),
    ],
)
async def test_gen2_has_its_components(kind: Kind, method: str, params: dict[str, Any], found: dict[str, Any]) -> None:
    """Each method does what the firmware's does."""
    async with open_shelly_gen2(kind=kind) as shelly, rpc(shelly) as device:
        await device.call_rpc(method, {"id": 0, **params})
        assert shelly.status[shelly.part].items() >= found.items()


async def test_a_gen2_cover_takes_its_time_and_can_be_stopped() -> None:
    """It is on its way, can be asked where, stops there, and tells that it arrived."""
    async with asyncio.timeout(10), open_shelly_gen2(kind="cover", travel=1.0) as shelly, rpc(shelly) as device:
        arrived = asyncio.Event()
        device.subscribe_updates(lambda one, _: arrived.set() if one.status["cover:0"]["state"] == "open" else None)
        await device.cover_open(0)
        assert shelly.status["cover:0"]["state"] == "opening"
        while (at := (await device.cover_get_status(0))["current_pos"]) == 50:  # noqa: ASYNC110 - asks the device
            await asyncio.sleep(0.01)
        await device.cover_stop(0)
        assert shelly.status["cover:0"]["state"] == "stopped"
        assert 50 < at <= shelly.status["cover:0"]["current_pos"] < 100
        await device.cover_set_position(0, pos=100)
        await arrived.wait()
        assert device.status["cover:0"]["current_pos"] == 100


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("Switch.Set", {"id": 7, "on": True}),
        ("Switch.Set", {"on": True}),
        ("Switch.Set", {"id": 0}),
        ("Switch.Set", {"id": 0, "on": "much"}),
        ("Switch.Fly", {"id": 0}),
        ("Cover.Open", {"id": 0}),
        ("Shelly.Fly", {}),
        ("Switch.GetStatus", {"id": 3}),
    ],
)
async def test_gen2_refuses_nonsense(method: str, params: dict[str, Any]) -> None:
    """Unknown methods, components and arguments are errors of the RPC, and change nothing."""
    async with open_shelly_gen2() as shelly, rpc(shelly) as device:
        with pytest.raises(RpcCallError):
            await device.call_rpc(method, params)
        assert shelly.commands == ()


async def test_gen2_wants_its_password() -> None:
    """Without it, and with another, all but the identity is refused; what was proven once is not proof again."""
    async with open_shelly_gen2(password="geheim") as shelly:
        for wrong in (None, "falsch"):
            with pytest.raises(InvalidAuthError):
                async with rpc(shelly, wrong):
                    pass
        assert shelly.listeners == 0
        async with rpc(shelly, "geheim") as device:
            for value in (True, False, True):
                await device.switch_set(0, value=value)
            assert shelly.listeners == 1
        url = f"http://{shelly.address}:{shelly.port}/rpc/Switch.Set?id=0&on=false"
        async with ClientSession() as session:
            assert (await session.get(url)).status == 401
            for password, status in (("falsch", 401), ("geheim", 200)):
                digest = DigestAuthMiddleware("admin", password)
                assert (await session.get(url, middlewares=(digest,))).status == status
        assert not on(shelly)
        assert len(shelly.commands) == 4


async def test_gen2_speaks_http_too() -> None:
    """POST /rpc takes frames, /rpc/METHOD takes a query, errors have their codes, and /shelly says who it is."""
    async with open_shelly_gen2() as shelly, ClientSession(f"http://{shelly.address}:{shelly.port}") as http:
        answer = await (await http.post("/rpc", json={"id": 1, "method": "Switch.Toggle", "params": {"id": 0}})).json()
        assert (answer["id"], answer["src"], answer["result"]) == (1, shelly.id, {"was_on": False})
        assert (await (await http.get("/rpc/Switch.GetStatus?id=0")).json())["output"] is True
        assert (await (await http.get("/rpc/Switch.Fly?id=0")).json())["code"] == 404
        assert (await http.post("/rpc", data="{")).status == 500
        assert (await get_info(http, shelly.address, shelly.mac.upper(), shelly.port))["gen"] == 2


async def test_gen2_is_nobody_else() -> None:
    """The library notices another MAC."""
    async with open_shelly_gen2() as shelly:
        with pytest.raises(MacAddressMismatchError):
            async with rpc(shelly, mac="020000000001"):
                pass


async def test_gen2_frozen_answers_neither_call_nor_ping() -> None:
    """A frozen device is silent on open connections too."""
    async with open_shelly_gen2() as shelly, ClientSession() as session, asyncio.timeout(10):
        async with session.ws_connect(f"ws://{shelly.address}:{shelly.port}/rpc", heartbeat=0.1) as ws:
            await ws.send_json({"id": 1, "src": "test", "method": "Shelly.GetStatus"})
            assert (await ws.receive_json())["dst"] == "test"
            await ws.send_str("{nonsense")
            shelly.freeze()
            await shelly.press()
            assert (await ws.receive()).type is not WSMsgType.TEXT
        shelly.thaw()
        shelly.refuse(503)
        with pytest.raises(DeviceConnectionError):
            async with rpc(shelly):
                pass


@pytest.mark.parametrize("password", [None, "geheim"])
@pytest.mark.parametrize(
    ("kind", "command", "found"),
    [
        ("switch", {"turn": "on"}, {"output": 1}),
        ("light", {"turn": "on", "brightness": 3}, {"output": 1, "brightness": 3}),
        ("color", {"red": 1, "green": 2, "blue": 3, "gain": 9}, {"red": 1, "green": 2, "blue": 3, "gain": 9}),
        ("cover", {"go": "to_pos", "roller_pos": 10}, {"roller": "stop", "rollerPos": 10}),
    ],
)
async def test_gen1_is_driven(kind: Kind, command: dict[str, Any], found: dict[str, Any], password: str | None) -> None:
    """The BlockDevice of aioshelly reads it by HTTP and CoAP, and commands it, open and with a password."""
    async with (
        asyncio.timeout(20),
        open_shelly_gen1(kind=kind, host="127.0.0.71", password=password, coiot=True) as shelly,
    ):
        async with block(shelly, password) as device:
            assert (device.name, device.firmware_supported) == ("Shelly", True)
            assert device.settings["device"]["mac"] == device.status["mac"] == shelly.mac.upper()
            await device.blocks[0].set_state(**command)
            await device.update()
            assert device.blocks[0].current_values().items() >= found.items()
        assert shelly.commands == ({key: str(value) for key, value in command.items()},)


async def test_gen1_wants_its_password() -> None:
    """All but /shelly is refused without it."""
    async with (
        open_shelly_gen1(password="geheim") as shelly,
        ClientSession(f"http://{shelly.address}:{shelly.port}") as http,
    ):
        assert (await (await http.get("/shelly")).json())["auth"] is True
        for path in ("/status", "/settings", "/relay/0?turn=on"):
            assert (await http.get(path)).status == 401
            assert (await http.get(path, headers=basic("falsch"))).status == 401
        assert not on(shelly)
        assert (await http.get("/relay/0?turn=on", headers=basic("geheim"))).status == 200
        assert on(shelly)
        assert len(shelly.credentials) == 4


@pytest.mark.parametrize("query", ["turn=much", "turn=on&brightness=101", "brightness=x"])
async def test_gen1_refuses_nonsense(query: str) -> None:
    """What is no value is HTTP 400, and changes nothing."""
    async with open_shelly_gen1(kind="light") as shelly, ClientSession() as http:
        before = shelly.state
        assert (await http.get(f"http://{shelly.address}:{shelly.port}/light/0?{query}")).status == 400
        assert shelly.state == before
        assert shelly.commands == ()


async def test_gen1_has_hands_and_a_roller_that_takes_its_time() -> None:
    """Presses, pushes and flips are seen in /status; a roller can be stopped on its way."""
    async with (
        asyncio.timeout(10),
        open_shelly_gen1(kind="cover", travel=1.0) as shelly,
        ClientSession(f"http://{shelly.address}:{shelly.port}") as http,
    ):
        await shelly.push("SS")
        await shelly.flip(1)
        await shelly.press()
        status = await (await http.get("/status")).json()
        assert status["inputs"][0] == {"input": 0, "event": "SS", "event_cnt": 1}
        assert status["inputs"][1]["input"] == 1
        assert status["rollers"][0]["state"] == "close"
        while shelly.state["current_pos"] == 50:  # noqa: ASYNC110 - time moves it
            await asyncio.sleep(0.01)
        await http.get("/roller/0?go=stop")
        assert shelly.state["state"] == "stop"
        assert 0 < shelly.state["current_pos"] < 50
        await http.get("/roller/0?go=open")
        while shelly.state["state"] == "open":  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.01)
        assert shelly.state["current_pos"] == 100


async def test_they_are_announced_as_the_real_ones() -> None:
    """Gen2 under both service types with its generation, Gen1 under one, the oldest by half of its MAC."""
    async with (
        AsyncZeroconf(interfaces=["127.0.0.1"]) as ours,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as theirs,
        open_shelly_gen2(zeroconf=ours) as gen2,
        open_shelly_gen1(zeroconf=ours, short_id=True) as gen1,
    ):
        assert gen1.id == "shelly1pm-b10001"
        for shelly, type_ in ((gen2, "_shelly"), (gen2, "_http"), (gen1, "_http")):
            info = AsyncServiceInfo(f"{type_}._tcp.local.", f"{shelly.id}.{type_}._tcp.local.")
            assert await info.async_request(theirs.zeroconf, 3000)
            assert (info.parsed_addresses(), info.port) == (["127.0.0.1"], shelly.port)
            assert info.decoded_properties.get("gen") == ("2" if shelly is gen2 else None)
