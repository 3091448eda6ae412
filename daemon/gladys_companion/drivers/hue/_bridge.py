"""One connection to one bridge, which never takes another for it: read once, then listened to, and commanded.

The key goes to nobody but the holder of the certificate that the bridge had when it was paired. Whatever goes wrong
comes out as ``Unavailable`` or ``Rejected`` with a sentence; answers are bounded in size and time.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import Any, NoReturn, Protocol

from aiohttp import ClientConnectionError, ClientError, ClientResponse, Fingerprint
from aiohttp import ServerFingerprintMismatch as OtherCertificate
from aiohue.errors import AiohueException
from aiohue.v2.controllers.events import EventType
from aiohue.v2.models.resource import ResourceTypes
from msgspec import Struct

from gladys_companion.drivers._http import open_session, reason
from gladys_companion.drivers._resolver import Endpoint
from gladys_companion.drivers.hue._client import AT_A_STRETCH, Client, Refused
from gladys_companion.drivers.hue._identity import identities
from gladys_companion.drivers.hue._stream import Stream
from gladys_companion.drivers.hue._values import Chosen, Part, click, command, value
from gladys_companion.errors import Rejected, Unanswered, Unavailable

__all__ = ["Bridge", "Ear", "Pairing", "Spot", "host_of", "judged", "open_bridge"]

# What the library raises where an answer is JSON, but not a bridge's.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)

FORBIDDEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
LATER = frozenset({HTTPStatus.MULTI_STATUS, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
NAMED = frozenset({ResourceTypes.DEVICE, ResourceTypes.ROOM, ResourceTypes.ZONE})
CONNECTIONS = {"limit_per_host": 3, "keepalive_timeout": 30.0}  # a bridge refuses more than three at a time
PROBES = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}  # a stream that nobody writes to may be dead


class Pairing(Struct, frozen=True):
    """What pairing gained: the key, and the SHA-256 of the bridge's certificate in hex."""

    key: str
    certificate: str


class Spot(Struct, frozen=True):
    """A bridge: its MAC, what a person calls it, where it is, and what it may take for an answer, in seconds."""

    mac: str
    name: str
    where: Endpoint
    answer_within: float

    def __str__(self) -> str:
        address, port = self.where
        return f"{self.name} ({address}:{port})"


class Ear(Protocol):
    """Who is told what becomes of the resources of one owner."""

    def changed(self) -> None:
        """Some have other values, came or went."""

    def clicked(self, rid: str, clicks: int) -> None:
        """Something was done to a button."""


@asynccontextmanager
async def open_bridge(spot: Spot, pairing: Pairing) -> AsyncIterator[Bridge]:
    """Yield a connection to a bridge that is known to be the right one, and has told all of its resources.

    Raises:
        Unavailable: no answer, or one that is none of a bridge.
        Rejected: it has another certificate, or another id, or took the key back; the sentence says what to do.
    """
    certificate = Fingerprint(bytes.fromhex(pairing.certificate))
    host = host_of(spot.mac)
    async with open_session(host, spot.where, ssl=certificate, connections=CONNECTIONS) as session:
        client = Client(host, pairing.key, session, spot.answer_within)
        async with _listening(spot, client) as stream:
            with judged(spot):
                await client.read()
                _recognise(spot, client)
                bridge = Bridge(spot, client, stream)
            yield bridge


