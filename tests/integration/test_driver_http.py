"""What is particular to the HTTP driver: its tables' mistakes, secrets, redirects, and devices that misbehave."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.config import load
from gladys_companion.drivers.http import PLUGIN, Config, HttpDriver
from gladys_companion.errors import ConfigError, Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, RegistrySnapshot, report
from gladys_companion.plugins import configure
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import MemorySecrets
from tests.command_line import run_here
from tests.heater import Heater, described, heater

DEVICE = Device(id="http:heater", driver="http", name="Heater", address="127.0.0.1")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "driver-http.md"


@asynccontextmanager
async def driving(one: Heater, **more: Any) -> AsyncIterator[HttpDriver]:
    config = msgspec.convert(
        {
            "answer_within": 0.7,
            "poll_least": 0.1,
            "poll_most": 0.1,
            "reconnect_most": 0.6,
            "devices": [described(one.port, **more)],
        },
        Config,
    )
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=MemorySecrets(), registry=RegistrySnapshot)
        async with PLUGIN.open(config, kit) as driver:
            assert isinstance(driver, HttpDriver)
            yield driver


async def deliver(driver: HttpDriver, component: str, value: float | str) -> None:
    feature = Feature(
        external_id=f"http:heater:{component}",
        device=DEVICE.id,
        name=component,
        category="unknown",
        type="text" if isinstance(value, str) else "unknown",
    )
    event = report(
        origin="gateway",
        external_id=feature.external_id,
        value=None if isinstance(value, str) else value,
        text=value if isinstance(value, str) else None,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    await driver.deliver(Delivery(seq=1, event=event, target="http", lane=DEVICE.id, feature=feature, device=DEVICE))


async def test_it_yields_what_is_described() -> None:
    """The devices of the configuration are found, with what they read and write."""
    async with heater() as one, driving(one) as driver:
        found = await anext(driver.discover())
        assert (found.id, found.name, found.address, found.port) == ("http:heater", "Heater", "127.0.0.1", one.port)
        features = {feature.external_id: feature for feature in await driver.describe(found)}
        assert set(features) == {"http:heater:on", "http:heater:target", "http:heater:note"}
        assert features["http:heater:on"].category == "switch"
        assert features["http:heater:target"].max == 30


async def test_commands_travel_as_described() -> None:
    """A word in the path, a number in JSON, a text in a query that can not break out of it."""
    async with heater() as one, driving(one) as driver:
        await deliver(driver, "on", 1)
        await deliver(driver, "target", 21.5)
        await deliver(driver, "note", "a&turn=off#\u00e9")
        assert (one.on, one.target, one.note) == (1, 21.5, "a&turn=off#\u00e9")
        assert ("GET", "/relay?turn=on", None) in one.asked


async def test_one_that_does_not_obey_is_unavailable() -> None:
    """It answers that all is well, and still says something else."""
    async with heater() as one, driving(one) as driver:
        one.deaf = True
        with pytest.raises(Unavailable, match=r"took the command, but still says 0\.0"):
            await deliver(driver, "on", 1)


async def test_another_device_is_neither_read_nor_commanded() -> None:
    """Where another identity answers, nothing is written."""
    async with heater() as one, driving(one) as driver:
        one.serial = "H-43"
        with pytest.raises(Rejected, match="it says 'H-43', not 'H-42'"):
            await driver.describe(DEVICE)
        with pytest.raises(Rejected, match="Another device"):
            await deliver(driver, "on", 1)
        assert {path for _, path, _ in one.asked} == {"/info"}


async def test_what_was_described_no_more_is_told() -> None:
    """A device that left the configuration, and a feature that can not be written, are rejected: look there."""
    async with heater() as one, driving(one) as driver:
        with pytest.raises(Rejected, match=r"\[drivers.http\] describes no device"):
            await driver.describe(msgspec.structs.replace(DEVICE, id="http:kettle"))
        with pytest.raises(Rejected, match="no way to write 'nothing'"):
            await deliver(driver, "nothing", 1)


async def test_a_secret_header_goes_to_that_host_only(tmp_path: Path) -> None:
    """It comes from a file, is sent with each request, and follows no redirect."""
    (tmp_path / "key").write_text("s3cret\n")
    async with (
        heater() as other,
        heater() as one,
        driving(one, header="X-Key", header_file=str(tmp_path / "key")) as driver,
    ):
        await driver.describe(DEVICE)
        assert {key for _, _, key in one.asked} == {"s3cret"}
        one.redirect = f"http://127.0.0.1:{other.port}/status"
        with pytest.raises(Unavailable, match="sends us elsewhere") as refused:
            await driver.describe(DEVICE)
        assert "s3cret" not in str(refused.value)
        assert other.asked == []


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (401, "", Rejected, "HTTP status 401. Look at header"),
        (404, "", Rejected, "HTTP status 404"),
        (429, "", Unavailable, "HTTP status 429"),
        (500, "", Unavailable, "HTTP status 500"),
        (200, "{", Unavailable, "is not JSON"),
        (200, '{"serial": "H-42"}', Unavailable, "has nothing at 'relay.on'"),
        (200, "x" * (1 << 21), Unavailable, "larger than"),
    ],
)
async def test_a_wrong_answer_is_told(status: int, body: str, error: type[Exception], says: str) -> None:
    """Each says what was wrong with it, and whether trying again can help."""
    async with heater() as one, driving(one) as driver:
        one.refusal = (status, body)
        with pytest.raises(error, match=re.escape(says)):
            await driver.describe(DEVICE)


async def test_a_hand_at_the_device_is_told_once_and_its_absence_with_a_sentence() -> None:
    """Polled, a change is one event; while nothing listens there, the trouble says so, and passes."""
    async with heater() as one, driving(one) as driver:
        events = driver.events()
        driver.follow(DEVICE)
        async with asyncio.timeout(20):
            assert {(await anext(events)).external_id for _ in range(3)} == {
                "http:heater:on",
                "http:heater:target",
                "http:heater:note",
            }
            one.on = 1
            told = await anext(events)
            assert (told.external_id, told.value) == ("http:heater:on", 1)
            one.refusal = (503, "")
            await until(lambda: driver.trouble(DEVICE.id) is not None)
            trouble = driver.trouble(DEVICE.id)
            assert trouble is not None
            assert "HTTP status 503" in trouble.says
            one.refusal, one.on = None, 0
            await until(lambda: driver.trouble(DEVICE.id) is None)
            seen = {(await anext(events)).external_id for _ in range(3)}
        assert seen == {"http:heater:on", "http:heater:target", "http:heater:note"}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"url": "heater"}, "url: 'heater' is not an address"),
    ({"url": "http://127.0.0.1/status"}, "url: give the host only"),
    ({"url": "http://a:b@127.0.0.1"}, "url: no password belongs in here"),
    ({"ca_certificate": "/nowhere"}, "it is used with https only"),
    ({"url": "https://127.0.0.1", "ca_certificate": "/nowhere"}, "/nowhere: No such file"),
    ({"header_file": "/nowhere"}, "it needs header beside it"),
    ({"header": "X-Key", "header_file": "/nowhere"}, "/nowhere can not be read"),
    ({"header": "X-Key"}, "is in no file"),
    ({"features": [{"component": "a", "read": "/"}] * 2}, "two features are called 'a'"),
    ({"features": [{"component": "a"}]}, "neither read nor write"),
    ({"features": [{"component": "a", "read": "status"}]}, "must begin with a slash"),
    ({"features": [{"component": "a", "write": "/{vlaue}"}]}, "{vlaue} is no placeholder"),
    ({"features": [{"component": "a", "write": "/", "method": "GET", "payload": "x"}]}, "a GET has none"),
]


@pytest.mark.parametrize(("more", "says"), MISTAKES)
def test_a_mistake_in_the_table_is_told_with_its_place(more: dict[str, Any], says: str) -> None:
    """`config check` and the start find each, and say in which device."""
    config = msgspec.convert({"devices": [described(80, **more)]}, Config)
    with pytest.raises(ConfigError, match=re.escape(says)) as wrong:
        PLUGIN.check(config)
    assert "[drivers.http]" in str(wrong.value)


def test_two_devices_of_one_id_are_told() -> None:
    """The second is named by its number."""
    config = msgspec.convert({"devices": [described(80), described(81)]}, Config)
    with pytest.raises(ConfigError, match=r"devices\[1\] 'heater': another device has this id"):
        PLUGIN.check(config)


def test_the_example_of_the_page_is_a_configuration(tmp_path: Path) -> None:
    """What the reference shows decodes, and `config check` is content; a misspelt key in it is told with its path."""
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    secret = tmp_path / "heater-key"
    secret.write_text("x")
    path = tmp_path / "config.toml"
    path.write_text(example.replace("/etc/gladys-companion/heater-key", str(secret)))
    record = configure("drivers", load(path).drivers)["http"]
    PLUGIN.check(record.config)
    assert [device.id for device in record.config.devices] == ["heater"]
    assert run_here(f"--config={path}", "config", "check").code == 0
    path.write_text(path.read_text().replace('json_path = "relay.on"', 'json_pat = "relay.on"'))
    ended = run_here(f"--config={path}", "config", "check")
    said = "[drivers.http.devices.0.features.0] json_pat: no such option. Did you mean 'json_path'?"
    assert (ended.code, said in ended.err) == (78, True), ended.err


def test_the_answer_of_the_heater_is_as_the_page_says() -> None:
    """The example's paths lead somewhere in the JSON that the page shows."""
    (shown,) = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert json.loads(shown)["relay"]["on"] is True
