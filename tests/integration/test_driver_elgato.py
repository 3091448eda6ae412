"""What is particular to the Elgato driver: colours, polling, identity without a MAC, and lights that misbehave."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import ClientSession, web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.elgato import PLUGIN, Config, ElgatoDriver
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import MemorySecrets
from gladys_companion.sim.elgato import ElgatoLight, open_elgato

MAC = "3c6a9d14d765"
NONSENSE: tuple[object, ...] = (None, -1, 1e300, "\ud800x", [], [[]], {}, {"a": 1}, 2**63)


@pytest.fixture
async def driver() -> AsyncIterator[ElgatoDriver]:
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=MemorySecrets(), registry=RegistrySnapshot)
        config = Config(answer_within=0.7, poll_least=0.1, poll_most=0.2, reconnect_most=0.6)
        async with PLUGIN.open(config, kit) as driver:
            assert isinstance(driver, ElgatoDriver)
            yield driver


@pytest.fixture
async def panel() -> AsyncIterator[ElgatoLight]:
    async with open_elgato(mac=MAC) as light:
        yield light


@pytest.fixture
async def strip() -> AsyncIterator[ElgatoLight]:
    async with open_elgato(mac=MAC, kind="light-strip") as light:
        yield light


def where(light: ElgatoLight, mac: str = MAC) -> Device:
    return Device(id=f"elgato:{mac}", driver="elgato", name="desk", address=light.address, port=light.port)


def delivery(device: Device, component: str, value: float | None) -> Delivery:
    external_id = f"{device.id}:{component}"
    event = report(
        origin="gateway",
        external_id=external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    feature = Feature(external_id=external_id, device=device.id, name=component, category="light", type=component)
    return Delivery(seq=1, event=event, target="elgato", lane=device.id, feature=feature, device=device)


async def take(events: AsyncIterator[Event], count: int) -> dict[str, float | None]:
    async with asyncio.timeout(10):
        seen = [await anext(events) for _ in range(count)]
    return {(event.external_id or "").rpartition(":")[2]: event.value for event in seen}


async def test_features_are_gladys_lights(panel: ElgatoLight, driver: ElgatoDriver) -> None:
    """A panel has no colour, and its temperatures are those of the panel."""
    features = await driver.describe(where(panel))
    assert [(one.external_id, one.category, one.type, one.unit, one.min, one.max) for one in features] == [
        (f"elgato:{MAC}:on", "light", "binary", None, 0, 1),
        (f"elgato:{MAC}:brightness", "light", "brightness", "percent", 0, 100),
        (f"elgato:{MAC}:temperature", "light", "temperature", None, 143, 344),
    ]


async def test_a_strip_that_shines_white_still_has_colours(strip: ElgatoLight, driver: ElgatoDriver) -> None:
    """The features do not depend on what shines just now, and a strip's temperatures are fewer."""
    coloured = await driver.describe(where(strip))
    await strip.set(temperature=200)
    assert await driver.describe(where(strip)) == coloured
    assert [(one.type, one.min, one.max) for one in coloured[2:]] == [
        ("temperature", 153, 285),
        ("color", 0, 0xFFFFFF),
    ]


async def test_a_colour_is_told_as_it_was_chosen(strip: ElgatoLight, driver: ElgatoDriver) -> None:
    """Dark red has no darkness at the light, and comes back as no other colour; a hand's colour does."""
    events = driver.events()
    driver.follow(where(strip))
    await take(events, 3)
    await driver.deliver(delivery(where(strip), "color", 0x800000))
    assert (strip.state["hue"], strip.state["saturation"]) == (0.0, 100.0)
    await strip.set(hue=359.5)
    await strip.set(hue=240.0, saturation=100.0)
    assert await take(events, 1) == {"color": 0x0000FF}


async def test_black_is_dark(strip: ElgatoLight, driver: ElgatoDriver) -> None:
    """A colour without any light turns it off, and one with some turns it on again."""
    await driver.deliver(delivery(where(strip), "color", 0))
    assert strip.state["on"] == 0
    await driver.deliver(delivery(where(strip), "color", 0x00FF00))
    assert (strip.state["on"], strip.state["hue"]) == (1, 120.0)


async def test_brightness_none_is_off(panel: ElgatoLight, driver: ElgatoDriver) -> None:
    """Brightness 0 keeps the brightness for when it is turned on again."""
    await driver.deliver(delivery(where(panel), "brightness", 0))
    assert panel.state == {"on": 0, "brightness": 20, "temperature": 213}


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ("on", 2),
        ("brightness", 101),
        ("brightness", 0.5),
        ("temperature", 142),
        ("temperature", float("nan")),
        ("brightness", float("inf")),
        ("color", 1),
    ],
)
async def test_what_it_can_not_be_never_reaches_it(
    panel: ElgatoLight, driver: ElgatoDriver, component: str, value: float
) -> None:
    """What the light can not be is rejected with what it can, and nothing is sent."""
    with pytest.raises(Rejected, match=r"whole number from \d+ to \d+\.|no 'color'"):
        await driver.deliver(delivery(where(panel), component, value))
    assert panel.commands == ()


