"""Real HomeKit accessories that are not of our making, each behind a gate: here those of HAP-python, in a thread.

A test reads the truth from them, changes it by hand, and lets them lose their pairing. Nothing is announced but by
``announced``, on loopback.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pyhap import hap_handler, hsrp
from pyhap.accessory import Accessory, Bridge
from pyhap.accessory_driver import AccessoryDriver, AccessoryMDNSServiceInfo
from pyhap.hap_event import create_hap_event
from pyhap.service import Service as PyhapService
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.model import Device, Service
from tests.hap_gate import Gate, open_gate

__all__ = ["PIN", "Hap", "announced", "bridge", "device_of", "everything", "id_text", "open_hap_python", "service_of"]

PIN = "031-45-154"
TYPE = "_hap._tcp.local."

T = TypeVar("T")


def padded(number: int) -> bytes:
    """Return a number as wide as its kind is: the generator, a key, or what is modulo the 3072 bits of the prime."""
    return number.to_bytes(1 if number < 256 else 64 if number.bit_length() <= 512 else 384, "big")


# HAP-python 5.2 leaves leading zeros out, and so refuses one right PIN in eighty (RFC 5054, 2.6, and HAP, 5.5.2).
hap_handler.long_to_bytes = hsrp.long_to_bytes = padded

Build = Callable[["AccessoryDriver", str], "Accessory"]


class Hap(ABC):
    """An accessory and the gate to it. ``mac`` is its id as 12 hex digits."""

    def __init__(self, mac: str, name: str, port: int) -> None:
        self.mac = mac
        self.name = name
        self.port = port
        self.gate: Gate

    @abstractmethod
    async def id_of(self, service: str, characteristic: str) -> tuple[int, int]:
        """Return the ids of the first such characteristic."""

    @abstractmethod
    async def truth(self, aid: int, iid: int) -> dict[str, Any]:
        """Return the values of all characteristics of the service that has this one, by name (``CurrentPosition``)."""

    @abstractmethod
    async def set(self, service: str, characteristic: str, value: object) -> None:
        """Change the first such characteristic, as a hand at the device does."""

    @abstractmethod
    async def press(self, presses: int) -> None:
        """Press its first button: 0 is once, 1 is twice, 2 is long."""

    @abstractmethod
    async def behave(self, how: str) -> None:
        """Have locks, doors and covers be ``prompt``, ``slow`` (they begin to move and go on) or ``jammed``."""

    @abstractmethod
    async def flood(self, number: int) -> int:
        """Tell so many changes of a lamp's brightness as fast as it can; return the last one."""

    @abstractmethod
    async def forget(self) -> None:
        """Lose every pairing, as a reset does."""

    @abstractmethod
    async def txt(self) -> dict[str, str]:
        """Return what it wants to be announced now."""


def id_text(mac: str) -> str:
    """Return 12 hex digits as HomeKit writes them."""
    return ":".join(mac[start : start + 2] for start in range(0, 12, 2)).upper()


def device_of(hap: Hap) -> Device:
    """Return the device, where its gate is now."""
    device_id = f"homekit:{hap.mac}"
    return Device(id=device_id, driver="homekit", name=hap.name, address="127.0.0.1", port=hap.gate.port)


async def service_of(hap: Hap) -> Service:
    """Return its announcement as discovery sees it."""
    host = f"{hap.mac}.local."
    addresses = ("127.0.0.1",)
    return Service(type=TYPE, name=hap.name, host=host, addresses=addresses, port=hap.gate.port, txt=await hap.txt())


