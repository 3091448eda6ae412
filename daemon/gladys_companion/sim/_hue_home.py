"""What is paired with a simulated Hue bridge, in the resources of CLIP v2 (developers.meethue.com): pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Resource", "changed", "device", "grouped", "home", "members", "xy_of_mirek"]

Resource = dict[str, Any]

STEPS = 254  # in which a lamp is dimmed by Zigbee
GAMUT_C = {"red": {"x": 0.6915, "y": 0.3083}, "green": {"x": 0.17, "y": 0.7}, "blue": {"x": 0.1532, "y": 0.0475}}
LONG_AGO = "2024-01-01T12:00:00.000Z"

MADE: Mapping[str, tuple[str, str, str]] = {  # model, product, archetype
    "color": ("LCA001", "Hue color lamp", "sultan_bulb"),
    "ambiance": ("LTA001", "Hue ambiance lamp", "sultan_bulb"),
    "plug": ("LOM001", "Hue smart plug", "plug"),
    "motion": ("SML001", "Hue motion sensor", "unknown_archetype"),
    "contact": ("SOC001", "Hue secure contact sensor", "unknown_archetype"),
    "dimmer": ("RWL022", "Hue dimmer switch", "unknown_archetype"),
}
HOME = (  # name, kind, room
    ("Sofa", "color", "Living room"),
    ("Reading", "ambiance", "Living room"),
    ("Coffee", "plug", "Kitchen"),
    ("Stairs", "motion", None),
    ("Door", "contact", None),
    ("Wall switch", "dimmer", None),
)


def home(mac: str) -> list[Resource]:
    """Return the resources of a bridge with that MAC: two lamps, a plug, sensors for motion and a door, a switch."""
    found: list[Resource] = list(_bridge(mac))
    rooms: dict[str, list[str]] = {}
    for name, kind, room in HOME:
        made = device(mac, name, kind)
        found += made
        if room is not None:
            rooms.setdefault(room, []).append(made[0]["id"])
    for number, (room, devices) in enumerate(rooms.items(), 1):
        found += _group(mac, room, "room", [{"rid": one, "rtype": "device"} for one in devices], number)
    everything = [{"rid": one["id"], "rtype": "device"} for one in found if one["type"] == "device"]
    found += _group(mac, "home", "bridge_home", everything, 0)
    by_id = {one["id"]: one for one in found}
    return [one | grouped(one, by_id) if one["type"] == "grouped_light" else one for one in found]


def device(mac: str, name: str, kind: str) -> list[Resource]:
    """Return a device of one of the kinds in ``MADE``, and its services."""
    model, product, archetype = MADE[kind]
    owner = {"rid": _id(mac, name, "device"), "rtype": "device"}
    services = [
        {"id": _id(mac, name, f"{one['type']}{at}"), "owner": owner} | one
        for at, one in enumerate(_services(kind, name))
    ]
    address = uuid.UUID(owner["rid"]).bytes[:4].hex()
    services.append(
        {
            "id": _id(mac, name, "zigbee_connectivity"),
            "owner": owner,
            "status": "connected",
            "mac_address": ":".join(["00", "17", "88", "01", *(address[at : at + 2] for at in range(0, 8, 2))]),
            "type": "zigbee_connectivity",
        }
    )
    return [
        {
            "id": owner["rid"],
            "product_data": {
                "model_id": model,
                "manufacturer_name": "Signify Netherlands B.V.",
                "product_name": product,
                "product_archetype": archetype,
                "certified": True,
                "software_version": "1.108.7",
            },
            "metadata": {"name": name, "archetype": archetype},
            "identify": {},
            "services": [{"rid": one["id"], "rtype": one["type"]} for one in services],
            "type": "device",
        },
        *services,
    ]


def changed(resource: Mapping[str, Any], wanted: Mapping[str, Any]) -> Resource:
    """Return the members of a resource that become others by what is put to it, merged with what they hold."""
    news: Resource = {}
    for member, value in wanted.items():
        held = resource.get(member)
        news[member] = {**held, **value} if isinstance(held, dict) and isinstance(value, dict) else value
    if resource["type"] == "light" and "brightness" in wanted.get("dimming", {}):
        step = max(1, round(wanted["dimming"]["brightness"] * STEPS / 100))
        news["dimming"]["brightness"] = round(step * 100 / STEPS, 2)
    white = resource.get("color_temperature")
    if "xy" in wanted.get("color", {}) and white is not None:
        news["color_temperature"] = {**white, "mirek": None, "mirek_valid": False}
    elif "mirek" in wanted.get("color_temperature", {}):
        news["color_temperature"]["mirek_valid"] = True
        if "color" in resource:
            news["color"] = {**resource["color"], "xy": xy_of_mirek(wanted["color_temperature"]["mirek"])}
    return {member: value for member, value in news.items() if resource.get(member) != value}


def grouped(group: Mapping[str, Any], by_id: Mapping[str, Resource]) -> Resource:
    """Return what a ``grouped_light`` tells of its lamps: whether any is on, and how bright those are on average."""
    lights = [by_id[rid] for rid in members(group, by_id)]
    bright = [one["dimming"]["brightness"] for one in lights if one["on"]["on"] and "dimming" in one]
    average = round(sum(bright) / len(bright), 2) if bright else 0.0
    return {"on": {"on": any(one["on"]["on"] for one in lights)}, "dimming": {"brightness": average}}


def members(group: Mapping[str, Any], by_id: Mapping[str, Resource]) -> Iterable[str]:
    """Yield the ids of the lights of a ``grouped_light``."""
    for child in by_id[group["owner"]["rid"]]["children"]:
        for service in by_id.get(child["rid"], {}).get("services", ()):
            if service["rtype"] == "light":
                yield service["rid"]


def xy_of_mirek(mirek: int) -> dict[str, float]:
    """Return how white of that temperature looks (Kim et al., US patent 7024034)."""
    hot, x = mirek / 1000, 0.0  # thousands of kelvins, inverted
    if mirek > 250:  # noqa: PLR2004 - 4000 K
        x = ((-0.2661239 * hot - 0.2343589) * hot + 0.8776956) * hot + 0.179910
        y = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    else:
        x = ((-3.0258469 * hot + 2.1070379) * hot + 0.2226347) * hot + 0.240390
        y = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    return {"x": round(x, 4), "y": round(y, 4)}


def _id(mac: str, *what: str) -> str:
    """Return an id that is always the same, as a bridge's are."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ":".join((mac, *what))))


