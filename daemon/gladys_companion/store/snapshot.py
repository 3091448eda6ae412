"""The registry's tables as one frozen value, and its rows as devices and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlite_utils import Database

from gladys_companion.model import Device, Feature, RegistrySnapshot
from gladys_companion.store.people import witnesses

__all__ = ["DEVICES", "load_snapshot", "read_device"]

DEVICES = "SELECT id, driver, name, model, host, address, port, seen_at, away_since FROM devices"
FEATURES = "SELECT external_id, device, name, category, type, unit, min, max, writable, keep_history FROM features"


def read_device(row: Sequence[Any]) -> Device:
    """Return the device of a row of ``DEVICES``."""
    return Device(**dict(zip(Device.__struct_fields__, row, strict=True)))


def _feature(row: Sequence[Any]) -> Feature:
    fields = dict(zip(Feature.__struct_fields__, row, strict=True))
    return Feature(**{**fields, "writable": bool(fields["writable"]), "keep_history": bool(fields["keep_history"])})


def load_snapshot(
    database: Database,
    targets: tuple[str, ...] = (),
    signals: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> RegistrySnapshot:
    """Return the registry as the tables have it; the open sinks and the known signals are no part of those."""
    rows = database.conn.execute
    exposed: dict[str, frozenset[str]] = {}
    for external_id, key_id in rows("SELECT external_id, key_id FROM exposures"):
        exposed[external_id] = exposed.get(external_id, frozenset()) | {key_id}
    return RegistrySnapshot(
        devices={row[0]: read_device(row) for row in rows(DEVICES)},
        features={row[0]: _feature(row) for row in rows(FEATURES)},
        aliases=dict(rows("SELECT alias, external_id FROM aliases").fetchall()),
        exposed=exposed,
        targets=targets,
        shared=dict(rows("SELECT device, way FROM shares").fetchall()),
        witnesses=witnesses(database),
        signals=signals,
    )
