"""The ``aiohue`` client on a session of ours: one attempt a request, no task of its own, and a key for one bridge only.

The library's own would take any certificate, try 25 times, read events in tasks that nobody waits for, and write to the
bridge every minute to see whether it is there.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientTimeout
from aiohue.errors import AiohueException
from aiohue.v2 import HueBridgeV2
from aiohue.v2.controllers.base import BaseResourcesController
from aiohue.v2.controllers.events import EventStream, EventType
from aiohue.v2.models.button import Button
from aiohue.v2.models.resource import ResourceTypes

__all__ = ["AT_A_STRETCH", "Client", "Refused"]


CHANGES = frozenset({"add", "update", "delete"})
MOST = 2_000  # resources of one type; the largest bridge has some hundreds
AT_A_STRETCH = 50  # of them read before others get their turn
MOST_ERRORS = 3
LONGEST_WORDS = 300


class Refused(AiohueException):  # type: ignore[misc]  # aiohue has no types
    """The bridge answered with an error: its HTTP status, and its words if it had any."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status
        self.says = says


class Client(HueBridgeV2):  # type: ignore[misc]
    """Give it a session that reaches the one bridge only. ``take`` what the bridge pushes."""

    def __init__(self, host: str, key: str, session: ClientSession, answer_within: float) -> None:
        super().__init__(host, key)
        self._events = self._pushed = _Events(self)
        self._added: Counter[str] = Counter()  # since it is connected
        self._headers = {"hue-application-key": key}
        self._session = session
        self._answer_within = answer_within
        self._resources = (
            self.config.bridges,
            self.devices,
            self.sensors.zigbee_connectivity,
            self.lights,
            self.groups.grouped_light,
            self.groups.room,
            self.groups.zone,
            self.config.bridge_home,
            self.sensors.motion,
            self.sensors.contact,
            self.sensors.temperature,
            self.sensors.light_level,
            self.sensors.device_power,
            _Buttons(self),
        )
        for controller in self._resources[1:]:
            controller.allow_parser_error = True  # a lamp of tomorrow must not darken those of today
        self._by_type = {controller.item_type.value: controller for controller in self._resources}

    async def read(self) -> None:
        """Read all that can be driven, one type after the other, so that no answer is large. Call it once."""
        for rtype, controller in self._by_type.items():
            try:
                found = await self.request("get", f"clip/v2/resource/{rtype}")
            except Refused as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                found = []  # software that is older than this type
            await controller.initialize([])
            for start in range(0, len(found), AT_A_STRETCH):
                for one in found[start : start + AT_A_STRETCH]:
                    await self.take("add", one)
                await asyncio.sleep(0)

    def find(self, rtype: str, rid: str) -> Any:  # noqa: ANN401 - aiohue's models
        """Return the resource, or None."""
        controller = self._by_type.get(rtype)
        return controller.get(rid) if controller is not None else None

    def subscribe(self, callback: Callable[[EventType, Any], None]) -> None:
        """Have it called with each resource that changed, after it did."""
        for controller in self._resources:
            controller.subscribe(callback)

    async def take(self, kind: str, resource: dict[str, Any]) -> None:
        """Take what the bridge pushed."""
        if kind == "add":
            self._added[resource["type"]] += 1
            if self._added[resource["type"]] > MOST:
                raise AiohueException(f"it added more than {MOST} resources of the type {resource['type']}")
        if kind in CHANGES:
            await self._pushed.take(EventType(kind), resource)

    async def request(self, method: str, path: str, **options: Any) -> list[dict[str, Any]]:
        """Ask once, and return the data.

        Raises:
            Refused: the answer is an error, or has one in it.
            TimeoutError: it was not whole within the client's time.
        """
        async with asyncio.timeout(self._answer_within), self.create_request(method, path, **options) as response:
            failed, text = response.status >= HTTPStatus.BAD_REQUEST, await response.text()
        try:
            body = json.loads(text)
            says = _words(body["errors"])
        except (ValueError, LookupError, TypeError, RecursionError):
            if not failed:
                raise
            says = ""  # a busy bridge may say so in HTML
        if failed or body["errors"]:
            raise Refused(response.status, says)
        found: list[dict[str, Any]] = body["data"]
        return found

    def stream(self) -> AbstractAsyncContextManager[ClientResponse]:
        """Return a request for the stream of events, which may last for ever."""
        headers = {"Accept": "text/event-stream"}
        return self.create_request("get", "eventstream/clip/v2", headers=headers, timeout=ClientTimeout(total=None))

    @asynccontextmanager
    async def create_request(self, method: str, path: str, **options: Any) -> AsyncIterator[ClientResponse]:
        """Yield the response to one request, which carries the key."""
        headers = self._headers | options.pop("headers", {})
        async with self._session.request(method, f"https://{self.host}/{path}", headers=headers, **options) as response:
            yield response


def _words(errors: list[dict[str, Any]]) -> str:
    """Return what a bridge says of errors, fit to be shown."""
    words = "; ".join(str(one["description"]) for one in errors[:MOST_ERRORS])[:LONGEST_WORDS]
    return "".join(character for character in words if character.isprintable())


class _Events(EventStream):  # type: ignore[misc]
    """What the resource controllers subscribe to, told in order by whoever reads, without tasks."""

    def __init__(self, bridge: HueBridgeV2) -> None:
        super().__init__(bridge)
        self._callbacks: dict[ResourceTypes, Callable[[EventType, dict[str, Any]], Any]] = {}

    def subscribe(
        self,
        callback: Callable[[EventType, dict[str, Any]], Any],
        event_filter: object = None,  # noqa: ARG002 - the controllers give none
        resource_filter: ResourceTypes = ResourceTypes.UNKNOWN,
    ) -> None:
        self._callbacks[resource_filter] = callback

    async def take(self, kind: EventType, resource: dict[str, Any]) -> None:
        callback = self._callbacks.get(ResourceTypes(resource["type"]))
        if callback is not None:
            await callback(kind, resource)


class _Buttons(BaseResourcesController):  # type: ignore[misc]
    """The library's own begins tasks that guess at what one kind of switch does not tell."""

    item_type = ResourceTypes.BUTTON
    item_cls = Button
