"""People, what they carry, and zones as values, and their rows read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from gladys_companion.errors import RequestError

__all__ = [
    "LINKS",
    "LISTS",
    "NEVER_CHANGED",
    "OF_GLADYS",
    "TABLE",
    "Origin",
    "Person",
    "Phone",
    "Row",
    "StoredZone",
    "known",
    "one",
    "select",
]

Origin = Literal["toml", "user", "gladys", "seen"]


class Person(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person; ``home`` is the id of a zone. In Gladys: selector and id of the user, selector of the user's house."""

    id: str
    name: str
    origin: Origin = "user"
    home: str | None = None
    gladys_user: str | None = None
    gladys_user_id: str | None = None
    gladys_house: str | None = None
    created_at: float = 0.0


class Phone(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A thing that a person carries (None: it is nobody's yet), known by what it calls itself: None is any, "" none.

    ``features``: external ids that say whether it is at home. ``devices``: ids of devices that are this thing as mDNS
    sees it. Of origin ``seen``: made by its first message. Times are seconds since the epoch.
    """

    id: str
    name: str
    person: str | None = None
    app: str | None = None
    user: str | None = None
    device: str | None = None
    key_id: str | None = None
    features: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    origin: Origin = "user"
    created_at: float = 0.0
    heard_at: float | None = None
    zones_sent: str | None = None

    @property
    def device_id(self) -> str:
        """Id of its virtual device."""
        return f"phone:{self.id}"


class StoredZone(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A circle on the earth, in degrees and metres; without an exit radius the rule decides.

    ``home``: the home of whoever names no other. ``networks``: Wi-Fi names that reach no farther. ``gladys``:
    ``house:selector`` or ``area:selector`` that it was imported from.
    """

    id: str
    name: str
    latitude: float
    longitude: float
    radius: float
    exit_radius: float | None = None
    home: bool = False
    networks: tuple[str, ...] = ()
    gladys: str | None = None
    origin: Origin = "user"
    made_at: float = 0.0


Row = TypeVar("Row", Person, Phone, StoredZone)

TABLE: dict[type[Struct], tuple[str, str]] = {
    Person: ("people", "person"),
    Phone: ("phones", "phone"),
    StoredZone: ("zones", "zone"),
}
LISTS = frozenset({"features", "devices", "networks"})
OF_GLADYS = {
    "people": frozenset({"name", "gladys_user", "gladys_user_id", "gladys_house"}),
    "zones": frozenset({"name", "latitude", "longitude", "radius", "gladys"}),
    "phones": frozenset[str](),
}
LINKS = frozenset({"gladys_user", "gladys_user_id", "gladys_house", "gladys"})  # what a row of ours is in Gladys
NEVER_CHANGED = frozenset({"created_at", "made_at", "heard_at", "zones_sent"})


def _read(type_: type[Row], columns: Sequence[Any]) -> Row:
    fields = dict(zip(type_.__struct_fields__, columns, strict=True))
    for name in LISTS & fields.keys():
        fields[name] = tuple(msgspec.json.decode(fields[name]))
    if "radius" in fields:
        fields["home"] = bool(fields["home"])
    return type_(**fields)


def select(database: Database, type_: type[Row], where: str = "1", *values: object) -> tuple[Row, ...]:
    """Return rows by id; ``where`` is SQL of ours."""
    columns, (table, _) = ", ".join(type_.__struct_fields__), TABLE[type_]
    rows = database.conn.execute(f"SELECT {columns} FROM {table} WHERE {where} ORDER BY id", values)
    return tuple(_read(type_, row) for row in rows)


def one(database: Database, type_: type[Row], row_id: str) -> Row | None:
    """Return the row of that id."""
    return next(iter(select(database, type_, "id = ?", row_id)), None)


def known(database: Database, type_: type[Row], row_id: str) -> Row:
    """Return the row of that id.

    Raises:
        RequestError: 404 when there is none.
    """
    found = one(database, type_, row_id)
    if found is None:
        what = TABLE[type_][1]
        raise RequestError(404, f"{what.upper()}_NOT_FOUND", f"No {what} {row_id[:80]!r} is known here.", field="id")
    return found
