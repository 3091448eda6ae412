"""The scenes that Gladys needs of us: what they are called, what they do, and what is missing of one. Pure.

Gladys has no route by which a person leaves home: only a scene can do that. A scene of ours is the user's too: what
they add to it stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

from gladys_companion.gladys_api._messages import GladysScene

__all__ = [
    "LEFT_HOME",
    "OUT_OF_HOME",
    "PREFIX",
    "crossing",
    "left_home",
    "members",
    "mended",
    "out_of_home",
    "takes_out",
]

PREFIX = "companion-"
LEFT_HOME = f"{PREFIX}left-home-"
OUT_OF_HOME = "user.set-out-of-home"  # ACTIONS.USER.SET_OUT_OF_HOME of Gladys
ICON = "log-out"  # one that every Gladys has

Action = dict[str, Any]


def left_home(user: str) -> str:
    """Return the selector of the scene by which a user leaves home."""
    return f"{LEFT_HOME}{_slug(user)}"


def crossing(way: Literal["entered", "left"], zone: str, user: str) -> str:
    """Return the selector of the scene that is started when a user enters or leaves a zone."""
    return f"{PREFIX}{way}-{_slug(zone)}-{_slug(user)}"


def out_of_home(user: str, house: str) -> Action:
    """Return the action by which a user, by selector, leaves a house."""
    return {"type": OUT_OF_HOME, "user": user, "house": house}


def members(selector: str, name: str, description: str, actions: Sequence[Action]) -> dict[str, Any]:
    """Return a scene to be created, with one step of these actions; nothing but being started sets it off."""
    return {
        "name": name,
        "description": description,
        "selector": selector,
        "icon": ICON,
        "active": True,
        "actions": [list(actions)],
        "triggers": [],
    }


def takes_out(scene: GladysScene, user: str, house: str) -> bool:
    """Return whether a scene lets a user leave this house."""
    wanted = out_of_home(user, house)
    return any(all(action.get(name) == value for name, value in wanted.items()) for action in _actions(scene))


def mended(scene: GladysScene, user: str, house: str) -> list[list[Action]]:
    """Return the steps of a scene with one first that lets a user leave this house, and none that does so elsewhere."""
    kept = [
        [action for action in step if (action.get("type"), action.get("user")) != (OUT_OF_HOME, user)]
        for step in scene.actions
    ]
    return [[out_of_home(user, house)], *(step for step in kept if step)]


def _actions(scene: GladysScene) -> list[Action]:
    return [action for step in scene.actions for action in step]


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "x"
