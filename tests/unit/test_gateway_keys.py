"""The rules of keys: what opens, what does not and why, how a rotation ends, and that no secret is ever shown again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.errors import RequestError
from gladys_companion.gateway import keys
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.sqlite import SqliteStorage
from gladys_companion.gateway.storage import Key, Secret
from tests.gateway_storage import new_event, open_gateway
from tests.home import SetClock

DAY = 86_400.0


def why(storage: SqliteStorage, secret: str) -> str:
    """Return the code with which a secret is refused; empty if it opens."""
    try:
        storage.key_for(secret)
    except RequestError as error:
        refused = error
    else:
        return ""
    assert refused.status == 401
    assert len(secret) < 12 or secret[:12] not in str(refused.body())
    return refused.code


async def test_key_is_80_hex_characters_and_kept_as_a_digest(tmp_path: Path) -> None:
    """The secret is shown once: it is in no listing, no repr and not in the file; its first six characters are."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        issued = await gateway.accounts.create_key(None, "Phone")
        assert len(issued.secret) == 80
        assert set(issued.secret) <= set("0123456789abcdef")
        (key,) = gateway.accounts.keys()
        assert key == issued.value
        assert (key.prefix, key.scopes, key.last_used) == (issued.secret[:6], frozenset(keys.SCOPES), None)
        assert gateway.storage.key_for(issued.secret).id == key.id
        await gateway.storage.flush()
        for text in (repr(issued), repr(gateway.storage.secrets(key.id)), str(msgspec.to_builtins(key))):
            assert issued.secret[6:] not in text
        for file in (gateway.path, gateway.path.with_name("gateway.db-wal")):
            assert issued.secret[:20].encode() not in file.read_bytes()


async def test_unknown_revoked_and_expired_are_told_apart(tmp_path: Path) -> None:
    """All three are 401, each with its own code, after a restart too; text of any kind is just unknown."""
    clock = SetClock()
    async with open_gateway(tmp_path, clock) as gateway:
        await gateway.accounts.create_home("Home")
        revoked = await gateway.accounts.create_key(None, "Revoked")
        expiring = await gateway.accounts.create_key(None, "Guest", expires_at=clock.now() + DAY)
        assert why(gateway.storage, revoked.secret) == ""
        assert why(gateway.storage, expiring.secret) == ""
        await gateway.accounts.revoke_key(None, "Revoked")
        clock.pass_by(DAY)
        assert why(gateway.storage, revoked.secret) == "KEY_REVOKED"
        assert why(gateway.storage, expiring.secret) == "KEY_EXPIRED"
        for garbage in ("", "x", "\ud800", "é" * 80, revoked.secret[:-1], revoked.secret.upper()):
            assert why(gateway.storage, garbage) == "UNAUTHORIZED"
    async with open_gateway(tmp_path, clock) as gateway:
        assert why(gateway.storage, revoked.secret) == "KEY_REVOKED"
        assert why(gateway.storage, expiring.secret) == "KEY_EXPIRED"


async def test_rotated_key_opens_with_both_until_the_new_one_is_used(tmp_path: Path) -> None:
    """A phone that is not at hand goes on with the old secret; the first use of the new one ends it."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        old = await gateway.accounts.create_key(None, "Phone")
        assert why(gateway.storage, old.secret) == ""
        new = await gateway.accounts.rotate_key(None, "Phone")
        assert new.value.id == old.value.id
        assert (new.value.prefix, new.value.old_secret_until) == (new.secret[:6], gateway.clock.now() + 7 * DAY)
        assert why(gateway.storage, old.secret) == ""
        assert gateway.storage.key_for(new.secret).old_secret_until is None
        assert why(gateway.storage, old.secret) == "KEY_REVOKED"
        gateway.clock.wall -= 30 * DAY
        assert why(gateway.storage, old.secret) == "KEY_REVOKED"


async def test_old_secret_ends_after_seven_days(tmp_path: Path) -> None:
    """A rotation that nobody completes still ends the old secret, and the new one opens."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        old = await gateway.accounts.create_key(None, "Phone")
        new = await gateway.accounts.rotate_key(None, "Phone")
        gateway.clock.pass_by(7 * DAY - 1)
        assert why(gateway.storage, old.secret) == ""
        gateway.clock.pass_by(1)
        assert why(gateway.storage, old.secret) == "KEY_REVOKED"
        assert why(gateway.storage, new.secret) == ""


async def test_second_rotation_drops_the_secret_that_was_never_used(tmp_path: Path) -> None:
    """Who lost the new secret makes another: the lost one opens nothing, and the old one gets no longer time."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        old = await gateway.accounts.create_key(None, "Phone")
        assert why(gateway.storage, old.secret) == ""
        lost = await gateway.accounts.rotate_key(None, "Phone")
        gateway.clock.pass_by(3 * DAY)
        new = await gateway.accounts.rotate_key(None, "Phone")
        assert why(gateway.storage, lost.secret) == "KEY_REVOKED"
        assert why(gateway.storage, old.secret) == ""
        gateway.clock.pass_by(4 * DAY)
        assert why(gateway.storage, old.secret) == "KEY_REVOKED"
        assert why(gateway.storage, new.secret) == ""


async def test_end_of_a_secret_is_committed_before_the_event_that_ended_it(tmp_path: Path) -> None:
    """Once an event of the new secret is accepted, no kill brings the old one back."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        old = await gateway.accounts.create_key(None, "Phone")
        new = await gateway.accounts.rotate_key(None, "Phone")
        key = gateway.storage.key_for(new.secret)
        await gateway.storage.accept(new_event(key.home_id, key.id))
        killed = SqliteStorage(gateway.storage._store, gateway.path, gateway.clock)  # what the next process would read
        await killed.load()
        assert why(killed, old.secret) == "KEY_REVOKED"
        assert why(killed, new.secret) == ""


