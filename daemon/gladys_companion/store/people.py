"""People, what they carry, and zones: rows that come from the configuration, from the user, or from Gladys.

What the configuration says is replaced at each start and can not be changed by command. What came from Gladys is kept
in step with it; what Gladys knows nothing of (Wi-Fi names, exit radius, whose home it is) stays the user's. Every
function is a job on the writer, or a query. Change them through ``presence.PresenceService``, which judges anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.errors import RequestError
from gladys_companion.store.people_rows import (
    LINKS,
    LISTS,
    NEVER_CHANGED,
    OF_GLADYS,
    TABLE,
    Origin,
    Person,
    Phone,
    Row,
    StoredZone,
    known,
    one,
    select,
)

__all__ = [
    "PASSPHRASES",
    "Origin",
    "Person",
    "Phone",
    "StoredZone",
    "keep_only",
    "let_go",
    "merge_phone",
    "people",
    "person",
    "phone",
    "phones",
    "put_person",
    "put_phone",
    "put_zone",
    "remove_person",
    "remove_phone",
    "remove_zone",
    "sealed",
    "witnesses",
    "zone",
    "zones",
]


PASSPHRASES = "presence:phones"  # whose secrets the passphrases of phones are, by phone; no plug-in is called so


def people(database: Database) -> tuple[Person, ...]:
    """Return everybody, by id."""
    return select(database, Person)


def phones(database: Database) -> tuple[Phone, ...]:
    """Return everything that is carried, by id."""
    return select(database, Phone)


def zones(database: Database) -> tuple[StoredZone, ...]:
    """Return all zones, by id."""
    return select(database, StoredZone)


def person(database: Database, person_id: str) -> Person:
    """Return one person.

    Raises:
        RequestError: 404 ``PERSON_NOT_FOUND``.
    """
    return known(database, Person, person_id)


def phone(database: Database, phone_id: str) -> Phone:
    """Return one phone.

    Raises:
        RequestError: 404 ``PHONE_NOT_FOUND``.
    """
    return known(database, Phone, phone_id)


def zone(database: Database, zone_id: str) -> StoredZone:
    """Return one zone.

    Raises:
        RequestError: 404 ``ZONE_NOT_FOUND``.
    """
    return known(database, StoredZone, zone_id)


def sealed(database: Database) -> frozenset[str]:
    """Return the ids of the phones whose passphrase is known."""
    rows = database.conn.execute("SELECT name FROM secrets WHERE owner = ?", (PASSPHRASES,))
    return frozenset(row[0] for row in rows)


def witnesses(database: Database) -> frozenset[str]:
    """Return the external ids of all features that say where somebody is."""
    listed = database.conn.execute("SELECT value FROM phones, json_each(phones.features) WHERE person IS NOT NULL")
    return frozenset(row[0] for row in listed)


def put_person(database: Database, row: Person) -> bool:
    """Add or change a person, as ``put_zone`` does a zone.

    Who is there already under another id as the same user of Gladys, is told what Gladys knows of them.
    """
    if row.origin == "gladys":
        same = select(database, Person, "gladys_user = ? AND origin != 'gladys'", row.gladys_user)
        row = structs.replace(row, id=same[0].id) if same else row
    return _put(database, row)


def put_phone(database: Database, row: Phone) -> bool:
    """Add or change a phone, as ``put_zone`` does a zone; one that was only ``seen`` becomes the user's."""
    return _put(database, row)


def put_zone(database: Database, row: StoredZone) -> bool:
    """Add a zone or change it; return whether anything changed.

    The row's ``origin`` says who wants it: ``toml`` may all; ``gladys`` leaves alone what another wrote, but for what
    it is called in Gladys, and of its own what Gladys knows nothing of; ``user`` may not change what ``toml`` says, nor
    what Gladys knows.

    Raises:
        RequestError: 409 ``KEPT_IN_CONFIGURATION`` or ``KEPT_IN_GLADYS``: it has to be changed there.
    """
    return _put(database, row)


def _put(database: Database, row: Row) -> bool:
    type_ = type(row)
    table, _ = TABLE[type_]
    before = one(database, type_, row.id)
    if before is not None:
        kept = NEVER_CHANGED & set(row.__struct_fields__)
        row = structs.replace(row, **{name: getattr(before, name) for name in kept})
        row = _merged(before, row, OF_GLADYS[table])
        if row == before:
            return False
    values = [
        msgspec.json.encode(value).decode() if name in LISTS else value for name, value in structs.asdict(row).items()
    ]
    names, marks = ", ".join(row.__struct_fields__), ", ".join("?" for _ in values)
    database.conn.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", values)
    return True


def _merged(row: Row, wanted: Row, of_gladys: frozenset[str]) -> Row:
    """Return what a row becomes when somebody wants it otherwise."""
    if wanted.origin == "gladys":
        if row.origin != "gladys":
            return _linked(row, wanted)
        return structs.replace(row, **{name: getattr(wanted, name) for name in of_gladys})
    if wanted.origin == "toml":
        return _linked(wanted, row)
    refuse_configured(row)
    if row.origin == "gladys":
        changed = next((name for name in sorted(of_gladys) if getattr(row, name) != getattr(wanted, name)), None)
        if changed is not None:
            sentence = f"{row.name} comes from Gladys: change its {changed} there."
            raise RequestError(409, "KEPT_IN_GLADYS", sentence, field=changed)
        return structs.replace(wanted, origin="gladys")
    return wanted


