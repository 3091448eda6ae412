"""Gains the trust of devices that want a code or a hand of their owner, and has them described anew."""

from __future__ import annotations

import asyncio

from gladys_companion.discovery.claims import places
from gladys_companion.discovery.devices import Devices, Followed
from gladys_companion.errors import RequestError, Unavailable
from gladys_companion.model import Device
from gladys_companion.plugins import contained
from gladys_companion.ports import Pairable, Wanted

__all__ = ["pair", "unpair", "wants"]

PAIR_WITHIN = 60.0  # a small processor takes long over large numbers


def wants(devices: Devices, device_id: str) -> Wanted:
    """Return what a device wants of its owner.

    Raises:
        RequestError: 404: it is not known here nor announced; 409 ``NOT_PAIRABLE``: it wants nothing.
        Rejected: the plug-in failed.
    """
    one, driver, device = _announced(devices, device_id)
    with contained(one.record):
        return driver.wants(device)


async def pair(devices: Devices, device_id: str, code: str | None) -> None:
    """Gain its trust, then have it described at once.

    Raises:
        RequestError: as ``wants``.
        Unavailable: it did not answer.
        Rejected: the sentence says why.
    """
    one, driver, device = _announced(devices, device_id)
    try:
        async with asyncio.timeout(PAIR_WITHIN), contained(one.record):
            await driver.pair(device, code)
    except TimeoutError:
        raise Unavailable(f"{device.name} did not answer within {PAIR_WITHIN:g} s.") from None
    devices.ask_again(one)


async def unpair(devices: Devices, device_id: str) -> None:
    """Forget its trust, and stop following it; what it was paired for can be commanded no more.

    Raises:
        RequestError: as ``wants``; one that is known here may be away.
        Rejected: it is done here, and something is left to do at the device.
    """
    one, driver, device = _found(devices, device_id)
    try:
        async with asyncio.timeout(PAIR_WITHIN), contained(one.record):
            await driver.unpair(device)
    except TimeoutError:
        raise Unavailable(f"{device.name} did not answer within {PAIR_WITHIN:g} s.") from None
    finally:
        devices.ask_again(one)


def _announced(devices: Devices, device_id: str) -> tuple[Followed, Pairable, Device]:
    one, driver, device = _found(devices, device_id)
    if not one.claims:
        raise _unknown(device_id)
    return one, driver, device


def _found(devices: Devices, device_id: str) -> tuple[Followed, Pairable, Device]:
    one = devices.get(device_id)
    candidates = places(one.verified, tuple(one.claims.values())) if one is not None else ()
    if one is None or not candidates:
        raise _unknown(device_id)
    if not isinstance(one.record.target, Pairable):
        raise RequestError(
            409, "NOT_PAIRABLE", f"A device of the driver {one.record.name} needs no pairing: it is used as it is."
        )
    return one, one.record.target, candidates[0].device


def _unknown(device_id: str) -> RequestError:
    says = f"No device {device_id[:200]!r} is announced here now. `scan` shows what is."
    return RequestError(404, "DEVICE_NOT_FOUND", says, field="id")
