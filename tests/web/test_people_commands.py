"""People, phones and zones by command, as a new user meets them; with a daemon and without."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from gladys_companion.ids import new_id
from gladys_companion.model import Delivery, Event, Sender
from gladys_companion.protocol.people import Reported
from gladys_companion.store.trace import find_event
from gladys_companion.web.server import open_socket, socket_path
from gladys_companion.web.service import Service
from tests.command_line import Ended, run
from tests.web.home import open_home

OFFLINE = pytest.mark.may_block("a command has a loop of its own, with nobody else on it")


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text(
        f"state_directory = '{tmp_path}/state'\nruntime_directory = '{tmp_path}/run'\n[presence]\ntimezone = 'UTC'\n"
    )
    return f"--config={path}"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Serve a home on the socket that the configuration names."""
    async with open_home(tmp_path) as service, open_socket(service, socket_path(service.config)):
        yield service


class Told:
    """Tells a home what phones post, and runs commands."""

    def __init__(self, service: Service, config: str) -> None:
        self.service = service
        self.config = config

    async def __call__(self, *arguments: str) -> Ended:
        return await run(self.config, *arguments)

    async def post(self, user: str, device: str, ago: float, **body: Any) -> None:
        """Let presence have a location of so many seconds ago, once it is in the journal."""
        raw = {"_type": "location", "tst": time.time() - ago, "acc": 9, **body}
        reported = Reported(
            app="owntracks", user=user, device=device, raw=Raw(msgspec.json.encode(raw)), gateway_at=time.time()
        )
        event = Event(
            id=new_id(),
            kind="location",
            origin="gateway",
            at=time.time(),
            received_at=time.time(),
            deadline=float("inf"),
            boot="b",
            key=Sender("key-1", "Anna's key"),
            body=msgspec.json.encode(reported).decode(),
        )
        await self.service.intake.take(event)
        await self._deliver(event)

    async def _deliver(self, event: Event) -> str | None:
        delivery = Delivery(seq=1, event=event, target="presence", lane="presence", feature=None, device=None)
        return await self.service.presence.deliver(delivery)

    async def kept(self) -> None:
        """Deliver what was journaled again."""
        rows = await self.service.store.read(
            lambda database: database.conn.execute(
                "SELECT id FROM events WHERE origin = 'local' AND kind = 'location'"
            ).fetchall()
        )
        for (event_id,) in rows:
            await self._deliver(await self.service.store.read(lambda database: find_event(database, event_id)))  # noqa: B023


@pytest.fixture
def told(service: Service, config: str) -> Told:
    return Told(service, config)


async def test_a_new_user_comes_to_know_why(told: Told) -> None:
    """From the first position of a phone that nobody knows to the reason of being home."""
    assert (await told("people", "list")).out.startswith("Nobody is known yet: `people add NAME`")
    assert (await told("people", "phones")).out == "No phone has told where it is yet.\n"
    assert (await told("zones", "list")).out.startswith("There are no zones yet")
    with pytest.raises(Exception, match="nobody's yet"):
        await told.post("anna", "iphone", 60, lat=48.0, lon=-2.0)
    assert "1 kept until `people phone anna-iphone --person NAME`" in (await told("people", "phones")).out
    added = await told("people", "add", "Anna", "--gladys-user", "anna")
    assert added.out == "Anna is anna.\n"
    await told.kept()
    assert (await told("zones", "add", "Home", "--of", "anna", "--home", "--wifi", "our wifi")).out == (
        "Home (home) is 100 m around 48.00000,-2.00000, left at 200 m. Inside: anna.\n"
    )
    why = (await told("people", "why", "Anna")).out
    assert why.startswith("Anna (anna): home since ")
    assert "0 m from home (radius 100 m)" in why
    assert "48.00000,-2.00000  9 m" in why
    [listed] = (await told("people", "list", "--json")).json()
    assert (listed["zone"], listed["at_home"], listed["phones"]) == ("Home", True, ["anna-iphone"])