def _linked(row: Row, known: Row) -> Row:
    """Return a row that says who or what it is in Gladys, where only the other one does."""
    links = LINKS & set(row.__struct_fields__)
    if any(None not in (pair := (getattr(row, name), getattr(known, name))) and pair[0] != pair[1] for name in links):
        return row  # somebody else
    return structs.replace(row, **{name: getattr(known, name) for name in links if getattr(row, name) is None})


def refuse_configured(row: Person | Phone | StoredZone) -> None:
    """Refuse to change what the configuration says.

    Raises:
        RequestError: 409 ``KEPT_IN_CONFIGURATION``.
    """
    if row.origin == "toml":
        table, _ = TABLE[type(row)]
        where = f"[{table}.{row.id}]" if table != "phones" else f"phones.{row.id}"
        sentence = f"{row.name} stands in the configuration ({where}): change it there, and restart."
        raise RequestError(409, "KEPT_IN_CONFIGURATION", sentence, field="id")


def _refuse_removal(row: Person | StoredZone | Phone) -> None:
    refuse_configured(row)
    if row.origin == "gladys":
        raise RequestError(409, "KEPT_IN_GLADYS", f"{row.name} comes from Gladys: remove it there.", field="id")


def remove_person(database: Database, person_id: str) -> None:
    """Forget a person with all that is known of where they were; their phones are nobody's then.

    Raises:
        RequestError: 404; 409 when they stand in the configuration or in Gladys.
    """
    _refuse_removal(known(database, Person, person_id))
    _forget(database, "people", [person_id])


def remove_phone(database: Database, phone_id: str) -> None:
    """Forget a phone and its positions. Its next message makes it known again, as nobody's.

    Raises:
        RequestError: 404; 409 when it stands in the configuration.
    """
    _refuse_removal(known(database, Phone, phone_id))
    _forget(database, "phones", [phone_id])


def merge_phone(database: Database, phone_id: str, into: str) -> None:
    """Make a phone that was only seen the one that somebody announced, with all that is known of it."""
    execute = database.conn.execute
    execute("UPDATE OR IGNORE positions SET phone = ? WHERE phone = ?", (into, phone_id))
    execute("UPDATE kept SET phone = ? WHERE phone = ?", (into, phone_id))
    execute("UPDATE OR IGNORE secrets SET name = ? WHERE owner = ? AND name = ?", (into, PASSPHRASES, phone_id))
    _forget(database, "phones", [phone_id])


def remove_zone(database: Database, zone_id: str) -> None:
    """Forget a zone.

    Raises:
        RequestError: 404; 409 when it stands in the configuration or in Gladys.
    """
    _refuse_removal(known(database, StoredZone, zone_id))
    _forget(database, "zones", [zone_id])


def keep_only(database: Database, origin: Origin, ids: Iterable[str], table: str) -> bool:
    """Forget those rows of an origin (of ``people``, ``phones`` or ``zones``) that are there no more.

    What is known of where people were stays, in case they come back. Returns whether there were any.
    """
    kept: Collection[str] = set(ids)
    rows = database.conn.execute(f"SELECT id FROM {_checked(table)} WHERE origin = ?", (origin,)).fetchall()
    gone = [row[0] for row in rows if row[0] not in kept]
    database.conn.executemany(f"DELETE FROM {_checked(table)} WHERE id = ?", [(one,) for one in gone])
    if table == "people":
        database.conn.executemany("UPDATE phones SET person = NULL WHERE person = ?", [(one,) for one in gone])
    if table == "zones":
        database.conn.executemany(
            "UPDATE people SET home = NULL WHERE home = ? AND origin != 'toml'", [(one,) for one in gone]
        )
    return bool(gone)


def let_go(database: Database) -> None:
    """Make what came from Gladys the user's own, to be changed and removed here."""
    for table in ("people", "zones"):
        database.conn.execute(f"UPDATE {table} SET origin = 'user' WHERE origin = 'gladys'")


def _checked(table: str) -> str:
    if table not in OF_GLADYS:
        raise ValueError(table)
    return table


def _forget(database: Database, table: str, ids: Iterable[str]) -> None:
    owned = {
        "people": (
            "UPDATE phones SET person = NULL WHERE person = ?",
            "DELETE FROM presence WHERE person = ?",
            "DELETE FROM decisions WHERE person = ?",
            "DELETE FROM positions WHERE person = ?",
        ),
        "phones": (
            "DELETE FROM positions WHERE phone = ?",
            "DELETE FROM kept WHERE phone = ?",
            f"DELETE FROM secrets WHERE owner = '{PASSPHRASES}' AND name = ?",
        ),
        "zones": ("DELETE FROM decisions WHERE zone = ?", "UPDATE people SET home = NULL WHERE home = ?"),
    }
    for statement in (*owned[table], f"DELETE FROM {_checked(table)} WHERE id = ?"):
        database.conn.executemany(statement, [(one,) for one in ids])
