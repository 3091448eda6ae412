"""Gives Gladys a device of ours, or takes it back: created there by REST, or announced to it over MQTT.

Either way values and commands travel over MQTT, by the sink; Gladys waits for the value before it shows a command of
its own as done.
"""

from __future__ import annotations

from contextlib import suppress

from gladys_companion.errors import Rejected, RequestError, Unavailable
from gladys_companion.gladys_api import open_api
from gladys_companion.gladys_api.offer import offer
from gladys_companion.model import Device, Feature, Way
from gladys_companion.plugins import PluginRecord, contained
from gladys_companion.ports import Announcing
from gladys_companion.resolve import GLADYS, GLADYS_DEVICES
from gladys_companion.store import trace
from gladys_companion.web.service import Service
from gladys_companion.web.views import Share, Shared

__all__ = ["before_forgetting", "share", "unshare"]

MQTT = "mqtt"  # Gladys' service of that name


async def share(service: Service, device_id: str, wish: Share) -> Shared:
    """Give Gladys a device; once more does no harm, and adds what it has got since.

    Raises:
        RequestError: 404: no such device; 409: it is Gladys' own, or shared in the other way, or Gladys has another
            device of its id, or what is needed is not switched on.
        AuthError, Unavailable, Rejected: Gladys or the broker refused or did not answer.
    """
    device, features = _device(service, device_id)
    if device.driver == GLADYS_DEVICES:
        raise RequestError(409, "ALREADY_IN_GLADYS", f"{device.name} is a device that Gladys has already.", field="id")
    sink = _sink(service)
    by: Way = wish.by or ("rest" if service.config.gladys.url else "mqtt")
    known = service.registry.snapshot.shared.get(device_id)
    if known is not None and known != by:
        sentence = f"{device.name} is shared by {known}: take that back first (`--remove`), or Gladys has it twice."
        raise RequestError(409, "ALREADY_IN_GLADYS", sentence, field="by")
    shown = await (_create(service, device, features) if by == "rest" else _announce(sink, device, features))
    await service.registry.share(device_id, by)
    await _show(service, sink, shown)
    left_out = tuple(one.external_id for one in features if one not in shown)
    return Shared(device=device_id, by=by, says=_says(device, by, gladys=service.config.gladys.url), left_out=left_out)


async def unshare(service: Service, device_id: str) -> Shared:
    """Take a device back from Gladys, with the history that Gladys has of it.

    Raises:
        RequestError: 404: no such device; 409: it is not shared.
        AuthError, Unavailable, Rejected: Gladys or the broker refused or did not answer; it stays shared.
    """
    device, features = _device(service, device_id)
    by = service.registry.snapshot.shared.get(device_id)
    if by is None:
        raise RequestError(409, "NOT_SHARED", f"{device.name} is not shared with Gladys.", field="id")
    says = f"Gladys has {device.name} no more."
    if by == "mqtt":
        sink = _sink(service)
        async with contained(sink):
            await _announcing(sink).withdraw(device, features)
        says = f"{device.name} is announced no more. If it was added in Gladys, delete it there."
    else:
        await _delete(service, device)
    await service.registry.share(device_id, None)
    return Shared(device=device_id, by=None, says=says)


async def before_forgetting(service: Service, device_id: str) -> None:
    """Announce a device no more that is about to be forgotten, if the broker is there to be told."""
    if service.running and service.registry.snapshot.shared.get(device_id) == "mqtt":
        with suppress(RequestError, Rejected, Unavailable):
            await unshare(service, device_id)


def _device(service: Service, device_id: str) -> tuple[Device, tuple[Feature, ...]]:
    registry = service.registry.snapshot
    device = registry.devices.get(device_id)
    if device is None:
        raise RequestError(404, "DEVICE_NOT_FOUND", f"No device {device_id!r} is known here.", field="id")
    if not service.running:
        raise Unavailable("The daemon does not run, and only it can give Gladys a device. Start it first.")
    return device, tuple(one for one in registry.features.values() if one.device == device_id)


def _sink(service: Service) -> PluginRecord:
    record = service.host.plugin(GLADYS)
    if record is None or not isinstance(record.target, Announcing):
        sentence = (
            "Values and commands travel over MQTT, and [sinks.gladys] is not switched on, or not open: "
            "`gladys-companion doctor` says what to do."
        )
        raise RequestError(409, "NO_GLADYS", sentence)
    return record


def _announcing(record: PluginRecord) -> Announcing:
    if not isinstance(record.target, Announcing):
        raise Unavailable("The sink that tells Gladys was just closed.")
    return record.target


async def _create(service: Service, device: Device, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    settings = service.config.gladys
    if not settings.url:
        sentence = "Where Gladys' API is, is not said: name it in [gladys] url, or share it `--by mqtt`."
        raise RequestError(409, "NO_GLADYS", sentence)
    for word in (device.id, *(one.external_id for one in features)):
        if wrong := next((letter for letter in word if letter in "/+#" or not letter.isprintable()), None):
            raise Rejected(
                f"{word[:100]!r} holds {wrong!r}, which MQTT does not carry in a name: it can not be shared."
            )
    async with open_api(settings) as api:
        service_id = await api.service_id(MQTT)
        existing = await api.find(device.id)
        if existing is not None and existing.get("service_id") != service_id:
            sentence = f"Gladys has a device {device.id!r} of another integration: delete that one there first."
            raise RequestError(409, "EXTERNAL_ID_TAKEN", sentence, field="id")
        wanted = offer(device, features, service_id, existing)
        if wanted is not None:
            await api.create_device(wanted)
    return features


async def _delete(service: Service, device: Device) -> None:
    if not service.config.gladys.url:
        raise RequestError(409, "NO_GLADYS", "Where Gladys' API is, is not said: name it in [gladys] url.")
    async with open_api(service.config.gladys) as api:
        existing = await api.find(device.id)
        if existing is not None and existing.get("service_id") == await api.service_id(MQTT):
            await api.delete_device(str(existing.get("selector")))


async def _announce(sink: PluginRecord, device: Device, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    async with contained(sink):
        return tuple(await _announcing(sink).announce(device, features))


async def _show(service: Service, sink: PluginRecord, features: tuple[Feature, ...]) -> None:
    """Tell Gladys the values that it has not seen change."""
    ids = [one.external_id for one in features if not one.momentary]
    values = await service.store.read(lambda database: trace.values(database, ids))
    for one in features:
        last = values.get(one.external_id)
        if last is not None and (last["value"] is not None or last["text"] is not None):
            with suppress(Rejected, Unavailable):  # then it is told when it changes
                async with contained(sink):
                    await _announcing(sink).show(one, last["value"], last["text"])


def _says(device: Device, by: Way, *, gladys: str) -> str:
    if by == "rest":
        return f"{device.name} is a device of Gladys at {gladys} now: in its MQTT integration, and for scenes."
    return (
        f"{device.name} is announced to Gladys now. There, in the MQTT integration, it is among the devices discovered "
        "by Home Assistant discovery: add it."
    )
