"""What a phone's apps are set up with: files and links that they import, made of a key. Pure.

Sources: the OwnTracks booklet (remote configuration) and its apps; Tasker's own exports (``TaskerData``), whose import
links are base64 of gzipped XML.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
from msgspec import Struct

__all__ = ["Profile", "owntracks", "tasker_link", "tasker_profiles", "tasker_xml"]

CONNECTED, BATTERY, POWER, NFC = 160, 140, 10, 2076  # Tasker's contexts: states, and the event of a tag
HTTP_REQUEST = 339
TIMEOUT = 30  # seconds


class Profile(Struct, frozen=True):
    """A Tasker profile: a context (``code`` and its arguments), and what is posted when it begins and when it ends."""

    name: str
    code: int
    arguments: tuple[str | int, ...]
    begins: Mapping[str, Any]
    ends: Mapping[str, Any] | None = None
    path: str = "device/state"


def owntracks(url: str, user: str, secret: str) -> dict[str, Any]:
    """Return OwnTracks' configuration. The secret is its password, so that another one keeps what is still queued."""
    return {
        "_type": "configuration",
        "mode": 3,
        "url": f"{url}/v1/api/owntracks",
        "auth": True,
        "username": user,
        "password": secret,
        "deviceId": "phone",
        "tid": user[:2],
        "monitoring": 1,
        "extendedData": True,
        "pubExtendedData": True,
        "cmd": True,
        "ping": 30,
    }


def tasker_profiles(user: str, tag: str, network: str) -> tuple[Profile, ...]:
    """Return the profiles that are offered: coming and going by Wi-Fi, battery, charger, a tag."""
    return (
        Profile(
            "Gladys: Wi-Fi", CONNECTED, (network, "", "", 2), _state(user, "presence", 1), _state(user, "presence", 0)
        ),
        Profile(
            "Gladys: battery low", BATTERY, (0, 20), _state(user, "battery-low", 1), _state(user, "battery-low", 0)
        ),
        Profile("Gladys: charging", POWER, (0,), _state(user, "charging", 1), _state(user, "charging", 0)),
        Profile("Gladys: tag", NFC, ("", ""), {"event": tag}, path="event"),
    )


def tasker_xml(profile: Profile, url: str, secret: str) -> bytes:
    """Return a profile with its tasks as Tasker exports one."""
    root = ET.Element("TaskerData", sr="", dvi="1", tv="6.2.22")
    made = ET.SubElement(root, "Profile", sr="prof1", ve="2")
    for tag, text in (("cdate", "0"), ("edate", "0"), ("flags", "8"), ("id", "1"), ("mid0", "2")):
        ET.SubElement(made, tag).text = text
    if profile.ends is not None:
        ET.SubElement(made, "mid1").text = "3"
    ET.SubElement(made, "nme").text = profile.name
    kind = "Event" if profile.code >= 2_000 else "State"  # noqa: PLR2004 - where Tasker's events begin
    context = ET.SubElement(made, kind, sr="con0", ve="2")
    ET.SubElement(context, "code").text = str(profile.code)
    for place, argument in enumerate(profile.arguments):
        _argument(context, place, argument)
    bodies = {"2": profile.begins, **({"3": profile.ends} if profile.ends is not None else {})}
    for number, body in bodies.items():
        _task(root, number, f"{url}/v1/api/{profile.path}", secret, body)
    made_of: bytes = ET.tostring(root, encoding="utf-8")
    return made_of


def tasker_link(xml: bytes) -> str:
    """Return the link that Tasker imports a profile from."""
    return f"taskerprofile://{base64.b64encode(gzip.compress(xml, mtime=0)).decode()}"


def _state(user: str, what: str, value: int) -> dict[str, Any]:
    return {"device_feature_external_id": f"phone:{user}:{what}", "state": value}


def _task(root: ET.Element, number: str, url: str, secret: str, body: Mapping[str, Any]) -> None:
    task = ET.SubElement(root, "Task", sr=f"task{number}")
    for tag, text in (("cdate", "0"), ("edate", "0"), ("id", number), ("pri", "100")):
        ET.SubElement(task, tag).text = text
    action = ET.SubElement(task, "Action", sr="act0", ve="7")
    ET.SubElement(action, "code").text = str(HTTP_REQUEST)
    headers = f"Content-Type:application/json\nAuthorization:Bearer {secret}"
    text = msgspec.json.encode(body).decode()
    arguments: tuple[str | int, ...] = (1, url, headers, "", text, "", "", TIMEOUT, 0, 1, 0, 1)
    for place, argument in enumerate(arguments, 1):
        _argument(action, place, argument)


def _argument(parent: ET.Element, place: int, value: str | int) -> None:
    if isinstance(value, int):
        ET.SubElement(parent, "Int", sr=f"arg{place}", val=str(value))
    else:
        ET.SubElement(parent, "Str", sr=f"arg{place}", ve="3").text = value
