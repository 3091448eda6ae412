"""The gateway's tables, as numbered migrations. Their meaning is written up in ``docs/reference/database.md``.

A released migration is never edited; a new one is added. A backup is made before one runs on a file in use.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

__all__ = ["MIGRATIONS"]

MIGRATIONS = Migrations("gladys-companion-gateway")


@MIGRATIONS(name="0001-relay")
def _relay(database: Database) -> None:
    for statement in _RELAY.split(";\n"):
        database.execute(statement)


@MIGRATIONS(name="0002-logins")
def _logins(database: Database) -> None:
    for statement in _LOGINS.split(";\n"):
        database.execute(statement)


@MIGRATIONS(name="0003-events-of-a-key")
def _events_of_a_key(database: Database) -> None:
    database.execute("CREATE INDEX events_key ON events (key_id, seq)")


@MIGRATIONS(name="0004-admins")
def _admins(database: Database) -> None:
    database.execute(_ADMINS)


_ADMINS = """
CREATE TABLE admins (              -- who may use the pages
  name TEXT PRIMARY KEY,
  password TEXT NOT NULL,          -- argon2id
  created_at REAL NOT NULL
) WITHOUT ROWID
"""

_LOGINS = """
ALTER TABLE instances ADD COLUMN rsa_public_key TEXT;
ALTER TABLE instances ADD COLUMN ecdsa_public_key TEXT;
CREATE TABLE logins (              -- of a home's one user, in a Gladys that asks for e-mail and password
  email TEXT PRIMARY KEY,
  home_id TEXT NOT NULL UNIQUE REFERENCES homes (id) ON DELETE CASCADE,
  language TEXT NOT NULL,
  srp_salt TEXT NOT NULL, srp_verifier TEXT NOT NULL, -- what is kept in the place of the password
  rsa_encrypted_private_key TEXT NOT NULL, ecdsa_encrypted_private_key TEXT NOT NULL, -- only the password opens them
  two_factor_secret TEXT,
  two_factor_since REAL,           -- NULL: not set up yet
  two_factor_step INTEGER NOT NULL, -- of the last code that was used
  created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE devices (             -- where somebody is logged in
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL REFERENCES logins (email) ON DELETE CASCADE,
  name TEXT NOT NULL,
  token_digest BLOB NOT NULL UNIQUE, -- SHA-256 of its refresh token
  created_at REAL NOT NULL,
  last_seen REAL NOT NULL,
  revoked_at REAL
) WITHOUT ROWID
"""


# All times are seconds since the epoch, unless said otherwise.
_RELAY = """
CREATE TABLE homes (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  user_id TEXT NOT NULL,           -- its one user: sender_id of a message
  user_name TEXT NOT NULL,
  gladys_user_id TEXT,             -- that user's id in Gladys at home: local_user_id of a message
  rsa_public_key TEXT, ecdsa_public_key TEXT, -- JWK, of a user with a dashboard
  primary_instance TEXT,           -- the one that messages go to
  created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE instances (           -- a Gladys or a companion that may connect
  id TEXT PRIMARY KEY,
  home_id TEXT NOT NULL REFERENCES homes (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  token_digest BLOB NOT NULL UNIQUE, -- SHA-256 of its refresh token
  created_at REAL NOT NULL,
  last_seen REAL,
  revoked_at REAL
) WITHOUT ROWID;
CREATE INDEX instances_home ON instances (home_id);
CREATE TABLE keys (                -- of phones
  id TEXT PRIMARY KEY,
  home_id TEXT NOT NULL REFERENCES homes (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,            -- JSON array of state, location, event, message
  allowed_ids TEXT,                -- JSON array of external ids; NULL: all
  created_at REAL NOT NULL,
  expires_at REAL,
  revoked_at REAL,
  last_used REAL
) WITHOUT ROWID;
CREATE INDEX keys_home ON keys (home_id);
CREATE TABLE key_secrets (         -- what a key was and is known by; two at a time while it rotates
  id INTEGER PRIMARY KEY,          -- the newest has the highest
  digest BLOB NOT NULL UNIQUE,     -- SHA-256
  key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  prefix TEXT NOT NULL,            -- first 6 characters
  created_at REAL NOT NULL,
  used_at REAL,                    -- first use, which ends the others
  ends_at REAL                     -- from then on it opens nothing
);
CREATE INDEX key_secrets_key ON key_secrets (key_id);
CREATE TABLE pair_codes (          -- one per home at most
  home_id TEXT PRIMARY KEY REFERENCES homes (id) ON DELETE CASCADE,
  lookup TEXT NOT NULL,            -- first half of the code
  digest BLOB NOT NULL,            -- SHA-256 of the whole
  expires_at REAL NOT NULL,
  tries_left INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE signing_secret (      -- what access tokens are signed with; never leaves the gateway
  id INTEGER PRIMARY KEY CHECK (id = 1),
  secret BLOB NOT NULL,
  created_at REAL NOT NULL
);
CREATE TABLE events (              -- what phones posted: held until settled, then remembered without its body
  seq INTEGER PRIMARY KEY,         -- order of arrival
  id TEXT NOT NULL UNIQUE,
  home_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  action TEXT NOT NULL,
  order_key TEXT NOT NULL,         -- events of one are sent in order
  external_id TEXT,
  received_at REAL NOT NULL,
  elapsed REAL NOT NULL,           -- boot clock of "boot" at its arrival
  boot TEXT NOT NULL,
  created_at REAL,                 -- the time that the phone named
  size INTEGER NOT NULL,           -- counts towards the quotas
  idempotency_key TEXT,
  body_hash BLOB,
  body BLOB,                       -- erased when it settles
  sent_at REAL,
  settled_at REAL,                 -- NULL: held
  receipt TEXT                     -- JSON, the last one
);
CREATE INDEX events_held ON events (home_id, seq) WHERE settled_at IS NULL;
CREATE INDEX events_settled ON events (settled_at) WHERE settled_at IS NOT NULL;
CREATE UNIQUE INDEX events_once ON events (key_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE quarantine (          -- bodies that could not be used
  id INTEGER PRIMARY KEY,
  home_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  route TEXT NOT NULL,
  reason TEXT NOT NULL,
  received_at REAL NOT NULL,
  size INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  head BLOB NOT NULL               -- at most its first KiB
);
CREATE INDEX quarantine_home ON quarantine (home_id, id)
"""
