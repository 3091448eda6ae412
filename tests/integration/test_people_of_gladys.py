"""People and zones as Gladys has them: kept in step by the running daemon, and Gladys made ready by `gladys setup`."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gladys_companion.config import Config, PersonOptions, Presence, ZoneOptions
from gladys_companion.ids import new_id
from gladys_companion.model import Event
from gladys_companion.protocol.people import Reported
from tests.gladys_home import Home, open_home
from tests.gladys_server import GladysServer, open_gladys, written
from tests.people_home import LEFT
from tests.processes import PROGRAM
from tests.rig import until

HOUSE, FAR = (48.8566, 2.3522), (48.8466, 2.3522)
SINK = {"gladys_api": {"confirm_within": 1.0}}
QUICK = Config(presence=Presence(timezone="UTC", enter_dwell=0, leave_dwell=0))


@pytest.fixture
async def server() -> AsyncIterator[GladysServer]:
    async with open_gladys() as server:
        server.people.add_user("Anna")
        server.people.add_house("Main house", *HOUSE)
        server.people.add_area("Work", *FAR, radius=300)
        yield server


@pytest.fixture
async def home(tmp_path: Path, server: GladysServer) -> AsyncIterator[Home]:
    async with open_people(tmp_path, server) as home:
        yield home


def open_people(path: Path, server: GladysServer, config: Config = QUICK, **more: Any) -> Any:  # noqa: ANN401
    return open_home(path, server, **{"drivers": {"virtual": {}}, "sinks": SINK, "config": config, **more})


def known(home: Home) -> set[tuple[str, str, str]]:
    """Return id, name and origin of every person and zone."""
    books = home.daemon.presence.books
    rows = {(one.id, one.name, one.origin) for one in books.people.values()}
    return rows | {(one.id, one.name, one.origin) for one in books.zones}


async def in_step(home: Home, *expected: tuple[str, str, str]) -> None:
    """Return when this is known, and nothing else."""

    async def so() -> bool:
        return known(home) == set(expected)

    await until(so, f"{expected} is known")


TONY, ANNA = ("tony", "Tony", "gladys"), ("anna", "Anna", "gladys")
MAIN, WORK = ("main-house", "Main house", "gladys"), ("work", "Work", "gladys")


async def test_what_changes_in_gladys_changes_here(server: GladysServer, home: Home) -> None:
    """Users, houses and areas come, are renamed, move and go; a person is a device by the same name."""
    await in_step(home, TONY, ANNA, MAIN, WORK)
    server.people.users["anna"]["firstname"] = "Anna Marie"
    server.people.houses["main-house"]["latitude"] = 48.9
    del server.people.areas["work"], server.people.users["tony"]
    await in_step(home, ("anna", "Anna Marie", "gladys"), MAIN)
    assert home.daemon.presence.books.zones[0].latitude == 48.9

    async def called() -> bool:
        device = home.device("person:anna")
        return device is not None and device.name == "Anna Marie"

    await until(called, "the device has the name")


async def test_what_the_user_says_stays(server: GladysServer, tmp_path: Path) -> None:
    """A person of the file is linked with the user that they name, and a zone of theirs is not moved."""
    config = Config(
        people={"mum": PersonOptions(name="Mum", gladys_user="anna")},
        zones={"main-house": ZoneOptions(name="Ours", latitude=1.0, longitude=2.0, home=True)},
    )
    async with open_people(tmp_path, server, config) as home:
        await in_step(home, TONY, ("mum", "Mum", "toml"), ("main-house", "Ours", "toml"), WORK)
        books = home.daemon.presence.books
        assert (books.people["mum"].gladys_user_id, books.people["mum"].gladys_house) == (
            server.people.users["anna"]["id"],
            "main-house",
        )
        assert [one.gladys for one in books.zones] == ["house:main-house", "area:work"]
        added = await home.command("zones", "edit", "work", "--wifi", "work wifi")
        assert added.code == 0, added.err
        server.people.areas["work"]["radius"] = 500

        async def moved() -> bool:
            return [one.radius for one in home.daemon.presence.books.zones if one.id == "work"] == [500]

        await until(moved, "the zone is as large")
        assert home.daemon.presence.books.zones[1].networks == ("work wifi",)
        refused = await home.command("zones", "remove", "work", "--yes")
        assert "remove it there" in refused.err


@pytest.mark.parametrize("fault", ["garbage", "hang", 500, 401, "nobody"])
async def test_a_gladys_that_is_not_well_takes_nobody_away(server: GladysServer, home: Home, fault: str | int) -> None:
    """Nor one that says that it has no users at all; the doctor says what is wrong, and what is new comes after."""
    await in_step(home, TONY, ANNA, MAIN, WORK)
    users = dict(server.people.users)
    if fault == "nobody":
        server.people.users.clear()
    else:
        server.fault = fault
    await until(lambda: _hindered(home), "it is noticed")
    doctor = await home.command("doctor")
    assert "gladys_api: " in doctor.out
    assert known(home) == {TONY, ANNA, MAIN, WORK}
    server.fault = None
    server.people.users.update(users)
    server.people.add_user("Bob")
    await in_step(home, TONY, ANNA, ("bob", "Bob", "gladys"), MAIN, WORK)
    assert await home.told_all()


async def _hindered(home: Home) -> bool:
    return any(one.reason for one in home.daemon.vitals().plugins)


async def test_a_gladys_that_is_down_at_the_start_is_found_later(server: GladysServer, tmp_path: Path) -> None:
    """Nothing waits for it."""
    await server.stop()
    async with open_people(tmp_path, server) as home:
        await until(lambda: _hindered(home), "it is noticed")
        await server.start()
        await in_step(home, TONY, ANNA, MAIN, WORK)


async def test_without_the_sink_all_is_the_users(server: GladysServer, tmp_path: Path) -> None:
    """What nothing keeps in step any more can be changed and removed here."""
    async with open_people(tmp_path, server) as home:
        await in_step(home, TONY, ANNA, MAIN, WORK)
    async with open_people(tmp_path, server, sinks={}) as home:
        assert {origin for _, _, origin in known(home)} == {"user"}
        assert (await home.command("zones", "remove", "work", "--yes")).code == 0
    async with open_people(tmp_path, server) as home:
        await in_step(
            home, ("tony", "Tony", "user"), ("anna", "Anna", "user"), ("main-house", "Main house", "user"), WORK
        )


async def test_setup_makes_the_scenes_once(server: GladysServer, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What will be made is shown, and made only when that is wanted; then there is nothing left to do."""
    await in_step(home, TONY, ANNA, MAIN, WORK)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = await home.command("gladys", "setup")
    assert refused.code == 130
    assert f"{LEFT} (Anna left home, missing): user.set-out-of-home (anna out of main-house)" in refused.err
    assert server.people.scenes == {}
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    made = await home.command("gladys", "setup")
    assert made.code == 0, made.err
    assert sorted(server.people.scenes) == [LEFT, "companion-left-home-tony"]
    assert server.people.scenes[LEFT]["actions"] == [
        [{"type": "user.set-out-of-home", "user": "anna", "house": "main-house"}]
    ]
    before = msgspec.json.encode(server.people.scenes)
    again = await home.command("gladys", "setup", "--json")
    assert {one["state"] for one in again.json()} == {"there"}
    assert msgspec.json.encode(server.people.scenes) == before


