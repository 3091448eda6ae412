"""Rows of people, phones and zones: who may change what, and what is kept when somebody else knows better."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.errors import RequestError
from gladys_companion.store import people
from gladys_companion.store.people import Person, Phone, StoredZone
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.snapshot import load_snapshot

HOME = StoredZone(
    id="home", name="Home", latitude=0.0, longitude=-1.5, radius=80, networks=("our wifi",), home=True, made_at=5.0
)
ANNA = Person(id="anna", name="Anna", gladys_user="anna", created_at=5.0)
IPHONE = Phone(id="iphone", name="Anna's", person="anna", user="anna", features=("mqtt:there",), devices=("wled:a",))


@pytest.fixture
def database() -> Iterator[Database]:
    connection = sqlite3.connect(":memory:")
    database = Database(connection)
    MIGRATIONS.apply(database)
    yield database
    connection.close()


def refusal(call: Any, *arguments: Any) -> tuple[int, str]:  # noqa: ANN401 - any of the functions
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    assert str(caught.value).endswith(".")
    return caught.value.status, caught.value.code


def test_rows_come_back_as_they_were(database: Database) -> None:
    """Every field of each kind is kept, and a second time nothing changes."""
    puts: list[tuple[Any, object]] = [(people.put_zone, HOME), (people.put_person, ANNA), (people.put_phone, IPHONE)]
    for put, row in puts:
        assert put(database, row)
        assert not put(database, row)
    assert people.zones(database) == (HOME,)
    assert people.people(database) == (ANNA,)
    assert people.phones(database) == (IPHONE,)
    assert (people.zone(database, "home"), people.person(database, "anna")) == (HOME, ANNA)
    assert people.phone(database, "iphone").device_id == "phone:iphone"


def test_what_is_not_there_is_said(database: Database) -> None:
    """Each kind has its own code."""
    assert refusal(people.zone, database, "x") == (404, "ZONE_NOT_FOUND")
    assert refusal(people.person, database, "x") == (404, "PERSON_NOT_FOUND")
    assert refusal(people.remove_phone, database, "x") == (404, "PHONE_NOT_FOUND")


def test_the_configuration_has_the_last_word(database: Database) -> None:
    """It replaces what the user or Gladys wrote, and neither changes or removes what it says."""
    people.put_zone(database, HOME)
    configured = structs.replace(HOME, name="Our house", origin="toml", made_at=99.0)
    assert people.put_zone(database, configured)
    assert people.zone(database, "home").made_at == 5.0  # phones know it by that
    assert refusal(people.put_zone, database, HOME) == (409, "KEPT_IN_CONFIGURATION")
    assert refusal(people.remove_zone, database, "home") == (409, "KEPT_IN_CONFIGURATION")
    assert not people.put_zone(database, structs.replace(HOME, origin="gladys"))
    assert people.zone(database, "home").name == "Our house"
    assert people.keep_only(database, "toml", [], "zones")
    assert people.zones(database) == ()


def test_gladys_keeps_in_step_what_it_knows(database: Database) -> None:
    """The user adds what Gladys has no field for; the next sync moves the zone and leaves that alone."""
    theirs = structs.replace(HOME, origin="gladys", networks=(), gladys="house:home")
    people.put_zone(database, theirs)
    assert people.put_zone(database, structs.replace(theirs, origin="user", networks=("ours",), exit_radius=300.0))
    assert refusal(people.put_zone, database, structs.replace(theirs, origin="user", radius=1)) == (
        409,
        "KEPT_IN_GLADYS",
    )
    assert people.put_zone(database, structs.replace(theirs, latitude=7.0))
    assert people.zone(database, "home") == structs.replace(theirs, latitude=7.0, networks=("ours",), exit_radius=300.0)
    assert refusal(people.remove_zone, database, "home") == (409, "KEPT_IN_GLADYS")
    assert people.keep_only(database, "gladys", ["another"], "zones")


def test_gladys_leaves_alone_what_the_user_wrote(database: Database) -> None:
    """Who wrote a zone of the same id means theirs."""
    people.put_zone(database, HOME)
    assert not people.put_zone(database, structs.replace(HOME, origin="gladys", radius=1))
    assert people.zone(database, "home") == HOME


def test_gladys_says_who_somebody_is_there(database: Database) -> None:
    """A person of the file is linked with the user of the same id or selector, also after the file was read again."""
    mum = Person(id="mum", name="Mum", origin="toml", gladys_user="anna")
    theirs = Person(
        id="anna", name="Anna R", origin="gladys", gladys_user="anna", gladys_user_id="u-1", gladys_house="h"
    )
    people.put_person(database, mum)
    for _ in range(2):
        people.put_person(database, theirs)
        linked = structs.replace(mum, gladys_user_id="u-1", gladys_house="h")
        assert people.people(database) == (linked,)
        people.put_person(database, mum)
        assert people.people(database) == (linked,)
    other = structs.replace(mum, gladys_user="berta")
    people.put_person(database, other)
    assert people.person(database, "mum") == other  # what was known was of another user
    people.put_zone(database, HOME)
    people.put_zone(database, structs.replace(HOME, origin="gladys", radius=1, gladys="house:home"))
    assert people.zone(database, "home") == structs.replace(HOME, gladys="house:home")


def test_a_phone_that_was_only_seen_becomes_somebodys(database: Database) -> None:
    """The user's word replaces what its first message made; when it was heard stays."""
    people.put_phone(database, structs.replace(IPHONE, origin="seen", person=None, heard_at=8.0))
    people.put_phone(database, IPHONE)
    assert people.phone(database, "iphone") == structs.replace(IPHONE, heard_at=8.0)


def test_who_is_forgotten_leaves_nothing_behind(database: Database) -> None:
    """Positions, decisions and state of a person go with them; the phone stays, as nobody's."""
    people.put_person(database, ANNA)
    people.put_phone(database, IPHONE)
    execute = database.conn.execute
    execute(
        "INSERT INTO positions (phone, key, at, person, received_at, latitude, longitude, told, event) "
        "VALUES ('iphone', 'k', 1, 'anna', 1, 0, 0, 1, 'e')"
    )
    execute("INSERT INTO presence VALUES ('anna', '{}', NULL)")
    execute("INSERT INTO decisions VALUES ('e', 'anna', 'home', 'in', 1, 1, 1, 0, 'why', '[]', NULL)")
    people.remove_person(database, "anna")
    for table in ("people", "positions", "presence", "decisions"):
        assert execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table  # noqa: S608 - names of ours
    assert people.phone(database, "iphone").person is None


def test_who_is_no_longer_configured_may_come_back(database: Database) -> None:
    """A person that vanished from the file by mistake finds what was known of them again."""
    people.put_person(database, structs.replace(ANNA, origin="toml"))
    people.put_phone(database, IPHONE)
    database.conn.execute("INSERT INTO presence VALUES ('anna', '{}', NULL)")
    assert people.keep_only(database, "toml", [], "people")
    assert people.phone(database, "iphone").person is None
    assert database.conn.execute("SELECT count(*) FROM presence").fetchone() == (1,)


def test_only_features_of_somebodys_phone_are_evidence(database: Database) -> None:
    """The registry's snapshot has them, so that plan() sends them to presence."""
    people.put_phone(database, structs.replace(IPHONE, person=None))
    assert load_snapshot(database).witnesses == frozenset()
    people.put_person(database, ANNA)
    people.put_phone(database, IPHONE)
    assert load_snapshot(database).witnesses == {"mqtt:there"}
