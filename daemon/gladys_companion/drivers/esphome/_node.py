"""One connection to one ESPHome device, which never takes another device for it: listed, listened to and commanded.

Whatever goes wrong comes out as ``Unavailable`` or ``Rejected`` with a sentence. The device is not trusted: what it
lists is bounded, and nothing is commanded before it said that it is the right one.

Protocol: ESPHome's native API (esphome.io/components/api), plain or in Noise, as aioesphomeapi speaks it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aioesphomeapi import APIVersion, EntityInfo, EntityState
from aioesphomeapi.client import LIST_ENTITIES_MSG_TYPES, APIClient

from gladys_companion.drivers.esphome._commands import Call, call, fails, has
from gladys_companion.drivers.esphome._entities import KINDS, Part, parts
from gladys_companion.drivers.esphome._trouble import AnotherDevice, TooLong, judged
from gladys_companion.drivers.esphome._values import STATES, value
from gladys_companion.drivers.following import Value
from gladys_companion.drivers.identity import mac_of
from gladys_companion.errors import Rejected, Unanswered, Unavailable
from gladys_companion.model import Device

__all__ = ["Node", "open_node"]

MOST_LISTED = 2_000  # entities and actions; the largest real device has some hundreds
LARGEST_LIST = 1 << 20  # bytes; the largest real one is a tenth of it
ALIVE_WITHIN = 1.0  # seconds for a device that did not do what it was told to show that it is there

Key = tuple[str, int, int]
"""Of an entity: what it is, its sub-device, its own key; keys repeat among kinds and among sub-devices."""


class _Client(APIClient):
    """The library's, which can be told to hang up on a device that lists without end."""

    @contextmanager
    def bounded_list(self) -> Iterator[None]:
        """Hang up when what is listed within becomes longer than any device's."""
        listed = size = 0

        def count(message: Any) -> None:  # noqa: ANN401 - one of protobuf's
            nonlocal listed, size
            listed, size = listed + 1, size + message.ByteSize()
            if listed > MOST_LISTED or size > LARGEST_LIST:
                connection.report_fatal_error(TooLong())

        connection = self._get_connection()
        remove = connection.add_message_callback(count, LIST_ENTITIES_MSG_TYPES)
        try:
            yield
        finally:
            remove()


@asynccontextmanager
async def open_node(device: Device, key: str | None, answer_within: float, ping_every: float) -> AsyncIterator[Node]:
    """Yield a connection to a device that is known to be the right one.

    Args:
        device: its id, and where it is.
        key: of its encryption; with one, nothing is ever said in plain words.
        answer_within: seconds for each step: to connect, to list, to do what it is told.
        ping_every: seconds of silence until it is asked whether it is still there; after 4.5 times as many it is not.

    Raises:
        Unavailable: it does not answer, or it is not known where it is.
        Rejected: it is another device, or its owner has to do something; the sentence says what.
    """
    if device.address is None or device.port is None:
        raise Unavailable(f"{device.name} has not been seen on the network yet.")
    mac = device.id.partition(":")[2]
    client = _Client(
        device.address,
        device.port,
        client_info="Gladys Companion",
        keepalive=ping_every,
        noise_psk=key,
        expected_mac=mac,
    )
    node = Node(device, client, answer_within)
    try:
        await node.begin(mac)
        yield node
    finally:
        await client.disconnect(force=True)