async def test_people_phones_and_zones_are_changed_and_removed(told: Told) -> None:
    """Each thing that was added can be changed and taken away; each answer says what is so now."""
    assert (await told("zones", "add", "Work", "--at", "-1.5,2", "--radius", "150")).code == 0
    assert (await told("zones", "edit", "work", "--exit-radius", "400", "--name", "Office")).out == (
        "Office (work) is 150 m around -1.50000,2.00000, left at 400 m.\n"
    )
    assert (await told("zones", "edit", "office", "--exit-radius", "0")).out.endswith("left at 250 m.\n")
    assert (await told("people", "add", "Bob", "--home", "office")).code == 0
    phone = await told("people", "add-phone", "Pixel", "--person", "bob", "--user", "bob", "--feature", "mqtt:there")
    assert phone.out == "Pixel (pixel) is carried by bob; known by user bob, mqtt:there.\n"
    assert (await told("people", "phone", "pixel", "--device", "p7", "--user", "")).out == (
        "Pixel (pixel) is carried by bob; known by device p7, mqtt:there.\n"
    )
    assert (await told("people", "phone", "pixel", "--nobody")).out.startswith("Pixel (pixel) is nobody's;")
    assert (await told("people", "edit", "bob", "--name", "Robert", "--home", "")).code == 0
    [bob] = (await told("people", "list", "--json")).json()
    assert (bob["name"], bob["home"], bob["why"]) == (
        "Robert",
        None,
        "there is no home yet: `gladys-companion zones add`",
    )
    assert (await told("people", "remove-phone", "pixel", "--yes")).out == "Pixel is forgotten.\n"
    assert (await told("people", "remove", "Robert", "--yes")).out == "Robert is forgotten.\n"
    assert (await told("zones", "remove", "work", "--yes")).out == "Office is forgotten.\n"
    for path in ("people", "zones"):
        assert (await told(path, "list", "--json")).json() == []


async def test_a_passphrase_is_kept_and_never_shown(told: Told) -> None:
    """It is in no listing, and its phone is said to be encrypted."""
    await told("people", "add", "Anna")
    await told("people", "add-phone", "iPhone", "--person", "anna", "--user", "anna")
    given = await told("people", "passphrase", "iphone", "--passphrase", "hush hush")
    assert given.out == "The passphrase of iPhone is kept.\n"
    listed = await told("people", "phones", "--json")
    assert listed.json()[0]["sealed"] is True
    assert "hush" not in listed.out + (await told("people", "phones")).out
    made = (await told("people", "passphrase", "iphone", "--new")).out
    assert re.search(r"encryption key: [\w-]{32}\n", made)
    assert "▀" in made or "█" in made
    assert (await told("people", "passphrase", "iphone", "--remove")).code == 0
    assert (await told("people", "phones", "--json")).json()[0]["sealed"] is False


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ("people", "why", "nobody"),
            65,
            "No person 'nobody' is known here. `people list` shows what is. [PERSON_NOT_FOUND]",
        ),
        (("people", "add", "Ann", "--home", "moon"), 65, "No zone 'moon'"),
        (("people", "edit", "ann"), 64, "Say what is to be otherwise"),
        (("people", "add-phone", "X", "--person", "cleo"), 65, "Say by what the phone is known"),
        (("people", "phone", "x", "--nobody", "--person", "y"), 64, "either somebody's or nobody's"),
        (("people", "passphrase", "x", "--passphrase", "y", "--remove"), 64, "Give one of"),
        (("people", "add", "Cleo"), 65, "There is a person 'cleo' already"),
        (("zones", "add", "Home"), 64, "Say where it is"),
        (("zones", "add", "Home", "--at", "here"), 64, "give latitude and longitude"),
        (("zones", "add", "Home", "--at", "91,0"), 65, "latitude"),
        (("zones", "add", "Home", "--at", "1,2", "--exit-radius", "50"), 65, "less than the radius"),
        (("zones", "add", "Home", "--of", "cleo"), 65, "Nothing is known yet of where cleo is"),
        (("zones", "edit", "park"), 64, "Say what is to be otherwise"),
        (("zones", "edit", "park", "--home"), 65, "House is home already"),
    ],
)
async def test_mistakes_are_told_in_a_sentence(told: Told, arguments: tuple[str, ...], code: int, says: str) -> None:
    """Each says what is wrong, and where one can do something, what."""
    await told("people", "add", "Cleo")
    await told("zones", "add", "House", "--at", "1,1", "--home")
    await told("zones", "add", "Park", "--at", "2,2")
    ended = await told(*arguments)
    assert ended.code == code
    assert says in ended.err


async def test_names_of_all_scripts_have_an_id(told: Told) -> None:
    """Accents are left out, and what has no such letter at all is counted."""
    for name, expected in (("Zoé", "zoe"), ("李", "one-1"), ("Юля", "one-2"), ("Jean-Luc 2", "jean-luc-2")):
        assert (await told("people", "add", name, "--json")).json()["id"] == expected


@OFFLINE
async def test_without_a_daemon_the_database_is_changed(config: str) -> None:
    """What was added then is there when it runs; nothing is lost between two commands."""
    assert (await run(config, "people", "add", "Anna")).code == 0
    assert (await run(config, "zones", "add", "Home", "--at", "1,2", "--home")).code == 0
    [anna] = (await run(config, "people", "list", "--json")).json()
    assert (anna["home"], anna["at_home"], anna["why"]) == ("home", None, "unknown: nothing has been heard yet")
    assert (await run(config, "people", "remove", "anna", "--yes")).code == 0
    devices = (await run(config, "devices", "list", "--json")).json()
    assert devices == []
