"""The routes that give Gladys a device, over the socket only, with a sink that notes what it is to announce."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, report
from gladys_companion.plugins import PluginRecord
from gladys_companion.web.server import open_local, open_socket, socket_path
from gladys_companion.web.service import Service
from tests.web.home import QuietHost, open_home

LAMP = Device(id="wled:a1", driver="wled", name="Lamp")
ON = Feature(external_id="wled:a1:on", device=LAMP.id, name="On", category="light", type="binary", writable=True)
NOTE = Feature(external_id="wled:a1:note", device=LAMP.id, name="Note", category="text", type="text")
SHARE = f"/api/devices/{LAMP.id}/share"


class Announcer:
    """A sink that can announce lights; ``error`` is raised instead."""

    def __init__(self) -> None:
        self.announced: list[str] = []
        self.shown: list[tuple[str, float | None]] = []
        self.error: Exception | None = None

    async def deliver(self, delivery: Delivery) -> None:
        raise AssertionError(delivery)

    async def announce(self, device: Device, features: Sequence[Feature]) -> Sequence[Feature]:
        if self.error is not None:
            raise self.error
        self.announced.append(device.id)
        return [one for one in features if not one.textual]

    async def withdraw(self, device: Device, features: Sequence[Feature]) -> None:
        if self.error is not None:
            raise self.error
        assert len(features) == 2
        self.announced.remove(device.id)

    async def show(self, feature: Feature, value: float | None, text: str | None) -> None:
        assert text is None
        self.shown.append((feature.external_id, value))
        raise Unavailable("The broker is away again.")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with open_home(tmp_path) as service:
        await service.registry.put_device(LAMP, [ON, NOTE])
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    path = socket_path(service.config)
    async with (
        open_socket(service, path),
        aiohttp.ClientSession("http://daemon", connector=aiohttp.UnixConnector(str(path))) as client,
    ):
        yield client


@pytest.fixture
def announcer(service: Service) -> Announcer:
    announcer = Announcer()
    assert isinstance(service.host, QuietHost)
    service.host.plugins["gladys"] = PluginRecord(name="gladys", group="sinks", target=announcer, status="open")
    return announcer


async def ask(client: aiohttp.ClientSession, method: str, body: object = None) -> tuple[int, Any]:
    async with client.request(method, SHARE, json=body) as response:
        return response.status, await response.json()


async def test_a_device_is_announced_and_taken_back(
    client: aiohttp.ClientSession, service: Service, announcer: Announcer
) -> None:
    """It is said what Gladys can not show, values are shown at once, and a value that can not be is no error."""
    clock = service.clock
    told = report(
        origin="wled", external_id=ON.external_id, value=1.0, now=clock.now(), elapsed=clock.elapsed(), boot=clock.boot
    )
    await service.intake.take(told)
    for _ in range(2):
        status, answer = await ask(client, "POST", {})
        assert (status, answer["by"], answer["left_out"]) == (200, "mqtt", [NOTE.external_id])
    assert announcer.shown == [(ON.external_id, 1.0)] * 2
    assert (await service.device(LAMP.id)).shared == "mqtt"
    status, answer = await ask(client, "DELETE")
    assert (status, answer["by"], answer["says"]) == (
        200,
        None,
        "Lamp is announced no more. If it was added in Gladys, delete it there.",
    )
    assert (await service.device(LAMP.id)).shared is None
    assert announcer.announced == [LAMP.id]  # twice announced, and once taken back


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable("The broker is away."), 503, "UNAVAILABLE"),
        (Rejected("Nothing can be shown."), 422, "REJECTED"),
        (KeyError("a bug of the plug-in"), 422, "REJECTED"),
    ],
)
async def test_what_the_sink_can_not_do_is_not_noted_as_done(
    client: aiohttp.ClientSession, service: Service, announcer: Announcer, error: Exception, status: int, code: str
) -> None:
    """The sentence is handed on, the device is not shared; and what is, stays so if it can not be taken back."""
    announcer.error = error
    answered, told = await ask(client, "POST", {"by": "mqtt"})
    assert (answered, told["error_code"]) == (status, code)
    assert service.registry.snapshot.shared == {}
    announcer.error = None
    assert (await ask(client, "POST", {"by": "mqtt"}))[0] == 200
    announcer.error = error
    assert (await ask(client, "DELETE"))[0] == status
    assert service.registry.snapshot.shared == {LAMP.id: "mqtt"}


async def test_wishes_that_make_no_sense(client: aiohttp.ClientSession, announcer: Announcer) -> None:
    """Unknown ways, further words and what was not shared are refused with their codes."""
    assert (await ask(client, "POST", {"by": "pigeon"}))[0] == 422
    assert (await ask(client, "POST", {"by": "mqtt", "how": 1}))[0] == 422
    assert (await ask(client, "DELETE"))[1]["error_code"] == "NOT_SHARED"
    assert (await ask(client, "POST", {"by": "rest"}))[1]["error_code"] == "NO_GLADYS"
    assert announcer.announced == []


async def test_without_the_sink(client: aiohttp.ClientSession) -> None:
    """Nothing would carry its values: it is said what to switch on."""
    status, told = await ask(client, "POST", {})
    assert (status, told["error_code"]) == (409, "NO_GLADYS")
    assert "[sinks.gladys]" in told["error_message"]


async def test_visitors_share_nothing(service: Service, announcer: Announcer) -> None:
    """On TCP, where anybody on this machine may ask, nothing is given away."""
    async with open_local(service) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as visitor:
        for method in ("POST", "DELETE"):
            assert (await ask(visitor, method, {}))[0] in {404, 405}
    assert announcer.announced == []