class Node:
    """What ``open_node`` yields."""

    def __init__(self, device: Device, client: _Client, answer_within: float) -> None:
        self._device = device
        self._where = f"{device.name} ({device.address}:{device.port})"
        self._client = client
        self._answer_within = answer_within
        self._annexes: dict[int, str] = {}
        self._parts: dict[str, Part] = {}
        self._by_key: dict[Key, list[Part]] = {}
        self._states: dict[Key, EntityState] = {}
        self._heard: Callable[[Mapping[str, Value]], object] | None = None
        self._ended = asyncio.Event()
        self._stirred: set[asyncio.Event] = set()  # set at each state, and at the end

    async def begin(self, mac: str) -> None:
        """Connect, and verify that it is the device with this MAC; called by ``open_node``."""
        async with self._within():
            await self._client.connect(self._end, login=True, log_errors=False)
            info = await self._client.device_info()
        told = mac_of(info.mac_address)
        if told != mac:
            raise AnotherDevice(f"Another device answers at {self._where}: its MAC is {told}, not {mac}.")
        self._annexes = {one.device_id: one.name for one in info.devices}

    async def list(self) -> dict[str, Part]:
        """Return its parts by component; asked once.

        Raises:
            Unavailable: no answer, or one that never ends.
        """
        if not self._parts:
            async with self._within():
                with self._client.bounded_list():
                    entities, _ = await self._client.list_entities_services()
                version = self._client.api_version or APIVersion()
                self._parts = parts(self._device, entities, self._annexes, version)
            for part in self._parts.values():
                self._by_key.setdefault(_key_of(part.entity), []).append(part)
        return self._parts

    async def subscribe(self, heard: Callable[[Mapping[str, Value]], object]) -> None:
        """Call ``heard`` with the values of components now and at every change, for as long as it is connected.

        Raises:
            Unavailable: as ``list``.
        """
        await self.list()
        self._heard = heard
        with self._judged():
            self._client.subscribe_states(self._take)

    async def until_it_ends(self) -> None:
        """Wait for the end of the connection.

        Raises:
            Unavailable: it ended.
        """
        await self._ended.wait()
        raise self._gone()

    async def set(self, component: str, wanted: Value) -> None:
        """Give a component a value, and return when the device said that it has it, or moves there.

        A button has no value: this returns when the device said that it is there after it was told.

        Raises:
            Unavailable: no answer, or it has another value all the same.
            Rejected: it can not have this value, or a button that may have been pressed, and is not to be once more.
        """
        part = (await self.list()).get(component)
        if part is None:
            raise Rejected(f"{self._device.name} has no {component[:100]!r} any more.")
        order, key = call(part, wanted), _key_of(part.entity)
        if part.feature.momentary:
            await self._press(part, order)
            return
        await self._until_known(key)
        before = self._states.get(key)
        already = has(part, wanted, before)
        self._say(order)
        try:
            async with asyncio.timeout(self._answer_within):
                if already:  # it may say nothing of what it has; what it says after this, it says after the command
                    with self._judged():
                        await self._client.device_info()
                await self._stir(lambda: self._is_so(part, wanted, self._states.get(key), before))
        except TimeoutError:
            await self._show_life()
            told = value(part.entity, part.aspect, self._states.get(key))
            says = "nothing of it" if told is None else f"that it is {told!r}"
            raise Unanswered(f"{self._where} was told {part.feature.name} = {wanted!r}, but says {says}.") from None

    def _is_so(self, part: Part, wanted: Value, now: EntityState | None, before: EntityState | None) -> bool:
        if now is not before and (why := fails(now)):
            raise Rejected(f"{part.feature.name} of {self._where} {why}.")
        return has(part, wanted, now)

    async def _until_known(self, key: Key) -> None:
        """Wait for the first state of an entity, but no longer than an answer may take: some have none."""
        try:
            async with asyncio.timeout(self._answer_within):
                await self._stir(lambda: key in self._states)
        except TimeoutError:
            pass

    def _say(self, order: Call) -> None:
        with self._judged():
            getattr(self._client, order.method)(**order.arguments)

    async def _press(self, part: Part, order: Call) -> None:
        self._say(order)
        try:
            async with self._within():
                await self._client.device_info()
        except (Unavailable, Rejected) as error:
            raise Rejected(
                f"{part.feature.name} of {self._where} was told, and the connection was lost before it answered: "
                "whether it was pressed is not known, and it is not pressed once more."
            ) from error

    async def _show_life(self) -> None:
        """Hang up on a device that says nothing at all any more, so that it is connected to anew when it can be."""
        try:
            async with asyncio.timeout(ALIVE_WITHIN):
                with self._judged():
                    await self._client.device_info()
        except TimeoutError:
            await self._client.disconnect(force=True)
            raise Unanswered(f"{self._where} did not answer within {self._answer_within:g} s.") from None

    async def _stir(self, reached: Callable[[], bool]) -> None:
        """Wait until something is so; it is looked at again whenever the device says something."""
        stirred = asyncio.Event()
        self._stirred.add(stirred)
        try:
            while not reached():
                if self._ended.is_set():
                    raise self._gone()
                await stirred.wait()
                stirred.clear()
        finally:
            self._stirred.discard(stirred)

    def _take(self, state: EntityState) -> None:
        kind = STATES.get(type(state))
        if kind is None:
            return
        key = (kind, state.device_id, state.key)
        found = self._by_key.get(key)
        if found is None:
            return
        self._states[key] = state
        told = {part.component: value(part.entity, part.aspect, state) for part in found}
        if self._heard is not None:
            self._heard({component: one for component, one in told.items() if one is not None})
        for stirred in self._stirred:
            stirred.set()

    async def _end(self, _expected: bool) -> None:  # noqa: FBT001 - as the library calls it
        self._ended.set()
        for stirred in self._stirred:
            stirred.set()

    def _gone(self) -> Unavailable:
        return Unavailable(f"{self._where} ended the connection, or was silent for too long.")

    @asynccontextmanager
    async def _within(self) -> AsyncIterator[None]:
        with self._judged():
            try:
                async with asyncio.timeout(self._answer_within):
                    yield
            except TimeoutError as error:
                raise Unanswered(f"{self._where} did not answer within {self._answer_within:g} s.") from error

    @contextmanager
    def _judged(self) -> Iterator[None]:
        with judged(self._where, self._device.id):
            yield


def _key_of(entity: EntityInfo) -> Key:
    return KINDS[type(entity)], entity.device_id, entity.key
