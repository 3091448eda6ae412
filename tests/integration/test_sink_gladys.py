"""The Gladys sink against a real Mosquitto, which is restarted, frozen, and knows its passwords."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from sqlite_utils import Database
from structlog.testing import capture_logs
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.app import open_daemon
from gladys_companion.clock import SYSTEM
from gladys_companion.config import Config as Settings
from gladys_companion.config import Discovery, Local, Mqtt
from gladys_companion.errors import ConfigError, Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit
from gladys_companion.sinks.gladys import PLUGIN, Config, GladysSink
from tests.mosquitto import Broker, certificate, open_broker, open_listener

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_passwd", "openssl")

LAMP = Device(id="wled:a1", driver="wled", name="Lamp")
ON = Feature(external_id="wled:a1:on", device=LAMP.id, name="On", category="light", type="binary", writable=True)
NOTE = Feature(external_id="mqtt:note", device="virtual:phone", name="Note", category="text", type="text")
BELL = Feature(external_id="wled:a1:bell", device=LAMP.id, name="Bell", category="button", type="click")
REGISTRY = RegistrySnapshot(
    devices={LAMP.id: LAMP},
    features={feature.external_id: feature for feature in (ON, NOTE, BELL)},
    aliases={"mqtt:lamp": ON.external_id},
    targets=("gladys",),
)
TOPIC = f"gladys/master/device/{LAMP.id}/feature/{ON.external_id}"
COMMAND = "gladys/device/mqtt:lamp/feature/{}/state"


class NoSecrets:
    async def get(self, name: str) -> bytes | None:
        raise AssertionError(name)

    async def set(self, name: str, value: bytes | None) -> None:
        raise AssertionError(name, value)


class Caller:
    """Calls the sink as dispatch does: one after the other, again until it worked or never will."""

    def __init__(self, sink: GladysSink, reached: asyncio.Event) -> None:
        self.sink = sink
        self.reached = reached

    async def tell(self, value: float | str, feature: Feature | None = ON, *, late: bool = False, **more: Any) -> None:
        delivery = delivered(value, feature, late=late, **more)
        while True:
            self.reached.clear()
            try:
                await self.sink.deliver(delivery)
            except Unavailable:
                async with asyncio.timeout(20):
                    await self.reached.wait()
            else:
                return


def delivered(value: float | str, feature: Feature | None = ON, *, late: bool = False, **more: Any) -> Delivery:
    event = report(
        origin="gateway",
        external_id=feature.external_id if feature else "x",
        value=None if isinstance(value, str) else value,
        text=value if isinstance(value, str) else None,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    event = msgspec.structs.replace(event, **more)
    return Delivery(seq=1, event=event, target="gladys", lane="gladys", feature=feature, device=LAMP, late=late)


@asynccontextmanager
async def open_sink(broker: Broker, **config: Any) -> AsyncIterator[Caller]:
    reached = asyncio.Event()
    settings = {"port": broker.port, "reconnect_most": 1.0, **config}
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(
            clock=SYSTEM,
            zeroconf=zeroconf,
            http=http,
            secrets=NoSecrets(),
            registry=lambda: REGISTRY,
            retry=lambda lane: reached.set() if lane == "gladys" else None,
            mqtt=msgspec.convert(settings, Mqtt),
        )
        async with PLUGIN.open(Config(), kit) as sink:
            assert isinstance(sink, GladysSink)
            yield Caller(sink, reached)


async def reached(caller: Caller) -> None:
    async with asyncio.timeout(20):
        await caller.reached.wait()


async def trouble(caller: Caller, says: str) -> str:
    """Return why Gladys can not be told, when it says so."""
    async with asyncio.timeout(20):
        while says not in (caller.sink.hindrance or ""):  # noqa: ASYNC110 - a status is to be looked at
            await asyncio.sleep(0.01)
    return caller.sink.hindrance or ""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with open_broker(tmp_path) as broker:
        yield broker


async def test_states_texts_and_history(broker: Broker) -> None:
    """A number of now is a state, a late or dated one history with its time, a text a text; all with QoS 1."""
    at = 1_767_225_600.5
    async with open_listener(broker, "gladys/master/#") as gladys, open_sink(broker) as caller:
        await caller.tell(1.0)
        await caller.tell(0.25)
        await caller.tell(2.0, late=True, at=at)
        await caller.tell(3.0, dated=True, at=at)
        await caller.tell("Bonjour 🏠", NOTE)
        history = b'{"state":%d,"created_at":"2026-01-01T00:00:00.500Z"}'
        assert await gladys.payloads(5) == [
            (f"{TOPIC}/state", b"1"),
            (f"{TOPIC}/state", b"0.25"),
            (f"{TOPIC}/historical", history % 2),
            (f"{TOPIC}/historical", history % 3),
            ("gladys/master/device/virtual:phone/feature/mqtt:note/text", "Bonjour 🏠".encode()),
        ]
        assert {message.qos for message in gladys.heard} == {1}
        assert not any(message.retain for message in gladys.heard)


async def test_a_phone_tries_the_way(broker: Broker) -> None:
    """The broker has it, under a topic of ours, and Gladys hears nothing."""
    async with open_listener(broker, "#") as heard, open_sink(broker) as caller:
        await caller.tell("", None, kind="signal", external_id="companion-test")
        await caller.tell(1.0)
        topics = [topic for topic, _ in await heard.payloads(3)]
        assert topics[-2:] == ["gladys-companion/test", f"{TOPIC}/state"]


@pytest.mark.parametrize(
    ("external_id", "says"),
    [
        ("mqtt:a/b", "'/', which separates"),
        ("mqtt:a+b", "'\\+', which is a wildcard"),
        ("mqtt:a#", "'#', which is a wildcard"),
        ("mqtt:\x00", "MQTT does not allow"),
        ("mqtt:\x07", "MQTT does not allow"),
        ("mqtt:\ud800", "MQTT does not allow"),
        ("mqtt:\uffff", "MQTT does not allow"),
        ("", "empty"),
        ("é" * 32_750, "too long"),
    ],
)
async def test_ids_that_mqtt_can_not_carry(broker: Broker, external_id: str, says: str) -> None:
    """They are refused with a sentence of bearable length, and what follows is told."""
    feature = msgspec.structs.replace(ON, external_id=external_id)
    async with open_listener(broker, "gladys/master/#") as gladys, open_sink(broker) as caller:
        with pytest.raises(Rejected, match=says) as refused:
            await caller.tell(1.0, feature)
        assert len(str(refused.value)) < 300
        await caller.tell(2.0)
        assert await gladys.payloads(1) == [(f"{TOPIC}/state", b"2")]


async def test_ids_that_mqtt_can_carry(broker: Broker) -> None:
    """What a topic can hold comes through, whatever it looks like."""
    odd = ["$SYS", "a b", "ключ 🏠", "a:b*c?d", "%2F", "\u2028", "é" * 32_700]
    async with open_listener(broker, "gladys/master/#") as gladys, open_sink(broker) as caller:
        for external_id in odd:
            await caller.tell(1.0, msgspec.structs.replace(ON, external_id=external_id, device="d"))
        told = await gladys.payloads(len(odd))
        assert [topic.split("/")[5] for topic, _ in told] == odd


@pytest.mark.parametrize(
    "delivery",
    [
        delivered("a", NOTE, late=True),
        delivered("a", NOTE, dated=True, at=SYSTEM.now() - 3_600),
        delivered("a", ON),
        delivered(1.0, NOTE),
        delivered(float("nan")),
        delivered(1.0, late=True, at=1e30),
        delivered("\ud800", NOTE),
        delivered(1.0, None),
        delivered(1.0, kind="location"),
    ],
)
async def test_what_gladys_can_not_be_told(broker: Broker, delivery: Delivery) -> None:
    """Late texts, values of the wrong type and what is no state are rejected with a sentence, broker or not."""
    async with open_sink(broker) as caller:
        with pytest.raises(Rejected, match=r"\w+ .+\.$"):
            await caller.sink.deliver(delivery)


async def test_a_restart_in_mid_stream_loses_nothing(broker: Broker) -> None:
    """The broker goes and comes back, twice, while values flow: each arrives, in order, at most repeated."""
    async with open_listener(broker, f"{TOPIC}/#") as gladys, open_sink(broker) as caller:

        async def stream() -> None:
            for value in range(400):
                await caller.tell(float(value))

        async with asyncio.TaskGroup() as group:
            group.create_task(stream())
            for number in (100, 200):
                await gladys.count(number)
                await broker.stop()
                await broker.start()
        told = await gladys.last(b"399")
        assert [int(value) for value, _ in itertools.groupby(told)] == list(range(400))


async def test_a_broker_that_is_away(broker: Broker) -> None:
    """Deliveries are told at once that they must wait, and whoever waits is woken when it is back."""
    async with open_sink(broker) as caller:
        await reached(caller)
        await broker.stop()
        assert f"127.0.0.1:{broker.port}" in await trouble(caller, "can not be reached")
        with pytest.raises(Unavailable, match=r"can not be reached: .+\."):
            await caller.sink.deliver(delivered(1.0))
        caller.reached.clear()
        await broker.start()
        await reached(caller)
        assert caller.sink.hindrance is None
        await caller.sink.deliver(delivered(1.0))


async def test_a_frozen_broker_is_noticed(broker: Broker) -> None:
    """A broker that holds the connection and does nothing is unavailable after a while, and used again thawed."""
    async with open_sink(broker, keepalive=1) as caller:
        await reached(caller)
        broker.freeze()
        try:
            async with asyncio.timeout(20):
                with pytest.raises(Unavailable, match="acknowledged"):
                    await caller.sink.deliver(delivered(1.0))
        finally:
            broker.thaw()
        await caller.tell(1.0)


async def test_a_click_is_not_told_twice(broker: Broker) -> None:
    """Where nobody knows whether a click arrived, the sink leaves it to its caller's time-out instead of a retry."""
    async with open_sink(broker, keepalive=1) as caller, asyncio.TaskGroup() as group:
        await reached(caller)
        broker.freeze()
        try:
            click = group.create_task(caller.sink.deliver(delivered(1.0, BELL)))
            await trouble(caller, "127.0.0.1")
        finally:
            broker.thaw()
        await caller.tell(1.0)
        assert not click.done()
        click.cancel()