async def test_a_hand_is_noticed_and_a_command_is_no_news(panel: ElgatoLight, driver: ElgatoDriver) -> None:
    """First all is told, then only what changes; a command is no news, but what it changes beside is."""
    events = driver.events()
    driver.follow(where(panel))
    assert await take(events, 3) == {"on": 1, "brightness": 20, "temperature": 213}
    await panel.set(temperature=300)
    assert await take(events, 1) == {"temperature": 300}
    await driver.deliver(delivery(where(panel), "on", 0))
    assert await take(events, 1) == {"brightness": 0}
    await panel.press()
    assert await take(events, 2) == {"on": 1, "brightness": 20}


async def test_another_light_is_neither_described_nor_commanded(driver: ElgatoDriver) -> None:
    """Where another MAC answers, the sentence says so; the command may still find its light elsewhere."""
    async with open_elgato(mac="020000000001") as other:
        with pytest.raises(
            Rejected, match=r"Another device answers at desk \(127.0.0.1:\d+\): its MAC is 020000000001"
        ):
            await driver.describe(where(other))
        with pytest.raises(Unavailable, match="Another device answers"):
            await driver.deliver(delivery(where(other), "on", 0))
        assert other.commands == ()


async def test_one_that_tells_no_mac_is_known_by_its_serial_number(driver: ElgatoDriver) -> None:
    """Older firmware is driven; another light of that firmware in its place is not."""
    async with open_elgato(mac=MAC) as light, open_elgato(mac="020000000001") as other:
        light.tells_mac = other.tells_mac = False
        assert await driver.describe(where(light))
        await driver.deliver(delivery(where(light), "on", 0))
        assert light.state["on"] == 0
        with pytest.raises(Rejected, match=r"its serial number is 'CN0000000001', not CN6A9D14D765"):
            await driver.describe(where(other))
        with pytest.raises(Unavailable, match="Another device answers"):
            await driver.deliver(delivery(where(other), "on", 0))
        assert other.commands == ()


async def test_its_trouble_is_told_and_ends(panel: ElgatoLight, driver: ElgatoDriver) -> None:
    """While a light that is followed does not answer, the driver says why and since when."""
    panel.refuse(503)
    driver.follow(where(panel))
    async with asyncio.timeout(10):
        while (trouble := driver.trouble(f"elgato:{MAC}")) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    assert "503" in trouble.says
    panel.accept()
    await take(driver.events(), 3)
    assert driver.trouble(f"elgato:{MAC}") is None


@pytest.mark.parametrize(("status", "error"), [(404, Rejected), (429, Unavailable), (500, Unavailable)])
async def test_statuses(panel: ElgatoLight, driver: ElgatoDriver, status: int, error: type[Exception]) -> None:
    """What the light blames on us is never repeated, what it blames on itself is tried again."""
    panel.refuse(status)
    with pytest.raises(error, match=f"HTTP status {status}"):
        await driver.deliver(delivery(where(panel), "on", 0))


async def test_a_light_that_disobeys_is_not_believed(driver: ElgatoDriver) -> None:
    """A command that changes nothing is not delivered."""
    async with open_elgato(mac=MAC) as light:
        answers = {"accessory-info": light._info(), "settings": light._settings(), "lights": light._lights()}
    async with answering(answers) as device:
        with pytest.raises(Unavailable, match="took the command, but still says on = 1"):
            await driver.deliver(delivery(device, "on", 0))


async def test_any_member_may_be_nonsense(driver: ElgatoDriver) -> None:
    """Whatever a light answers in place of one member, the driver describes it or says why not, and nothing else."""
    async with open_elgato(mac=MAC, kind="light-strip") as light:
        answers = {"accessory-info": light._info(), "settings": light._settings(), "lights": light._lights()}
    served = copy.deepcopy(answers)
    outcomes: set[type[Exception] | None] = set()
    async with answering(served) as device:
        for path in paths(answers):
            for value in NONSENSE:
                served |= replaced(answers, path, value)
                driver.follow(device)
                try:
                    await driver.describe(device)
                    await driver.deliver(delivery(device, "on", 1))
                except Unavailable:
                    outcomes.add(Unavailable)
                except Rejected:
                    outcomes.add(Rejected)
                else:
                    outcomes.add(None)
                driver.forget(device.id)
    assert outcomes == {None, Unavailable, Rejected}


class answering:  # noqa: N801 - reads as a statement
    """A device that gives these answers, whatever it is told: by the last part of the path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        app = web.Application()
        self._answers = answers
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def _answer(self, request: web.Request) -> web.Response:
        return web.json_response(self._answers[request.path.rpartition("/")[2]], dumps=json.dumps)

    async def __aenter__(self) -> Device:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        return Device(id=f"elgato:{MAC}", driver="elgato", name="desk", address="127.0.0.1", port=port)

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


Path = tuple[str | int, ...]


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, dict):
        for key, member in value.items():
            yield from paths(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from paths(member, (*path, index))


def replaced(value: dict[str, Any], path: Path, by: object) -> dict[str, Any]:
    if not path:
        return value
    changed = copy.deepcopy(value)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = by
    return changed