async def test_setup_mends_and_removes(server: GladysServer, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its user added stays, and is named before it goes; scenes of others are not touched."""
    await in_step(home, TONY, ANNA, MAIN, WORK)
    server.people.add_scene(LEFT, {"type": "light.turn-off", "devices": ["lamp"]})
    server.people.add_scene("companion-left-home-bob", {"type": "user.set-out-of-home", "user": "bob", "house": "x"})
    server.people.add_scene("cinema")
    mended = await home.command("gladys", "setup", "--zone", "work", "--yes")
    assert mended.code == 0, mended.err
    assert server.people.scenes[LEFT]["actions"] == [
        [{"type": "user.set-out-of-home", "user": "anna", "house": "main-house"}],
        [{"type": "light.turn-off", "devices": ["lamp"]}],
    ]
    assert server.people.scenes["companion-entered-work-anna"]["name"] == "Anna entered Work"
    assert len(server.people.scenes) == 3 + 1 + 4
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    removed = await home.command("gladys", "setup", "--remove")
    assert removed.code == 0, removed.err
    assert f"{LEFT} ({LEFT}, there): user.set-out-of-home (anna out of main-house), and 1 of your own" in removed.err
    assert list(server.people.scenes) == ["cinema"]
    assert (await home.command("gladys", "setup", "--remove")).out == "Gladys has no scene of ours.\n"


async def test_setup_says_what_it_can_not_do(server: GladysServer, home: Home, tmp_path: Path) -> None:
    """Of whom nothing is known, zones that are none, a Gladys that is down, and where Gladys is not named."""
    await in_step(home, TONY, ANNA, MAIN, WORK)
    await home.command("people", "add", "Bob")
    await home.command("people", "add", "Cleo", "--gladys-user", "cleopatra")
    told = await home.command("gladys", "setup", "--yes")
    assert "Which user of Gladys Bob is, is not known: `people edit bob --gladys-user USER`." in told.err
    assert "Gladys has no user 'cleopatra', which Cleo is said to be." in told.err
    unknown = await home.command("gladys", "setup", "--zone", "moon")
    assert (unknown.code, "No zone 'moon' is known here. [ZONE_NOT_FOUND]" in unknown.err) == (65, True)
    assert (await home.command("gladys", "setup", "--zone", "work", "--remove")).code == 64
    await server.stop()
    down = await home.command("gladys", "setup")
    assert (down.code, "can not be reached" in down.err) == (69, True)
    other = tmp_path / "other"
    await asyncio.to_thread(other.mkdir)
    async with open_home(other, None) as without:
        refused = await without.command("gladys", "setup")
        assert (refused.code, "[gladys] url" in refused.err) == (65, True)


async def test_setup_needs_no_daemon(server: GladysServer, tmp_path: Path) -> None:
    """What was known when it ended is enough."""
    async with open_people(tmp_path, server) as home:
        await in_step(home, TONY, ANNA, MAIN, WORK)
    config = tmp_path / "asleep.toml"
    lines = [
        f'state_directory = "{tmp_path}"',
        f'runtime_directory = "{tmp_path / "run"}"',
        f'[gladys]\nurl = "{server.url}"\napi_key_file = "{tmp_path / "key"}"',
    ]
    await asyncio.to_thread(config.write_text, "\n".join(lines))
    program = await asyncio.create_subprocess_exec(PROGRAM, "--config", str(config), "gladys", "setup", "--yes")
    assert await program.wait() == 0
    assert sorted(server.people.scenes) == [LEFT, "companion-left-home-tony"]


def told(home: Home, where: tuple[float, float], at: float) -> Event:
    """Return what Anna's phone tells of a time."""
    clock = home.daemon.clock
    raw = msgspec.json.encode({"_type": "location", "lat": where[0], "lon": where[1], "tst": int(at), "acc": 10})
    body = Reported(app="owntracks", user="anna", device="iphone", raw=msgspec.Raw(raw), gateway_at=clock.now())
    return Event(
        id=new_id(),
        kind="location",
        origin="gateway",
        at=at,
        received_at=clock.now(),
        deadline=clock.elapsed() + 60,
        boot=clock.boot,
        dated=True,
        body=msgspec.json.encode(body).decode(),
    )


async def test_from_an_empty_home_to_gladys_says_i_am_home(server: GladysServer, home: Home) -> None:
    """A phone that calls itself as its user in Gladys is theirs; the doctor misses the scene until it is there."""
    await in_step(home, TONY, ANNA, MAIN, WORK)
    now = home.daemon.clock.now()
    await home.daemon.intake.submit(told(home, HOUSE, now - 30))
    await home.daemon.intake.submit(told(home, HOUSE, now))

    async def at_home() -> bool:
        return server.people.at_home("anna") == "main-house"

    await until(at_home, "Gladys has Anna at home")

    async def there() -> bool:
        return server.people.position("anna") == HOUSE

    await until(there, "Gladys has her on its map")
    assert [one for one in server.people.triggers if one[0] == "user.back-home"] == [
        ("user.back-home", "anna", "main-house")
    ]
    missing = await home.command("doctor")
    assert "Gladys can not be told when Anna leaves: `gladys-companion gladys setup`" in missing.out
    assert (await home.command("gladys", "setup", "--yes")).code == 0

    async def well() -> bool:
        return "when Anna leaves" not in (await home.command("doctor")).out

    await until(well, "the doctor is content")


@pytest.mark.parametrize("catch_up", [True, False])
async def test_what_gladys_missed_is_caught_up_where_that_is_wanted(
    server: GladysServer, tmp_path: Path, *, catch_up: bool
) -> None:
    """A leave that is late is history; if it is still so and that is wanted, Gladys learns it once."""
    server.people.add_scene(LEFT, {"type": "user.set-out-of-home", "user": "anna", "house": "main-house"})
    sinks = {"gladys_api": {**SINK["gladys_api"], "catch_up": catch_up}}
    async with open_people(tmp_path, server, sinks=sinks) as home:
        await in_step(home, TONY, ANNA, MAIN, WORK)
        now = home.daemon.clock.now()
        server.people.user_seen("main-house", "anna")
        server.people.users["anna"]["last_house_changed"] = written(now - 7_200)
        for where, ago in ((HOUSE, 5_000), (FAR, 4_000), (FAR, 3_900)):
            await home.daemon.intake.submit(told(home, where, now - ago))

        async def expired() -> bool:
            sql = "SELECT state FROM deliveries WHERE target = 'gladys_api' AND state = 'expired'"
            return len(await home.rows(sql)) >= 2

        await until(expired, "it is history")
        if catch_up:

            async def left() -> bool:
                return server.people.at_home("anna") is None

            await until(left, "Gladys knows")
        asked = len(server.asked)

        async def looked() -> bool:
            return server.asked[asked:].count("GET /api/v1/area") >= 3

        await until(looked, "Gladys was looked at again")
        assert server.people.started == ([LEFT] if catch_up else [])
        server.people.user_seen("main-house", "anna")  # somebody in Gladys knows better
        asked = len(server.asked)
        await until(looked, "Gladys was looked at again")
        assert server.people.at_home("anna") == "main-house"
