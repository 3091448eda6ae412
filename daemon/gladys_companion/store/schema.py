"""The daemon's tables, as numbered migrations. Their meaning is written up in ``docs/reference/database.md``.

A released migration is never edited; a new one is added. A backup is made before one runs on a file in use.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

__all__ = ["MIGRATIONS"]

MIGRATIONS = Migrations("gladys-companion")


@MIGRATIONS(name="0001-spine")
def _spine(database: Database) -> None:
    for statement in _SPINE.split(";\n"):
        database.execute(statement)


@MIGRATIONS(name="0002-shares")
def _shares(database: Database) -> None:
    database.execute(_SHARES)


@MIGRATIONS(name="0004-sent")
def _sent(database: Database) -> None:
    database.execute("ALTER TABLE deliveries ADD COLUMN sent INTEGER NOT NULL DEFAULT 0")


_SHARES = """
CREATE TABLE shares (              -- devices of ours that Gladys was given
  device TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
  way TEXT NOT NULL,               -- rest: created there; mqtt: announced over MQTT, and added by its user
  at REAL NOT NULL
) WITHOUT ROWID
"""

_SPINE = """
CREATE TABLE events (              -- the journal: everything that came in, in the order it came in
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,         -- the gateway's, else minted at intake
  kind TEXT NOT NULL,              -- state, location, transition, presence, message, signal
  state TEXT NOT NULL,             -- planned, unbound, rejected, quarantined
  origin TEXT NOT NULL,            -- gateway, local, gladys, or a driver's name
  external_id TEXT,                -- as the sender wrote it
  feature TEXT,                    -- external id of the feature it means
  value REAL, text TEXT,
  at REAL NOT NULL,                -- when it happened, seconds since the epoch
  received_at REAL NOT NULL,       -- when it was committed here
  dated INTEGER NOT NULL,          -- 1: the sender named the time itself
  deadline REAL NOT NULL,          -- boot clock of "boot": after it the event is late
  boot TEXT NOT NULL,
  key_id TEXT, key_name TEXT,      -- the phone's key at the gateway
  cause TEXT,                      -- id of the event it was derived from
  body TEXT,                       -- JSON, of kinds that are not states
  refusal TEXT,                    -- JSON of what the sender was told
  warning TEXT,
  untold INTEGER NOT NULL DEFAULT 0 -- how often its receipt changed since the gateway was told
);
CREATE INDEX events_waiting ON events (external_id, seq) WHERE state = 'unbound';
CREATE INDEX events_untold ON events (seq) WHERE untold > 0;
CREATE TABLE deliveries (          -- one event on its way to one target
  event INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  target TEXT NOT NULL,
  lane TEXT NOT NULL,              -- keeps the order: one per device, one per other target
  feature TEXT,
  state TEXT NOT NULL,             -- pending, sending, delivered, verified, superseded, expired, rejected, unknown
  reason TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  under_way INTEGER NOT NULL DEFAULT 0, -- 1: an attempt began and did not end
  retry_at REAL NOT NULL DEFAULT 0,     -- boot clock
  settled_at REAL,
  PRIMARY KEY (event, target)
) WITHOUT ROWID;
CREATE INDEX deliveries_waiting ON deliveries (lane, event) WHERE state IN ('pending', 'sending');
CREATE TABLE devices (
  id TEXT PRIMARY KEY,             -- driver:identity, or the external id a user gave
  driver TEXT NOT NULL,
  name TEXT NOT NULL,
  named_by_user INTEGER NOT NULL DEFAULT 0,
  model TEXT NOT NULL DEFAULT '',
  host TEXT, address TEXT, port INTEGER,
  seen_at REAL, away_since REAL,
  created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE features (
  id INTEGER PRIMARY KEY,
  external_id TEXT NOT NULL UNIQUE,
  device TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  category TEXT NOT NULL, type TEXT NOT NULL, unit TEXT,
  min REAL, max REAL,
  writable INTEGER NOT NULL, keep_history INTEGER NOT NULL,
  value REAL, text TEXT, value_at REAL, value_event INTEGER -- the last one, by when it happened
);
CREATE INDEX features_device ON features (device);
CREATE TABLE history (             -- every value of a feature, by when it happened
  feature INTEGER NOT NULL REFERENCES features (id) ON DELETE CASCADE,
  at REAL NOT NULL,
  event INTEGER NOT NULL,
  value REAL, text TEXT,
  PRIMARY KEY (feature, at, event)
) WITHOUT ROWID;
CREATE TABLE aliases (             -- another external id of a feature
  alias TEXT PRIMARY KEY,
  external_id TEXT NOT NULL,
  created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE exposures (           -- what may be commanded from outside, and by which key ('*': every)
  external_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  PRIMARY KEY (external_id, key_id)
) WITHOUT ROWID;
CREATE TABLE secrets (             -- pairings and tokens; in no listing
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (owner, name)
) WITHOUT ROWID
"""