def _bridge(mac: str) -> Iterable[Resource]:
    owner = {"rid": _id(mac, "bridge", "device"), "rtype": "device"}
    services: list[Resource] = [
        {
            "id": _id(mac, "bridge", "bridge"),
            "owner": owner,
            "bridge_id": f"{mac[:6]}fffe{mac[6:]}",
            "time_zone": {"time_zone": "Europe/Paris"},
            "type": "bridge",
        },
        {
            "id": _id(mac, "bridge", "zigbee_connectivity"),
            "owner": owner,
            "status": "connected",
            "mac_address": ":".join(["00", "17", "88", "01", *(mac[at : at + 2] for at in range(4, 12, 2))]),
            "channel": {"status": "set", "value": "channel_25"},
            "type": "zigbee_connectivity",
        },
    ]
    yield {
        "id": owner["rid"],
        "product_data": {
            "model_id": "BSB002",
            "manufacturer_name": "Signify Netherlands B.V.",
            "product_name": "Hue Bridge",
            "product_archetype": "bridge_v2",
            "certified": True,
            "software_version": "1.67.1967054020",
        },
        "metadata": {"name": "Hue Bridge", "archetype": "bridge_v2"},
        "identify": {},
        "services": [{"rid": one["id"], "rtype": one["type"]} for one in services],
        "type": "device",
    }
    yield from services


def _group(mac: str, name: str, kind: str, children: list[Resource], number: int) -> list[Resource]:
    owner = {"rid": _id(mac, name, kind), "rtype": kind}
    light = {"id": _id(mac, name, "grouped_light"), "id_v1": f"/groups/{number}", "owner": owner}
    group: Resource = {
        "id": owner["rid"],
        "id_v1": f"/groups/{number}",
        "children": children,
        "services": [{"rid": light["id"], "rtype": "grouped_light"}],
        "type": kind,
    }
    if kind == "room":
        group["metadata"] = {"name": name, "archetype": "living_room"}
    light["alert"] = {"action_values": ["breathe"]}
    return [group, light | {"type": "grouped_light"}]


def _services(kind: str, name: str) -> list[Resource]:
    battery = {"power_state": {"battery_level": 87, "battery_state": "normal"}, "type": "device_power"}
    match kind:
        case "color" | "ambiance" | "plug":
            return [_light(kind, name)]
        case "motion":
            return [
                {"enabled": True, "motion": _report("motion", value=False), "type": "motion"},
                {"enabled": True, "temperature": _report("temperature", value=21.5), "type": "temperature"},
                {"enabled": True, "light": _report("light_level", value=12_000), "type": "light_level"},
                battery,
            ]
        case "contact":
            report = {"changed": LONG_AGO, "state": "contact"}
            return [{"enabled": True, "contact_report": report, "type": "contact"}, battery]
    events = ["initial_press", "repeat", "short_release", "long_press", "long_release"]
    button = {"repeat_interval": 800, "event_values": events}
    return [
        *({"metadata": {"control_id": number}, "button": button, "type": "button"} for number in range(1, 5)),
        battery,
    ]


def _report(member: str, value: float) -> Resource:
    return {member: value, f"{member}_valid": True, f"{member}_report": {"changed": LONG_AGO, member: value}}


def _light(kind: str, name: str) -> Resource:
    light: Resource = {
        "metadata": {"name": name, "archetype": MADE[kind][2], "function": "mixed"},
        "identify": {},
        "service_id": 0,
        "on": {"on": True},
        "mode": "normal",
        "alert": {"action_values": ["breathe"]},
        "type": "light",
    }
    if kind != "plug":
        light["dimming"] = {"brightness": 50.0, "min_dim_level": 2.0}
        light["dimming_delta"] = {}
        schema = {"mirek_minimum": 153, "mirek_maximum": 500 if kind == "color" else 454}
        light["color_temperature"] = {"mirek": 366, "mirek_valid": True, "mirek_schema": schema}
    if kind == "color":
        light["color"] = {"xy": xy_of_mirek(366), "gamut": GAMUT_C, "gamut_type": "C"}
    return light
