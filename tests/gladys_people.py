"""What a Gladys in a test knows of people: users, houses, areas, scenes and messages, as faithful as its source tells.

Of ``server/lib/{location,house,area,scene,message,user}`` and their controllers in Gladys Assistant 4: a position
overwrites the last one and is checked against areas at once, without accuracy or order; ``seen`` is answered when it is
done, and a person leaves a house only by a scene's action; a scene is started after the answer, which is 200 also
where there is none; a message is stored after the answer. Its REST routes take latitude 0; what passes locations on
from Gladys Plus does not, and ``refuses_zero`` makes this one do likewise.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import web

__all__ = ["GladysPeople"]

Members = dict[str, Any]
Refuse = Callable[..., Exception]

USER_FIELDS = ("id", "firstname", "lastname", "selector", "email")
SCENE_FIELDS = ("id", "name", "description", "icon", "selector", "active", "last_executed", "updated_at")
ICONS = frozenset({"log-out", "log-in", "home", "bell", "film"})  # a few of server/config/icons.json
ACTIONS = frozenset(
    {"user.set-out-of-home", "user.set-seen-at-home", "light.turn-on", "light.turn-off", "message.send", "delay"}
)
ACTION_KEYS = frozenset({"type", "user", "house", "devices", "text", "value", "unit"})


class GladysPeople:
    """The part of a ``GladysServer`` that is about people. ``triggers`` notes what scenes of its users would start by.

    ``started`` notes the scenes that ran; ``chat`` what was written. While ``scenes_run`` or ``chat_works`` is clear,
    what was taken is not done. ``refuse`` makes the exception that becomes an answer.
    """

    def __init__(
        self,
        *,
        refuse: Refuse,
        slug: Callable[[str], str],
        written: Callable[[float], str],
        later: Callable[[Coroutine[Any, Any, None]], None],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self.users: dict[str, Members] = {}
        self.houses: dict[str, Members] = {}
        self.areas: dict[str, Members] = {}
        self.scenes: dict[str, Members] = {}
        self.chat: list[Members] = []
        self.locations: list[Members] = []
        self.triggers: list[tuple[str, ...]] = []
        self.started: list[str] = []
        self.done: list[Members] = []
        self.logged: list[str] = []
        self.scenes_run, self.chat_works = asyncio.Event(), asyncio.Event()
        self.scenes_run.set()
        self.chat_works.set()
        self.refuses_zero = False
        self._refuse, self._slug, self._written, self._later, self._changed = refuse, slug, written, later, changed
        self.add_user("Tony")

    # What its user does in the dashboard.

    def add_user(self, firstname: str, **more: Any) -> Members:
        """Create a user; the first is whose API key it is."""
        user = {
            "id": str(uuid.uuid4()),
            "firstname": firstname,
            "lastname": "Stark",
            "selector": self._slug(firstname),
            "email": f"{self._slug(firstname)}@example.com",
            "language": "en",
            "role": "admin",
            "picture": "data:image/png;base64,AAAA",
            "password": "$2b$10$secret",
            "telegram_user_id": None,
            "current_house_id": None,
            "last_house_changed": None,
            "last_latitude": None,
            "last_longitude": None,
            "last_altitude": None,
            "last_accuracy": None,
            "last_location_changed": None,
            **more,
        }
        self.users[user["selector"]] = user
        return user

    def add_house(self, name: str, latitude: float | None = None, longitude: float | None = None) -> Members:
        """Create a house."""
        house = {"id": str(uuid.uuid4()), "name": name, "selector": self._slug(name), "alarm_mode": "disarmed"}
        self.houses[house["selector"]] = house | {"latitude": latitude, "longitude": longitude}
        return self.houses[house["selector"]]

    def add_area(self, name: str, latitude: float, longitude: float, radius: float = 200) -> Members:
        """Create an area."""
        area = {"id": str(uuid.uuid4()), "name": name, "selector": self._slug(name), "color": "#5042f4"}
        self.areas[area["selector"]] = area | {"latitude": latitude, "longitude": longitude, "radius": radius}
        return self.areas[area["selector"]]

    def add_scene(self, selector: str, *actions: Members, **more: Any) -> Members:
        """Create a scene."""
        self._create({"name": selector, "selector": selector, "icon": "bell", "actions": [list(actions)], **more})
        return self.scenes[selector]

    def at_home(self, user: str) -> str | None:
        """Return the selector of the house in which a user is."""
        wanted = self.users[user]["current_house_id"]
        return next((one["selector"] for one in self.houses.values() if one["id"] == wanted), None)

    def position(self, user: str) -> tuple[float, float]:
        """Return where a user is last."""
        return self.users[user]["last_latitude"], self.users[user]["last_longitude"]

    # server/lib

    def user_seen(self, house: str, user: str) -> Members:
        """house.userSeen.js."""
        where, who = self._house(house), self._user(user)
        if who["current_house_id"] != where["id"]:
            empty = all(one["current_house_id"] != where["id"] for one in self.users.values())
            who.update(current_house_id=where["id"], last_house_changed=self._written(time.time()))
            self.triggers.append(("user.back-home", user, house))
            if empty:
                self.triggers.append(("house.no-longer-empty", house))
        names = ("id", "firstname", "lastname", "selector", "email", "current_house_id", "last_house_changed")
        return {name: who[name] for name in names}

    def user_left(self, house: str, user: str) -> None:
        """house.userLeft.js."""
        where, who = self._house(house), self._user(user)
        if who["current_house_id"] == where["id"]:
            who.update(current_house_id=None, last_house_changed=self._written(time.time()))
            self.triggers.append(("user.left-home", user, house))
            if all(one["current_house_id"] != where["id"] for one in self.users.values()):
                self.triggers.append(("house.empty", house))

    def locate(self, user: str, given: Members) -> Members:
        """location.create.js, area.checkNewLocation.js."""
        who = self._user(user)
        for name in ("latitude", "longitude"):
            if self.refuses_zero and not given.get(name):
                raise self._refuse(400, "BAD_REQUEST", message="user_id, latitude and longitude are required.")
            if given.get(name) is None:
                raise self._refuse(422, "UNPROCESSABLE_ENTITY", properties=[{"message": f"{name} cannot be null"}])
        made = {name: given.get(name) for name in ("latitude", "longitude", "altitude", "accuracy")}
        made |= {"id": str(uuid.uuid4()), "user_id": who["id"], "created_at": self._written(time.time())}
        self.locations.append(made)
        before = (who["last_latitude"] or 0.0, who["last_longitude"] or 0.0)
        now = (made["latitude"], made["longitude"])
        who.update({f"last_{name}": made[name] for name in ("latitude", "longitude", "altitude", "accuracy")})
        who["last_location_changed"] = made["created_at"]
        for area in self.areas.values():
            was, is_ = (_metres(area, *one) <= area["radius"] for one in (before, now))
            if was != is_:
                self.triggers.append(("area.user-entered" if is_ else "area.user-left", user, area["selector"]))
        return made

    async def _run(self, selector: str) -> None:
        """scene.execute.js."""
        await self.scenes_run.wait()
        scene = self.scenes.get(selector)
        if scene is None:
            self.logged.append(f"Scene with selector {selector} not found.")
            return
        self.started.append(selector)
        for action in (action for step in scene["actions"] for action in step):
            self.done.append(action)
            if action["type"] == "user.set-out-of-home":
                self.user_left(action["house"], action["user"])
            if action["type"] == "user.set-seen-at-home":
                self.user_seen(action["house"], action["user"])
        await self._changed()

    async def _store(self, message: Members, sender: Members) -> None:
        """message.create.js, and what Gladys answers."""
        await self.chat_works.wait()
        made = {"id": message.get("id") or str(uuid.uuid4()), "text": message["text"], "sender_id": sender["id"]}
        if any(one["id"] == made["id"] for one in self.chat):
            self.logged.append("t_message.id must be unique")
            return
        self.chat.append(made | {"receiver_id": None, "is_read": True, "created_at": self._written(time.time())})
        answer = {
            "id": str(uuid.uuid4()),
            "text": "I don't understand.",
            "sender_id": None,
            "receiver_id": sender["id"],
        }
        self.chat.append(answer | {"created_at": self._written(time.time())})
        await self._changed()

    def _create(self, given: Members) -> Members:
        """scene.create.js, models/scene.js."""
        made = {"id": str(uuid.uuid4()), "description": None, "active": True, "last_executed": None, **given}
        made["selector"] = self._slug(made.get("selector") or made.get("name") or "")
        self._check_scene(made)
        if made["selector"] in self.scenes:
            error = {"message": "selector must be unique", "attribute": "selector", "type": "unique violation"}
            raise self._refuse(409, "CONFLICT", error=error)
        self.scenes[made["selector"]] = made | {"updated_at": self._written(time.time())}
        return made

    def _check_scene(self, made: Members) -> None:
        wrong = next(
            (f"t_scene.{name} cannot be null" for name in ("name", "icon", "actions") if not made.get(name)), ""
        )
        if not wrong and made["icon"] not in ICONS:
            wrong = f"Validation error: no icon {made['icon']}"
        for action in (action for step in made.get("actions") or () for action in step):
            if action.get("type") not in ACTIONS or not action.keys() <= ACTION_KEYS:
                wrong = f"Validation error: {action} is not allowed"
        if wrong:
            raise self._refuse(422, "UNPROCESSABLE_ENTITY", properties=[{"message": wrong}])

    def _user(self, selector: str) -> Members:
        return self._known(self.users, selector, "User")

    def _house(self, selector: str) -> Members:
        return self._known(self.houses, selector, "House")

    def _known(self, some: dict[str, Members], selector: str, what: str) -> Members:
        if selector not in some:
            raise self._refuse(404, "NOT_FOUND", message=f"{what} not found")
        return some[selector]

    # server/api/controllers

    def routes(self) -> list[web.RouteDef]:
        """Return what it answers."""
        return [
            web.get("/api/v1/user", self._get_users),
            web.get("/api/v1/user/{user}", self._get_user),
            web.post("/api/v1/user/{user}/location", self._post_location),
            web.get("/api/v1/house", self._get_houses),
            web.post("/api/v1/house/{house}/user/{user}/seen", self._post_seen),
            web.get("/api/v1/area", self._get_areas),
            web.get("/api/v1/scene", self._get_scenes),
            web.post("/api/v1/scene", self._post_scene),
            web.get("/api/v1/scene/{scene}", self._get_scene),
            web.patch("/api/v1/scene/{scene}", self._patch_scene),
            web.delete("/api/v1/scene/{scene}", self._delete_scene),
            web.post("/api/v1/scene/{scene}/start", self._start_scene),
            web.get("/api/v1/message", self._get_messages),
            web.post("/api/v1/message", self._post_message),
        ]

    async def _get_users(self, request: web.Request) -> web.Response:
        fields = request.query["fields"].split(",") if request.query.get("fields") else USER_FIELDS
        known = set(next(iter(self.users.values()))) if self.users else set(fields)
        if unknown := next((name for name in fields if name not in known), None):
            raise self._refuse(500, "SERVER_ERROR", error={}, message=f"SQLITE_ERROR: no such column: {unknown}")
        users = sorted(self.users.values(), key=lambda one: str(one["firstname"]))
        return web.json_response([{name: one.get(name) for name in fields} for one in users])

    async def _get_user(self, request: web.Request) -> web.Response:
        user = self._user(request.match_info["user"])
        return web.json_response({k: v for k, v in user.items() if k not in {"password", "telegram_user_id"}})

    async def _post_location(self, request: web.Request) -> web.Response:
        return web.json_response(self.locate(request.match_info["user"], json.loads(await request.read())), status=201)

    async def _get_houses(self, _: web.Request) -> web.Response:
        return web.json_response(sorted(self.houses.values(), key=lambda one: str(one["name"])))

    async def _post_seen(self, request: web.Request) -> web.Response:
        return web.json_response(self.user_seen(request.match_info["house"], request.match_info["user"]))

    async def _get_areas(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.areas.values()))

    async def _get_scenes(self, _: web.Request) -> web.Response:
        scenes = sorted(self.scenes.values(), key=lambda one: str(one["name"]))
        return web.json_response([{name: one.get(name) for name in SCENE_FIELDS} | {"tags": []} for one in scenes])

    async def _get_scene(self, request: web.Request) -> web.Response:
        return web.json_response(self._known(self.scenes, request.match_info["scene"], "Scene"))

    async def _post_scene(self, request: web.Request) -> web.Response:
        return web.json_response(self._create(json.loads(await request.read())), status=201)

    async def _patch_scene(self, request: web.Request) -> web.Response:
        scene = self._known(self.scenes, request.match_info["scene"], "Scene")
        made = scene | json.loads(await request.read())
        self._check_scene(made)
        scene.update(made)
        return web.json_response(scene)

    async def _delete_scene(self, request: web.Request) -> web.Response:
        self._known(self.scenes, request.match_info["scene"], "Scene")
        del self.scenes[request.match_info["scene"]]
        return web.json_response({"success": True})

    async def _start_scene(self, request: web.Request) -> web.Response:
        selector = request.match_info["scene"]
        self._later(self._run(selector))
        return web.json_response({"type": "scene.start", "scene": selector, "status": "pending"})

    async def _get_messages(self, _: web.Request) -> web.Response:
        return web.json_response(self.chat[::-1][:20])

    async def _post_message(self, request: web.Request) -> web.Response:
        given, sender = json.loads(await request.read()), next(iter(self.users.values()))
        self._later(self._store(given, sender))
        about = {"source": "api_client", "language": sender["language"], "source_user_id": sender["id"]}
        return web.json_response({"text": given.get("text"), **about}, status=201)


def _metres(area: Members, latitude: float, longitude: float) -> float:
    north, east = math.radians(latitude - area["latitude"]), math.radians(longitude - area["longitude"])
    return 6_371_000 * math.hypot(north, east * math.cos(math.radians(latitude)))