class Bridge:
    """What ``open_bridge`` yields. ``run`` it, so that ears hear. ``members`` are as ``identities`` calls them."""

    def __init__(self, spot: Spot, client: Client, stream: ClientResponse) -> None:
        self.spot = spot
        self.client = client
        self.members = self._identities()
        self._stream = stream
        self._ears: dict[str, list[Ear]] = {}
        self._chosen: dict[str, Chosen] = {}
        self._changed: set[str] = set()
        self._clicks: list[tuple[str, str, int]] = []
        self._regrouped = False
        client.subscribe(self._took)

    @contextmanager
    def heard_by(self, ear: Ear, owner: str) -> Iterator[None]:
        """Tell an ear what happens to the resources of an owner (a device, a room)."""
        ears = self._ears.setdefault(owner, [])
        ears.append(ear)
        try:
            yield
        finally:
            ears.remove(ear)

    async def run(self, check_every: float, regrouped: Callable[[], None]) -> NoReturn:
        """Listen until the connection ends.

        Args:
            check_every: seconds between two questions whether it is still there and still takes the key.
            regrouped: called when devices or rooms came, went, or have another name.

        Raises:
            Unavailable, Rejected: as ``open_bridge``.
        """
        parser, loop = Stream(), asyncio.get_running_loop()
        check_at = loop.time() + check_every
        with judged(self.spot):
            while True:
                chunk = None
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(check_at):
                        chunk = await self._stream.content.readany()
                if chunk is None:
                    await self._check()
                    check_at = loop.time() + check_every
                    continue
                if not chunk:
                    raise ClientConnectionError("it ended the connection")
                for count, (kind, resource) in enumerate(parser.feed(chunk), 1):
                    await self.client.take(kind, resource)
                    self._tell()
                    if count % AT_A_STRETCH == 0:  # one event may hold thousands
                        await asyncio.sleep(0)
                if self._regrouped:
                    self._regrouped = False
                    self.members = self._identities()
                    regrouped()
                await asyncio.sleep(0)  # a bridge that floods keeps nobody waiting

    async def set(self, part: Part, wanted: float, name: str) -> None:
        """Give a part a value, and return when the bridge has taken it.

        Args:
            part: of the device.
            wanted: in the unit of its feature.
            name: of the device, for people.

        Raises:
            Unavailable: no answer, or the bridge does not reach the device.
            Rejected: it can not have this value.
        """
        resource = self.client.find(part.rtype, part.rid)
        if resource is None:
            raise Rejected(f"{name} has no {part.component!r} any more.")
        body, chosen = command(part, wanted, resource)
        if chosen is not None:
            self._chosen[part.rid] = chosen
        controller = self.client.lights if part.rtype == "light" else self.client.groups.grouped_light
        with judged(self.spot, name):
            await controller.update(part.rid, body)

    def values(self, parts: Iterable[Part]) -> dict[str, float]:
        """Return the values of the parts that tell any, by component."""
        with judged(self.spot):
            told = {part.component: self._value(part) for part in parts}
        return {component: number for component, number in told.items() if number is not None}

    async def _check(self) -> None:
        try:
            await self.client.request("get", "clip/v2/resource/bridge")
        except Refused as error:
            if error.status not in BUSY:  # who says so is there, and to read everything again would not help it
                raise

    def _value(self, part: Part) -> float | None:
        resource = self.client.find(part.rtype, part.rid)
        if part.kind == "button" or resource is None:
            return None
        return value(part, resource, self._chosen.get(part.rid))

    def _identities(self) -> dict[str, tuple[str, str]]:
        groups = (*self.client.groups.room, *self.client.groups.zone)
        return identities(self.client.devices, groups, self.client.find)

    def _took(self, kind: EventType, item: Any) -> None:  # noqa: ANN401 - aiohue's models, a dict for what was unknown
        if kind is not EventType.RESOURCE_UPDATED or item.type in NAMED:
            self._regrouped = True
        owner = getattr(item, "owner", None)
        rid = owner.rid if owner is not None else getattr(item, "id", "")
        self._changed.add(rid)
        if kind is EventType.RESOURCE_UPDATED and item.type is ResourceTypes.BUTTON:
            clicks = click(item)
            if clicks is not None:
                self._clicks.append((rid, item.id, clicks))

    def _tell(self) -> None:
        changed, self._changed = self._changed, set()
        clicks, self._clicks = self._clicks, []
        for owner in changed:
            for ear in tuple(self._ears.get(owner, ())):
                ear.changed()
        for owner, rid, times in clicks:
            for ear in tuple(self._ears.get(owner, ())):
                ear.clicked(rid, times)


def host_of(mac: str) -> str:
    """Return the name under which a bridge is reached."""
    return f"{mac}.hue.local"


@contextmanager
def judged(spot: Spot, device: str = "") -> Iterator[None]:
    """Turn what the library raises into whether trying again can help; ``device`` is what was commanded."""
    try:
        yield
    except TimeoutError as error:
        raise Unanswered(f"{spot} did not answer within {spot.answer_within:g} s.") from error
    except OtherCertificate as error:
        raise Rejected(
            f"{spot} has another certificate than when it was paired. If it was reset or replaced, pair it again: "
            f"press its round button and run `gladys-companion devices pair hue:{spot.mac}`. If not, something else "
            "answers there; it was told nothing."
        ) from error
    except Refused as error:
        raise _refused(spot, error, device) from error
    except (ClientError, OSError) as error:
        raise Unavailable(f"{spot} can not be reached: {reason(error)}.") from error
    except (AiohueException, *NONSENSE) as error:
        raise Unavailable(f"{spot} does not answer as a Hue bridge does ({type(error).__name__}).") from error


def _refused(spot: Spot, error: Refused, device: str) -> Unavailable | Rejected:
    if error.status in FORBIDDEN:
        return Rejected(
            f"{spot} does not take our key any more: the pairing was removed at the bridge. Press its round button and "
            f"run `gladys-companion devices pair hue:{spot.mac}`."
        )
    if error.status == HTTPStatus.MULTI_STATUS and device:
        return Unavailable(f"{device} does not answer its bridge: does it have power? The bridge says: {error.says}")
    says = f": {error.says.rstrip('.')}." if error.says else "."
    sentence = f"{spot} answered with HTTP status {error.status}{says}"
    permanent = error.status < HTTPStatus.INTERNAL_SERVER_ERROR and error.status not in LATER
    return Rejected(sentence) if permanent and error.status >= HTTPStatus.BAD_REQUEST else Unavailable(sentence)


@asynccontextmanager
async def _listening(spot: Spot, client: Client) -> AsyncIterator[ClientResponse]:
    """Yield the stream of events: open before anything is read, so that nothing is missed between."""
    async with AsyncExitStack() as stack:
        with judged(spot):
            async with asyncio.timeout(spot.answer_within):
                response = await stack.enter_async_context(client.stream())
        if response.status == HTTPStatus.NOT_FOUND:
            raise Rejected(f"{spot} runs software that is too old: update it in the Hue app.")
        if response.status != HTTPStatus.OK:
            raise _refused(spot, Refused(response.status, ""), "")
        _probe(response)
        yield response


def _probe(response: ClientResponse) -> None:
    """Have the kernel notice a bridge that went without a word."""
    transport = response.connection.transport if response.connection is not None else None
    line = transport.get_extra_info("socket") if transport is not None else None
    if line is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, number in PROBES.items():
            if hasattr(socket, option):
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), number)


def _recognise(spot: Spot, client: Client) -> None:
    (told,) = {one.bridge_id.lower() for one in client.config.bridges}
    if told != f"{spot.mac[:6]}fffe{spot.mac[6:]}":
        raise Rejected(f"Another bridge answers at {spot}: its id is {told[:32]!r}.")
