"""Finds the device or feature that a person means, and says which are similar when there is none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from gladys_companion.cli.client import Client
from gladys_companion.errors import RequestError

__all__ = ["find_announced", "find_device", "find_feature", "find_named"]


async def find_device(client: Client, wanted: str) -> dict[str, Any]:
    """Return the device of this id or, if only one is called so, of this name.

    Raises:
        RequestError: 404 there is none, 409 several are called so.
    """
    devices = await client.ask("GET", "/api/devices")
    if found := _device(devices, wanted):
        return found
    near = _near(wanted, (word for one in devices for word in (one["id"], one["name"])))
    raise RequestError(404, "DEVICE_NOT_FOUND", f"No device {wanted[:200]!r} is known here.{near}", field="id")


def _device(devices: list[dict[str, Any]], wanted: str) -> dict[str, Any] | None:
    found = [one for one in devices if one["id"] == wanted]
    found = found or [one for one in devices if one["name"].casefold() == wanted.casefold()]
    if len(found) > 1:
        ids = ", ".join(one["id"] for one in found)
        raise RequestError(
            409, "AMBIGUOUS", f"{len(found)} devices are called {wanted!r}: {ids}. Say which, by its id."
        )
    return found[0] if found else None


async def find_named(client: Client, kind: str, wanted: str) -> dict[str, Any]:
    """Return the person, phone or zone of this id or, if only one is called so, of this name.

    Raises:
        RequestError: 404 there is none, 409 several are called so.
    """
    path, lists = _LISTS[kind]
    listed = await client.ask("GET", path)
    found = [one for one in listed if one["id"] == wanted]
    found = found or [one for one in listed if one["name"].casefold() == wanted.casefold()]
    if len(found) > 1:
        ids = ", ".join(one["id"] for one in found)
        raise RequestError(409, "AMBIGUOUS", f"{len(found)} are called {wanted!r}: {ids}. Say which, by its id.")
    if not found:
        near = _near(wanted, (word for one in listed for word in (one["id"], one["name"])), lists)
        raise RequestError(
            404, f"{kind.upper()}_NOT_FOUND", f"No {kind} {wanted[:200]!r} is known here.{near}", field="id"
        )
    one: dict[str, Any] = found[0]
    return one


_LISTS = {
    "person": ("/api/people", "people list"),
    "phone": ("/api/phones", "people phones"),
    "zone": ("/api/zones", "zones list"),
}


async def find_announced(client: Client, wanted: str) -> str:
    """Return the id of the device of this id or name, be it known or only announced (it may have to be paired first).

    Raises:
        RequestError: 404 there is none, 409 several are called so.
    """
    devices = await client.ask("GET", "/api/devices")
    if found := _device(devices, wanted):
        return str(found["id"])
    seen = [{"id": one["device"], "name": one["name"]} for one in await client.ask("GET", "/api/scan") if one["device"]]
    unique = list({one["id"]: one for one in seen}.values())
    if found := _device(unique, wanted):
        return str(found["id"])
    near = _near(wanted, (word for one in (*devices, *unique) for word in (one["id"], one["name"])))
    raise RequestError(404, "DEVICE_NOT_FOUND", f"No device {wanted[:200]!r} is announced here.{near}", field="id")


async def find_feature(client: Client, wanted: str) -> tuple[str, str]:
    """Return (device's id, external id) of the feature of this external id or alias, or of a device that has only one.

    Raises:
        RequestError: 404 there is none, 409 the device has several, or several are called so.
    """
    devices = await client.ask("GET", "/api/devices")
    owners = {alias: one["id"] for one in devices for feature in one["features"] for alias in feature["aliases"]}
    owners |= {feature["external_id"]: one["id"] for one in devices for feature in one["features"]}
    if owner := owners.get(wanted):
        return owner, wanted
    device = _device(devices, wanted)
    if device is None or not device["features"]:
        sentence = f"No device feature {wanted[:200]!r} is known here.{_near(wanted, owners)}"
        raise RequestError(404, "DEVICE_FEATURE_NOT_FOUND", sentence, field="external_id")
    ids = [feature["external_id"] for feature in device["features"]]
    if len(ids) > 1:
        raise RequestError(409, "AMBIGUOUS", f"{device['name']} has several features: {', '.join(ids)}. Say which.")
    return device["id"], ids[0]


def _near(wanted: str, known: Iterable[str], lists: str = "devices list") -> str:
    near = difflib.get_close_matches(wanted[:200], list(known), n=3, cutoff=0.5)
    return f" Similar are: {', '.join(near)}." if near else f" `{lists}` shows what is."
