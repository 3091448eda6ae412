"""By what each person is judged: zones, homes and options; and what the configuration says of people. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gladys_companion.config import Config, Presence
from gladys_companion.presence.rules import LEAST_MARGIN, MARGIN, Rules, Zone
from gladys_companion.store.people import Person, Phone, StoredZone

__all__ = ["Configured", "Rulebook", "configured", "home_of", "machine_timezone"]

_KMH = 3.6


class Rulebook(NamedTuple):
    """The options of ``[presence]``, and the IANA name of the time zone that reasons are written in."""

    options: Presence
    timezone: str

    def rules(self, person: Person, zones: Sequence[StoredZone], phones: Iterable[Phone]) -> Rules:
        """Return by what a person is judged, who carries these phones."""
        options, home = self.options, home_of(person, zones)
        return Rules(
            zones=tuple(self.zone(zone, home=home is not None and zone.id == home.id) for zone in zones),
            accuracy_gate=options.accuracy_gate,
            enter_dwell=options.enter_dwell,
            leave_dwell=options.leave_dwell,
            max_speed=options.max_speed / _KMH,
            stale_after=options.stale_after,
            sources={phone.id: phone.name for phone in phones},
            timezone=self.timezone,
        )

    def zone(self, zone: StoredZone, *, home: bool = False) -> Zone:
        """Return a zone with the exit radius that counts."""
        exit_radius = zone.exit_radius
        if exit_radius is None and self.options.exit_margin != LEAST_MARGIN:
            exit_radius = zone.radius + max(self.options.exit_margin, zone.radius * MARGIN)
        return Zone(
            id=zone.id,
            name=zone.name,
            latitude=zone.latitude,
            longitude=zone.longitude,
            radius=zone.radius,
            exit_radius=exit_radius,
            home=home,
            networks=zone.networks,
        )


def home_of(person: Person, zones: Iterable[StoredZone]) -> StoredZone | None:
    """Return the zone that is a person's home: the one they name, else the one that is home for all."""
    if person.home is not None:
        return next((zone for zone in zones if zone.id == person.home), None)
    house = f"house:{person.gladys_house}"
    return next((zone for zone in zones if zone.gladys == house), None) or next(
        (zone for zone in zones if zone.home), None
    )


class Configured(NamedTuple):
    """What the configuration says of people, as rows."""

    people: tuple[Person, ...]
    phones: tuple[Phone, ...]
    zones: tuple[StoredZone, ...]


def configured(config: Config, now: float) -> Configured:
    """Return the people, phones and zones that the configuration names."""
    people = tuple(
        Person(
            id=name,
            name=options.name or name.capitalize(),
            origin="toml",
            home=options.home or None,
            gladys_user=options.gladys_user or None,
            gladys_house=options.gladys_house or None,
            created_at=now,
        )
        for name, options in config.people.items()
    )
    phones = tuple(
        Phone(
            id=phone,
            name=options.name or phone,
            person=name,
            app=options.app or None,
            user=options.user or None,
            device=options.device or None,
            key_id=options.key or None,
            features=options.features,
            devices=options.devices,
            origin="toml",
            created_at=now,
        )
        for name, person in config.people.items()
        for phone, options in person.phones.items()
    )
    zones = tuple(
        StoredZone(
            id=name,
            name=options.name or name.capitalize(),
            latitude=options.latitude,
            longitude=options.longitude,
            radius=options.radius,
            exit_radius=options.exit_radius or None,
            home=options.home,
            networks=options.networks,
            origin="toml",
            made_at=now,
        )
        for name, options in config.zones.items()
    )
    return Configured(people, phones, zones)


def machine_timezone() -> str:
    """Return the IANA name of this machine's time zone, UTC where it can not be told. Reads files."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if not named or named.startswith("/"):
        named = str(Path("/etc/localtime").resolve()).rpartition("/zoneinfo/")[2]
    try:
        return ZoneInfo(named).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