async def test_rename_does_not_undo_a_first_use(tmp_path: Path) -> None:
    """A first use while the key is being written stays: the old secret does not come back."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        old = await gateway.accounts.create_key(None, "Phone")
        new = await gateway.accounts.rotate_key(None, "Phone")
        stale = tuple(gateway.storage.secrets(new.value.id))
        assert why(gateway.storage, new.secret) == ""
        await gateway.storage.put_key(new.value, stale)
        assert why(gateway.storage, old.secret) == "KEY_REVOKED"
        await gateway.storage.flush()
        killed = SqliteStorage(gateway.storage._store, gateway.path, gateway.clock)
        await killed.load()
        assert why(killed, old.secret) == "KEY_REVOKED"


async def test_last_use_is_listed_at_once_and_kept(tmp_path: Path) -> None:
    """The list shows when a key last opened something; a refused use is none."""
    clock = SetClock()
    async with open_gateway(tmp_path, clock) as gateway:
        await gateway.accounts.create_home("Home")
        issued = await gateway.accounts.create_key(None, "Phone")
        clock.pass_by(60)
        assert why(gateway.storage, issued.secret) == ""
        used = clock.now()
        assert [key.last_used for key in gateway.accounts.keys("Home")] == [used]
        await gateway.accounts.revoke_key(None, "Phone")
        clock.pass_by(60)
        assert why(gateway.storage, issued.secret) == "KEY_REVOKED"
    async with open_gateway(tmp_path, clock) as gateway:
        assert [key.last_used for key in gateway.accounts.keys("Home")] == [used]


def a_key(**members: object) -> Key:
    key, _ = keys.new_key("home", "Phone", 0.0, **members)  # type: ignore[arg-type]  # the test's own members
    return key


def test_scopes_and_allowed_ids_are_refused_by_code() -> None:
    """A key may do what its scopes say, and post states of the ids that it was given."""
    keys.authorize(a_key(), "message")
    keys.authorize(a_key(allowed_ids=["mqtt:a"]), "state", "mqtt:a")
    keys.authorize(a_key(allowed_ids=["mqtt:a"]), "location")
    with pytest.raises(RequestError, match="location") as scope:
        keys.authorize(a_key(scopes=["state"]), "location")
    with pytest.raises(RequestError) as external_id:
        keys.authorize(a_key(allowed_ids=["mqtt:a"]), "state", "mqtt:b")
    assert (scope.value.status, scope.value.code) == (403, "SCOPE_NOT_ALLOWED")
    assert (external_id.value.status, external_id.value.code) == (403, "EXTERNAL_ID_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"expires_at": 0.0}, "expires_at"),
        ({"allowed_ids": []}, "allowed_ids"),
        ({"allowed_ids": ["mqtt:a", " "]}, "allowed_ids"),
    ],
)
def test_key_that_could_open_nothing_is_refused(members: dict[str, object], field: str) -> None:
    """No scope, an unknown one, no id or an empty one, or an end in the past: 422 naming the field."""
    with pytest.raises(RequestError) as refused:
        a_key(**members)
    assert (refused.value.status, refused.value.data["field"]) == (422, field)


@given(st.lists(st.one_of(st.just("rotate"), st.integers(0, 9), st.floats(0, 8 * DAY)), max_size=30))
def test_newest_secret_always_opens_and_never_more_than_two_do(steps: list[str | int | float]) -> None:
    """Whatever is rotated, used and waited for: a phone with the newest secret is never locked out."""
    now = 1_000.0
    key, first = keys.new_key("home", "Phone", now)
    secrets: tuple[Secret, ...] = (first.value,)
    for step in steps:
        if step == "rotate":
            secrets = keys.rotate(secrets, keys.issue(now).value, now)
        elif isinstance(step, int):
            used = secrets[step % len(secrets)]
            if keys.refusal(key, used, now) is None and used.used_at is None:
                secrets = keys.first_use(secrets, used.digest, now)
        elif isinstance(step, float):
            now += step
        open_ = [secret for secret in secrets if keys.refusal(key, secret, now) is None]
        assert secrets[-1] in open_
        assert len(open_) <= 2
        if secrets[-1].used_at is not None:
            assert open_ == [secrets[-1]]


async def test_keys_of_two_homes_do_not_mix(tmp_path: Path) -> None:
    """A key is found only in its own home, by name or by id, and says which home it is of."""
    async with open_gateway(tmp_path) as gateway:
        accounts: Accounts = gateway.accounts
        mine, other = await accounts.create_home("Mine"), await accounts.create_home("Other")
        key = await accounts.create_key("Mine", "Phone")
        assert gateway.storage.key_for(key.secret).home_id == mine.id
        assert accounts.keys(other.id) == ()
        for named in ("Phone", key.value.id):
            for operation in (accounts.revoke_key, accounts.rotate_key):
                with pytest.raises(RequestError) as refused:
                    await operation("Other", named)
                assert (refused.value.status, refused.value.code) == (404, "KEY_NOT_FOUND")
            with pytest.raises(RequestError):
                await accounts.rename_key("Other", named, "Stolen")
        assert why(gateway.storage, key.secret) == ""
