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


@MIGRATIONS(name="0003-presence")
def _presence(database: Database) -> None:
    for statement in _PRESENCE.split(";\n"):
        database.execute(statement)


@MIGRATIONS(name="0004-signals")
def _signals(database: Database) -> None:
    database.execute("CREATE INDEX events_signals ON events (external_id, at) WHERE kind = 'signal'")


@MIGRATIONS(name="0005-sent")
def _sent(database: Database) -> None:
    database.execute("ALTER TABLE deliveries ADD COLUMN sent INTEGER NOT NULL DEFAULT 0")


@MIGRATIONS(name="0006-relayed")
def _relayed(database: Database) -> None:
    database.execute("ALTER TABLE events ADD COLUMN relayed TEXT")
    for trigger in _FORGET_RELAYED:
        database.execute(trigger)


@MIGRATIONS(name="0007-settings")
def _settings(database: Database) -> None:
    database.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL, changed_at REAL NOT NULL)")


_FORGET_RELAYED = tuple(
    f"CREATE TRIGGER relayed_{name} AFTER {moment} ON deliveries "
    "WHEN NEW.target = 'inline' AND NEW.state NOT IN ('pending', 'sending') "
    "BEGIN UPDATE events SET relayed = NULL WHERE seq = NEW.event; END"
    for name, moment in (("planned", "INSERT"), ("settled", "UPDATE OF state"))
)

_PRESENCE = """
CREATE TABLE people (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  home TEXT,                       -- id of the zone that is this person's home
  gladys_user TEXT,                -- selector of the user in Gladys,
  gladys_user_id TEXT,             -- and its id, which Gladys Plus calls it by
  gladys_house TEXT,               -- selector of the house that the user lives in
  origin TEXT NOT NULL,            -- toml, user, gladys
  created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE phones (              -- what people carry, by the names that it calls itself
  id TEXT PRIMARY KEY,
  person TEXT,                     -- NULL: nobody's yet
  name TEXT NOT NULL,
  app TEXT, user TEXT, device TEXT, key_id TEXT, -- NULL: any; empty: none
  features TEXT NOT NULL,          -- JSON: external ids of features that say whether it is at home
  devices TEXT NOT NULL,           -- JSON: ids of devices that are this thing as mDNS sees it
  origin TEXT NOT NULL,            -- toml, user, or seen: made by its first message
  created_at REAL NOT NULL,
  heard_at REAL,                   -- its newest message
  zones_sent TEXT                  -- digest of the zones that it was last sent
) WITHOUT ROWID;
CREATE TABLE zones (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  latitude REAL NOT NULL, longitude REAL NOT NULL,
  radius REAL NOT NULL,            -- metres
  exit_radius REAL,                -- metres; NULL: by rule
  home INTEGER NOT NULL,           -- 1: the home of whoever names no other
  networks TEXT NOT NULL,          -- JSON: Wi-Fi that reaches no farther
  gladys TEXT,                     -- house:selector or area:selector that it was imported from
  origin TEXT NOT NULL,            -- toml, user, gladys
  made_at REAL NOT NULL            -- phones know a zone by it
) WITHOUT ROWID;
CREATE TABLE positions (
  phone TEXT NOT NULL,
  key TEXT NOT NULL,               -- the same for the same position sent again
  at REAL NOT NULL,                -- by the phone
  person TEXT,
  received_at REAL NOT NULL,       -- by the gateway
  latitude REAL NOT NULL, longitude REAL NOT NULL,
  accuracy REAL, altitude REAL, vertical_accuracy REAL, -- metres
  speed REAL,                      -- metres per second
  course REAL,                     -- degrees
  battery REAL,                    -- percent
  told INTEGER NOT NULL,           -- 1: it became the person's position
  note TEXT,                       -- why it did not
  event TEXT NOT NULL,             -- id of the event that it came with
  PRIMARY KEY (phone, key, at)
) WITHOUT ROWID;
CREATE INDEX positions_at ON positions (at);
CREATE INDEX positions_told ON positions (person, at) WHERE told = 1;
CREATE TABLE presence (            -- what is known of where a person is, to go on from
  person TEXT PRIMARY KEY,
  state BLOB NOT NULL,
  wake REAL                        -- when something changes by itself
) WITHOUT ROWID;
CREATE TABLE decisions (
  event TEXT PRIMARY KEY,          -- id of the event that it became
  person TEXT NOT NULL, zone TEXT NOT NULL,
  state TEXT NOT NULL,             -- in, out, unknown
  since REAL NOT NULL,
  decided REAL NOT NULL,           -- when it was sure
  known_at REAL NOT NULL,          -- when it became known here
  late INTEGER NOT NULL,           -- 1: history only
  reason TEXT NOT NULL,
  evidence TEXT NOT NULL,          -- JSON: ids of events
  source TEXT                      -- the phone that shows it
) WITHOUT ROWID;
CREATE INDEX decisions_of ON decisions (person, known_at);
CREATE TABLE kept (                -- what can be used when its owner has said more
  event TEXT PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
  phone TEXT NOT NULL,
  why TEXT NOT NULL                -- sealed: its passphrase is not known; nobody: whose phone it is is not known
) WITHOUT ROWID
"""

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
  origin TEXT NOT NULL,            -- gateway, local, gladys, presence, signals, or a driver's name
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