async def test_a_wrong_password(tmp_path: Path) -> None:
    """It is told as that, holds nobody up, is never shown, and the right one is taken without a restart."""
    secret = tmp_path / "password"
    await asyncio.to_thread(secret.write_text, "wr0ng\n")
    with capture_logs() as logs:
        async with (
            open_broker(tmp_path, username="companion", password="r1ght") as broker,
            open_sink(broker, username="companion", password_file=str(secret)) as caller,
        ):
            await trouble(caller, "password")
            with pytest.raises(Unavailable, match=r"refuses the user 'companion'.*check .*password") as refused:
                await caller.sink.deliver(delivered(1.0))
            await asyncio.to_thread(secret.write_text, "r1ght\n")
            await reached(caller)
            await caller.tell(1.0)
    assert "wr0ng" not in repr(logs) + repr(refused.value)
    assert "r1ght" not in repr(logs)


async def test_tls(tmp_path: Path) -> None:
    """A broker with a certificate of one's own authority is trusted with that authority, and not without."""
    pair = await asyncio.to_thread(certificate, tmp_path)
    async with open_broker(tmp_path, tls=pair) as broker:
        async with open_sink(broker, tls=True, ca_certificate=str(pair[0])) as caller:
            await caller.tell(1.0)
        for tls, says in ((True, "not trusted"), (False, "can not be reached")):
            async with open_sink(broker, tls=tls) as caller:
                await trouble(caller, says)


