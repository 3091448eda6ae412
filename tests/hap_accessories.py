"""Real HomeKit accessories that are not of our making, each behind a gate: those of HAP-python, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pyhap import hap_handler, hsrp
from pyhap.accessory import Accessory, Bridge
from pyhap.accessory_driver import AccessoryDriver, AccessoryMDNSServiceInfo
from pyhap.hap_event import create_hap_event
from pyhap.service import Service as PyhapService

from tests.hap import PIN, Hap, any_mac, id_text
from tests.hap_gate import open_gate, stop_accepting

__all__ = ["HapPython", "bridge", "everything", "open_hap_python"]

T = TypeVar("T")


def padded(number: int) -> bytes:
    """Return a number as wide as its kind is: the generator, a key, or what is modulo the 3072 bits of the prime."""
    return number.to_bytes(1 if number < 256 else 64 if number.bit_length() <= 512 else 384, "big")


# HAP-python 5.2 leaves leading zeros out, and so refuses one right PIN in eighty (RFC 5054, 2.6, and HAP, 5.5.2).
hap_handler.long_to_bytes = hsrp.long_to_bytes = padded

Build = Callable[["AccessoryDriver", str], "Accessory"]


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
    directory: Path, *, build: Build = everything, name: str = "Everything", mac: str = ""
) -> AsyncIterator[HapPython]:
    """Run HAP-python's accessory, unpaired, with the PIN 031-45-154; its id is any unless it is given."""
    mac = mac or any_mac()
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
        await stop_accepting(driver.http_server.server)
        async with asyncio.timeout(10):
            while driver.http_server.connections:  # noqa: ASYNC110 - they were cut, and it is about to notice
                await asyncio.sleep(0.01)
        await driver.async_stop()
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
