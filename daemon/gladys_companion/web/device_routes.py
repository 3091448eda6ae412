"""The routes about devices: listed, named, commanded, exposed, paired, and given to Gladys."""

from __future__ import annotations

from aiohttp import web

from gladys_companion.discovery import Seen
from gladys_companion.errors import Rejected, RequestError
from gladys_companion.model import Receipt
from gladys_companion.ports import Wanted
from gladys_companion.web import share as sharing
from gladys_companion.web import views
from gladys_companion.web.bodies import decode_body
from gladys_companion.web.route import SERVICE, Route, receipt_response, route
from gladys_companion.web.service import Service

__all__ = ["DEVICE_ROUTES"]


async def _devices(service: Service, _: web.Request) -> object:
    return await service.devices()


async def _device(service: Service, request: web.Request) -> object:
    return await service.device(request.match_info["id"])


async def _add_device(service: Service, request: web.Request) -> object:
    return await service.add_device(await decode_body(request, views.AddDevice))


async def _rename(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.Rename)
    await service.registry.rename(request.match_info["id"], wish.name)
    return await service.device(request.match_info["id"])


async def _forget(service: Service, request: web.Request) -> object:
    await sharing.before_forgetting(service, request.match_info["id"])
    await service.host.forget(request.match_info["id"])
    return {}


async def _share(service: Service, request: web.Request) -> object:
    return await sharing.share(service, request.match_info["id"], await decode_body(request, views.Share))


async def _unshare(service: Service, request: web.Request) -> object:
    return await sharing.unshare(service, request.match_info["id"])


async def _set(request: web.Request) -> web.Response:
    receipt = await request.app[SERVICE].set_value(request.match_info["id"], await decode_body(request, views.SetValue))
    return receipt_response(receipt)


async def _expose(service: Service, request: web.Request) -> object:
    return await service.expose(await decode_body(request, views.Expose))


async def _unexpose(service: Service, request: web.Request) -> object:
    external_id = request.query.get("external_id")
    if not external_id:
        raise RequestError(422, "INVALID_FIELD", "Say which: ?external_id=...", field="external_id")
    await service.registry.unexpose(external_id)
    return {}


async def _wants(service: Service, request: web.Request) -> object:
    return service.host.wants(request.match_info["id"])


async def _pair_device(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.PairDevice)
    return await service.host.pair_device(request.match_info["id"], wish.code)


async def _unpair_device(service: Service, request: web.Request) -> object:
    try:
        await service.host.unpair_device(request.match_info["id"])
    except Rejected as error:
        return views.Unpaired(warning=str(error))
    return views.Unpaired()


DEVICE_ROUTES: tuple[Route, ...] = (
    route("GET", "/api/devices", _devices, summary="All devices", answer=tuple[views.DeviceView, ...], reads=True),
    route("GET", "/api/devices/{id}", _device, summary="One device", answer=views.DeviceView, reads=True),
    route(
        "POST",
        "/api/devices",
        _add_device,
        summary="Make a virtual device",
        body=views.AddDevice,
        answer=views.DeviceView,
    ),
    route(
        "PATCH",
        "/api/devices/{id}",
        _rename,
        summary="Give a device a name",
        body=views.Rename,
        answer=views.DeviceView,
    ),
    route("DELETE", "/api/devices/{id}", _forget, summary="Forget a device and all of its own", answer=None),
    Route(
        method="POST",
        path="/api/devices/{id}/set",
        handler=_set,
        summary="Send a value to a feature; answers with the receipt",
        body=views.SetValue,
        answer=Receipt,
    ),
    route(
        "POST",
        "/api/devices/{id}/share",
        _share,
        summary="Give Gladys a device: created there, or announced for its user to add",
        body=views.Share,
        answer=views.Shared,
    ),
    route(
        "DELETE",
        "/api/devices/{id}/share",
        _unshare,
        summary="Take a device back from Gladys",
        answer=views.Shared,
    ),
    route(
        "POST",
        "/api/expose",
        _expose,
        summary="Let keys command a feature from outside, beside those that may already; answers with all that may",
        body=views.Expose,
        answer=views.Exposed,
    ),
    route(
        "DELETE",
        "/api/expose",
        _unexpose,
        summary="Take every exposure of a feature back",
        query={"external_id": "of the feature"},
        answer=None,
    ),
    route(
        "GET",
        "/api/devices/{id}/pairing",
        _wants,
        summary="What a device wants of its owner before it can be driven",
        answer=Wanted,
        reads=True,
    ),
    route(
        "POST",
        "/api/devices/{id}/pairing",
        _pair_device,
        summary="Gain a device's trust, with a code or without; answers with what became of it",
        body=views.PairDevice,
        answer=Seen,
    ),
    route(
        "DELETE",
        "/api/devices/{id}/pairing",
        _unpair_device,
        summary="Forget a device's trust, here and at the device",
        answer=views.Unpaired,
    ),
)