async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    """A certificate that is trusted but names another host is refused."""
    pair = await asyncio.to_thread(certificate, tmp_path, "DNS:broker.example.org")
    async with (
        open_broker(tmp_path, tls=pair) as broker,
        open_sink(broker, tls=True, ca_certificate=str(pair[0])) as caller,
    ):
        await trouble(caller, "not trusted")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"tls": True, "ca_certificate": "/nowhere.pem"}, "nowhere.pem: No such file"),
        ({"username": "u", "password_file": "/nowhere"}, "/nowhere can not be read"),
    ],
)
async def test_options_that_can_not_work(broker: Broker, config: dict[str, Any], says: str) -> None:
    """They end the start with a sentence that names the option."""
    with pytest.raises(ConfigError, match=says):
        async with open_sink(broker, **config):
            pass


async def test_last_will(broker: Broker) -> None:
    """Who is there says so, who leaves says so, and for who is lost the broker does."""
    async with open_listener(broker, "gladys-companion/status") as listener:
        async with open_sink(broker, keepalive=1) as caller:
            await reached(caller)
            assert (await listener.count(1))[-1].payload == b"online"
        assert (await listener.count(2))[-1].payload == b"offline"
        async with open_sink(broker) as caller:
            await reached(caller)
            await listener.count(3)
            async with broker.client("gladys-companion"):  # takes the connection, which is a loss to the sink
                assert (await listener.count(4))[-1].payload == b"offline"
    assert not any(message.retain for message in listener.heard)