@asynccontextmanager
async def announced(hap: Hap, zeroconf: AsyncZeroconf) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Announce it, where and what it is now; yields what announces it anew, and withdraws it in the end."""

    async def info() -> AsyncServiceInfo:
        return AsyncServiceInfo(
            TYPE,
            f"{hap.name}.{TYPE}",
            parsed_addresses=["127.0.0.1"],
            port=hap.gate.port,
            properties=await hap.txt(),
            server=f"{hap.mac}.local.",
        )

    async def update() -> None:
        await (await zeroconf.async_update_service(await info()))

    await (await zeroconf.async_register_service(await info()))
    try:
        yield update
    finally:
        await (await zeroconf.async_unregister_service(await info()))


def everything(driver: AccessoryDriver, name: str) -> Accessory:
    """Return one accessory that does all that the driver knows."""
    accessory = Accessory(driver, name)
    add = accessory.add_preload_service
    add("Lightbulb", chars=["On", "Brightness", "Hue", "Saturation", "ColorTemperature"])
    add("Outlet")
    add("LockMechanism")
    add("GarageDoorOpener")
    add("WindowCovering")
    add("Thermostat", chars=["CurrentRelativeHumidity"])
    add("ContactSensor")
    add("MotionSensor")
    add("OccupancySensor")
    add("TemperatureSensor")
    add("HumiditySensor")
    add("BatteryService")
    add("StatelessProgrammableSwitch")
    return accessory


def bridge(driver: AccessoryDriver, name: str) -> Accessory:
    """Return a bridge to two lamps and a strip of two outlets."""
    accessory = Bridge(driver, name)
    for aid, (called, services) in enumerate(
        (("Kitchen", ["Lightbulb"]), ("Hall", ["Lightbulb"]), ("Strip", ["Outlet", "Outlet"])), 2
    ):
        one = Accessory(driver, called, aid=aid)
        for number, service in enumerate(services, 1):
            one.add_preload_service(service, chars=["Name"], unique_id=number).configure_char("Name", value=called)
        accessory.add_accessory(one)
    return accessory


class _Driver(AccessoryDriver):  # type: ignore[misc]  # it has no types
    """Announces nothing by itself: its gate is what is to be found."""

    def update_advertisement(self) -> None:
        """Do nothing."""


class HapPython(Hap):
    """HAP-python in a thread with a loop of its own."""

    def __init__(self, mac: str, name: str, loop: asyncio.AbstractEventLoop, driver: AccessoryDriver) -> None:
        super().__init__(mac, name, driver.http_server.server.sockets[0].getsockname()[1])
        self._loop = loop
        self._driver = driver
        self._how = "prompt"
        for mover, target, current in (
            ("LockMechanism", "LockTargetState", "LockCurrentState"),
            ("GarageDoorOpener", "TargetDoorState", "CurrentDoorState"),
            ("WindowCovering", "TargetPosition", "CurrentPosition"),
        ):
            for one in self._services(mover):
                one.get_characteristic(target).setter_callback = partial(self._move, one, current)

    async def id_of(self, service: str, characteristic: str) -> tuple[int, int]:
        def find() -> tuple[int, int]:
            one = self._services(service)[0].get_characteristic(characteristic)
            return one.broker.aid, one.broker.iid_manager.get_iid(one)

        return await self.call(find)

    async def truth(self, aid: int, iid: int) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            top = self._driver.accessory
            accessory = top if aid == top.aid else top.accessories[aid]
            service = accessory.iid_manager.get_obj(iid).service
            return {one.display_name: one.value for one in service.characteristics}

        return await self.call(read)

    async def set(self, service: str, characteristic: str, value: object) -> None:
        await self.call(lambda: self._services(service)[0].get_characteristic(characteristic).set_value(value))

    async def press(self, presses: int) -> None:
        await self.set("StatelessProgrammableSwitch", "ProgrammableSwitchEvent", presses)

    async def behave(self, how: str) -> None:
        self._how = how

    async def flood(self, number: int) -> int:
        aid, iid = await self.id_of("Lightbulb", "Brightness")

        def tell(value: int) -> None:
            for connection in self._driver.http_server.connections.values():
                if connection.hap_crypto:
                    connection.write(create_hap_event([{"aid": aid, "iid": iid, "value": value}]))

        def change() -> int:
            value = 0
            for count in range(number):
                value = 1 + count % 100
                tell(value)
            self._services("Lightbulb")[0].get_characteristic("Brightness").value = value
            return value

        return await self.call(change)

    async def forget(self) -> None:
        def lose() -> None:
            state = self._driver.state
            for client in tuple(state.paired_clients):
                self._driver.unpair(client) if client in state.paired_clients else None
            for connection in tuple(self._driver.http_server.connections.values()):
                connection.close()

        await self.call(lose)

    async def txt(self) -> dict[str, str]:
        info = await self.call(lambda: AccessoryMDNSServiceInfo(self._driver.accessory, self._driver.state))
        return {key: value or "" for key, value in info.decoded_properties.items()}

    async def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns in the accessory's thread."""

        async def run() -> T:
            return function()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self._loop))

    def _services(self, name: str) -> list[Any]:
        top = self._driver.accessory
        all_of_them = [top, *getattr(top, "accessories", {}).values()]
        return [one for accessory in all_of_them for one in accessory.services if one.display_name == name]

    def _move(self, service: PyhapService, current: str, value: int) -> None:
        """Do what was commanded, as well as it can."""
        is_at = service.get_characteristic(current)
        if self._how == "prompt":
            is_at.set_value(value)
        elif current == "LockCurrentState":
            is_at.set_value(2 if self._how == "jammed" else is_at.value)
        elif current == "CurrentDoorState":
            is_at.set_value(2 + value)
        else:
            service.get_characteristic("PositionState").set_value(1 if value > is_at.value else 0)


@asynccontextmanager
async def open_hap_python(
    directory: Path, *, build: Build = everything, name: str = "Everything", mac: str = "a8032ab12345"
) -> AsyncIterator[HapPython]:
    """Run HAP-python's accessory, unpaired, with the PIN 031-45-154."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="HAP-python")
    thread.start()

    async def start() -> AccessoryDriver:
        driver = _Driver(
            address="127.0.0.1",
            persist_file=str(directory / f"{mac}.state"),
            pincode=PIN.encode(),
            mac=id_text(mac),
            loop=loop,
            advertise=False,
        )
        driver.http_server._addr_port = ("127.0.0.1", 0)  # any free one; its own default is what zero means to it
        driver.add_accessory(build(driver, name))
        await driver.async_start()
        return driver

    async def stop(driver: AccessoryDriver) -> None:
        await driver.async_stop()
        await driver.http_server.server.wait_closed()
        await loop.shutdown_default_executor()

    def there(coroutine: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))

    try:
        driver = await there(start())
        hap = HapPython(mac, name, loop, driver)
        try:
            async with open_gate(hap.port) as hap.gate:
                yield hap
        finally:
            await there(stop(driver))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()
