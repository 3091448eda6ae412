"""The client of Gladys' own API, as far as it is about people: users, houses, areas, scenes, messages."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gladys_companion.config import Gladys
from gladys_companion.errors import Rejected, Unsure
from gladys_companion.gladys_api import GladysApi, moment, open_api
from gladys_companion.gladys_api.own_scenes import crossing, left_home, mended, out_of_home, takes_out
from tests.gladys_server import KEY, GladysServer, open_gladys


@pytest.fixture
async def server() -> AsyncIterator[GladysServer]:
    async with open_gladys() as server:
        yield server


@pytest.fixture
async def api(server: GladysServer, tmp_path: Path) -> AsyncIterator[GladysApi]:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n", encoding="utf-8")
    async with open_api(Gladys(url=server.url, api_key_file=str(key), answer_within=0.5)) as api:
        yield api


async def test_users_come_without_what_is_theirs_alone(server: GladysServer, api: GladysApi) -> None:
    """Who they are and where Gladys has them; neither e-mail address nor picture is even asked for."""
    house = server.people.add_house("Home")
    server.people.user_seen("home", "tony")
    server.people.locate("tony", {"latitude": 48.0, "longitude": 2.0, "accuracy": 5})
    (tony,) = (await api.people.users()).all
    assert (tony.selector, tony.firstname, tony.current_house_id) == ("tony", "Tony", house["id"])
    assert (tony.last_latitude, tony.last_longitude) == (48.0, 2.0)
    assert moment(tony.last_location_changed) is not None
    assert not {"email", "picture", "password"} & set(tony.__struct_fields__)


async def test_houses_and_areas_are_read_and_the_odd_counted(server: GladysServer, api: GladysApi) -> None:
    """A house may be nowhere; one that can not be read costs no other."""
    server.people.add_house("Home", 48, 2)
    server.people.add_house("Boat")
    server.people.houses["odd"] = {"id": "x", "name": "Odd", "selector": None}
    server.people.add_area("Work", 48.5, 2.5, radius=300)
    server.people.areas["odd"] = {**server.people.areas["work"], "radius": "wide"}
    houses, areas = await api.people.houses(), await api.people.areas()
    assert [(one.selector, one.latitude) for one in houses.all] == [("boat", None), ("home", 48.0)]
    assert [(one.selector, one.radius) for one in areas.all] == [("work", 300.0)]
    assert (houses.odd, areas.odd) == (1, 1)


async def test_a_position_and_a_homecoming_are_told(server: GladysServer, api: GladysApi) -> None:
    """With what is known of it; who or what is not there is said in Gladys' words."""
    server.people.add_house("Home")
    await api.people.locate("tony", 48.0, -2.5, accuracy=12, altitude=None)
    assert server.people.locations[-1]["accuracy"] == 12
    assert server.people.position("tony") == (48.0, -2.5)
    await api.people.seen("home", "tony")
    assert server.people.at_home("tony") == "home"
    with pytest.raises(Rejected, match=r"refused it: User not found\."):
        await api.people.locate("nobody", 1, 1)
    with pytest.raises(Rejected, match=r"refused it: House not found\."):
        await api.people.seen("nowhere", "tony")


async def test_selectors_can_not_lead_elsewhere(server: GladysServer, api: GladysApi) -> None:
    """Whatever somebody wrote into the configuration stays one part of the path."""
    with pytest.raises(Rejected, match="House not found"):
        await api.people.seen("../device", "a/b?c#d")
    server.people.add_scene("off")
    assert await api.scenes.get("x/../off") is None


async def test_a_message_comes_with_its_id(server: GladysServer, api: GladysApi) -> None:
    """So that it can be found again, newest first, apart from what Gladys answers."""
    message_id = str(uuid.uuid4())
    await api.people.say("hello", message_id)
    await server.seen("POST /api/v1/message")
    found = [(one.id == message_id, one.text, one.sender_id is None) for one in (await api.people.messages()).all]
    assert found == [(False, "I don't understand.", True), (True, "hello", False)]


async def test_scenes_are_made_changed_started_and_deleted(server: GladysServer, api: GladysApi) -> None:
    """What a scene does is told only of one; the start of one that is not there looks the same."""
    action = out_of_home("tony", "home")
    await api.scenes.create(
        {"name": "Off", "selector": "off", "icon": "log-out", "actions": [[action]], "triggers": []}
    )
    (listed,) = (await api.scenes.all()).all
    found = await api.scenes.get("off")
    assert found is not None
    assert (listed.selector, listed.actions, found.actions, found.active) == ("off", [], [[action]], True)
    await api.scenes.change("off", {"name": "Out", "actions": [[]]})
    assert server.people.scenes["off"]["name"] == "Out"
    await api.scenes.start("off")
    await api.scenes.start("no-such")
    await server.seen("POST /api/v1/scene/no-such/start")
    assert (server.people.started, server.people.logged) == (["off"], ["Scene with selector no-such not found."])
    with pytest.raises(Rejected, match="selector must be unique"):
        await api.scenes.create({"name": "Off", "selector": "off", "icon": "log-out", "actions": [[]]})
    await api.scenes.delete("off")
    assert await api.scenes.get("off") is None


@pytest.mark.parametrize("status", [502, 504])
async def test_a_proxy_that_lost_gladys_knows_nothing(server: GladysServer, api: GladysApi, status: int) -> None:
    """A scene may have started before; a question is simply asked again."""
    server.fault = status
    with pytest.raises(Unsure):
        await api.scenes.start("off")
    server.fault = 503
    with pytest.raises(Exception, match="failed") as raised:
        await api.scenes.start("off")
    assert not isinstance(raised.value, Unsure)


def test_our_scenes_have_names_that_gladys_takes() -> None:
    """Slugs, whatever a zone is called."""
    assert left_home("anna") == "companion-left-home-anna"
    assert crossing("entered", "l_école", "anna-marie") == "companion-entered-l-ecole-anna-marie"
    assert crossing("left", "日本", "anna") == "companion-left-x-anna"


async def test_a_scene_is_mended_around_what_its_owner_added(server: GladysServer, api: GladysApi) -> None:
    """The one action is first, for the house of now; all else stays in its order."""
    off, say = {"type": "light.turn-off", "devices": ["lamp"]}, {"type": "message.send", "user": "tony", "text": "bye"}
    server.people.add_scene("off", out_of_home("tony", "old"), off)
    server.people.scenes["off"]["actions"].append([say])
    scene = await api.scenes.get("off")
    assert scene is not None
    assert takes_out(scene, "tony", "old")
    assert not takes_out(scene, "tony", "home")
    assert not takes_out(scene, "anna", "old")
    assert mended(scene, "tony", "home") == [[out_of_home("tony", "home")], [off], [say]]