async def test_a_command_comes_back(broker: Broker) -> None:
    """What Gladys sends to a feature of ours, by its id or alias, becomes an event; everything else is ignored."""
    async with open_sink(broker) as caller, broker.client("gladys") as gladys:
        await reached(caller)
        events = caller.sink.events()
        for external_id, payload in (
            ("unknown", b"1"),
            (ON.external_id, b"nonsense"),
            (ON.external_id, b"NaN"),
            (ON.external_id, b"\xff"),
            (ON.external_id, b"1_0"),
            (ON.external_id, b"1" * 100_000),
            (ON.external_id, b"1"),
            ("mqtt:lamp", b"0"),
            (NOTE.external_id, b"hello"),
        ):
            await gladys.publish(COMMAND.format(external_id), payload, qos=1)
        got = [await nearest(events) for _ in range(3)]
        assert [(event.external_id, event.value, event.text) for event in got] == [
            (ON.external_id, 1, None),
            ("mqtt:lamp", 0, None),
            (NOTE.external_id, None, "hello"),
        ]
        assert {event.origin for event in got} == {"gladys"}


async def test_old_commands_are_not_carried_out(broker: Broker) -> None:
    """A command that the broker kept, as retained or as a queue, is not taken for one of now."""
    async with broker.client("gladys") as gladys:
        async with open_sink(broker) as caller:
            await reached(caller)
        await gladys.publish(COMMAND.format(ON.external_id), b"1", qos=1, retain=True)
        await gladys.publish(COMMAND.format(ON.external_id), b"2", qos=1)
        async with open_sink(broker) as caller:
            await reached(caller)
            await gladys.publish(COMMAND.format(ON.external_id), b"3", qos=1)
            assert (await nearest(caller.sink.events())).value == 3


async def test_what_we_said_is_no_command(broker: Broker) -> None:
    """A value that only repeats what Gladys was just told is ignored once; any other, or the same again, is not."""
    async with open_sink(broker) as caller, broker.client("gladys") as gladys:
        events = caller.sink.events()
        await caller.tell(5.0)
        for payload in (b"5", b"5", b"6"):
            await gladys.publish(COMMAND.format("mqtt:lamp"), payload, qos=1)
        assert [(await nearest(events)).value for _ in range(2)] == [5, 6]
        await caller.tell(7.0)
        await gladys.publish(COMMAND.format(ON.external_id), b"8", qos=1)
        assert (await nearest(events)).value == 8


async def test_it_closes_in_the_middle_of_connecting(broker: Broker) -> None:
    """Closed at once, while it connects, and while its broker hangs, it leaves no task and no socket."""
    before = asyncio.all_tasks()
    async with open_sink(broker):
        pass
    broker.freeze()
    async with asyncio.timeout(20):
        async with open_sink(broker):
            await asyncio.sleep(0)
    broker.thaw()
    assert asyncio.all_tasks() == before


async def test_the_whole_way(broker: Broker, tmp_path: Path) -> None:
    """What a home is told while the broker is away reaches Gladys when it is back, and Gladys commands the home."""
    settings = Settings(
        state_directory=str(tmp_path),
        runtime_directory=str(tmp_path),
        local=Local(listen="127.0.0.1:0"),
        discovery=Discovery(enabled=False),
        drivers={"virtual": {}},
        mqtt=Mqtt(port=broker.port, reconnect_most=0.5),
        sinks={"gladys": {}},
    )
    phone = Device(id="virtual:phone", driver="virtual", name="Phone")
    async with open_listener(broker, "gladys/master/#") as gladys:
        await broker.stop()
        async with open_daemon(settings) as daemon:
            await daemon.registry.put_device(phone, [NOTE])
            receipt = await daemon.intake.submit(delivered("hello", NOTE).event)
            assert {target.target: target.state for target in receipt.targets} == {
                "virtual": "verified",
                "gladys": "pending",
            }
            await broker.start()
            topic = "gladys/master/device/virtual:phone/feature/mqtt:note/text"
            assert await gladys.payloads(1) == [(topic, b"hello")]
            arrived = daemon.intake.arrived
            async with broker.client("gladys") as client, asyncio.timeout(20):
                await client.publish(COMMAND.format(NOTE.external_id), b"bonjour", qos=1)
                while await daemon.store.read(origins) != [("gateway", "hello"), ("gladys", "bonjour")]:
                    await arrived.wait()
                    arrived = daemon.intake.arrived
        assert len(gladys.heard) == 1


def origins(database: Database) -> list[tuple[Any, ...]]:
    """Return where events came from, and what they say."""
    return database.conn.execute("SELECT origin, text FROM events ORDER BY seq").fetchall()


async def nearest(events: AsyncIterator[Event]) -> Event:
    async with asyncio.timeout(20):
        return await anext(events)
