"""Homes, instances and pairing: one primary that only people change, codes that do not last, tokens that end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import jwt
import pytest

from gladys_companion.errors import AuthError, RequestError
from gladys_companion.gateway import keys
from gladys_companion.gateway.accounts import Accounts, Paired
from gladys_companion.gateway.tokens import AccessTokens
from tests.gateway_storage import new_event, open_gateway
from tests.home import SetClock


async def pair(accounts: Accounts, home: str | None = None, name: str = "Companion") -> Paired:
    code = await accounts.pair_code(home)
    return await accounts.pair(code.secret, name)


async def refused(accounts: Accounts, code: str) -> bool:
    try:
        await accounts.pair(code, "Companion")
    except RequestError as error:
        answer = (error.status, error.code)
    else:
        return False
    assert answer == (403, "PAIRING_REFUSED")
    return True


async def test_only_home_need_not_be_named(tmp_path: Path) -> None:
    """With one home commands need no name; with none or several they say what to do."""
    async with open_gateway(tmp_path) as gateway:
        with pytest.raises(RequestError, match="home create") as none:
            gateway.accounts.home()
        assert none.value.code == "HOME_NOT_FOUND"
        home = await gateway.accounts.create_home("  My   home ")
        assert gateway.accounts.home() == gateway.accounts.home("My home") == gateway.accounts.home(home.id)
        await gateway.accounts.create_home("Cabin")
        with pytest.raises(RequestError, match="Cabin") as several:
            gateway.accounts.home()
        assert (several.value.status, several.value.code) == (409, "AMBIGUOUS")


async def test_names_are_checked_and_not_given_twice(tmp_path: Path) -> None:
    """A name is printable, short and one's own; a revoked key's name is free again."""
    async with open_gateway(tmp_path) as gateway:
        for bad in ("", "   ", "x" * 101, "a\x00b"):
            with pytest.raises(RequestError) as invalid:
                await gateway.accounts.create_home(bad)
            assert (invalid.value.status, invalid.value.data["field"]) == (422, "name")
        await gateway.accounts.create_home("Home")
        await gateway.accounts.create_key(None, "Phone")
        for operation in (gateway.accounts.create_home("Home"), gateway.accounts.create_key(None, "Phone")):
            with pytest.raises(RequestError) as taken:
                await operation
            assert (taken.value.status, taken.value.code) == (409, "ALREADY_EXIST")
        renamed = await gateway.accounts.rename_key(None, "Phone", "Phone")
        assert (await gateway.accounts.rename_key(None, renamed.id, "Tablet")).name == "Tablet"
        await gateway.accounts.revoke_key(None, "Tablet")
        await gateway.accounts.create_key(None, "Tablet")


async def test_first_instance_is_primary_and_others_do_not_take_it_away(tmp_path: Path) -> None:
    """Messages move to another instance only when a person says so, or the primary is revoked and one is paired."""
    clock = SetClock()
    async with open_gateway(tmp_path, clock) as gateway:
        accounts = gateway.accounts
        home = await accounts.create_home("Home")
        first, second = await pair(accounts), await pair(accounts, name="Gladys")
        assert (first.primary, second.primary) == (True, False)
        assert accounts.home().primary_instance == first.instance.value.id
        await accounts.set_primary(None, "Gladys")
        assert accounts.home().primary_instance == second.instance.value.id
        await accounts.revoke_instance(None, "Gladys")
        assert accounts.home().primary_instance is None
        with pytest.raises(RequestError) as gone:
            await accounts.set_primary(None, "Gladys")
        assert gone.value.code == "ALREADY_REVOKED"
        third = await pair(accounts, name="Gladys")
        assert third.primary
        assert set(gateway.changed) == {home.id}
        assert len(gateway.changed) == 5
        gateway.storage.seen(third.instance.value.id)
        before = accounts.instances()
    async with open_gateway(tmp_path, clock) as gateway:
        assert gateway.accounts.instances() == before
        assert before[-1].last_seen == clock.now()
        assert gateway.accounts.home().primary_instance == third.instance.value.id


async def test_instance_takes_the_place_of_one_that_was_away_when_its_code_was_made(tmp_path: Path) -> None:
    """Pairing again mends a home; one that is there, was when the code was made, or may have been, keeps its place."""
    clock = SetClock()
    here: set[str] = set()
    async with open_gateway(tmp_path, clock) as gateway:
        accounts = Accounts(gateway.storage, clock, is_connected=here.__contains__)
        await accounts.create_home("Home")
        first = (await pair(accounts)).instance.value.id
        clock.pass_by(1)
        here.add(first)
        assert not (await pair(accounts)).primary
        here.clear()
        code = await accounts.pair_code()
        clock.pass_by(1)
        gateway.storage.seen(first)  # it left, after the code was made
        assert not (await accounts.pair(code.secret, "Early")).primary
        clock.pass_by(1)
        code = await accounts.pair_code()
        clock.pass_by(1)
        restarted = Accounts(gateway.storage, clock)  # who was connected meanwhile, nobody knows
        assert not (await restarted.pair(code.secret, "Unsure")).primary
        again = await pair(accounts, name="Again")
        assert again.primary
        assert accounts.home().primary_instance == again.instance.value.id


async def test_with_two_homes_what_is_unique_needs_no_home(tmp_path: Path) -> None:
    """An id, or a name that only one home has, is enough; else the sentence names the option."""
    async with open_gateway(tmp_path) as gateway:
        accounts = gateway.accounts
        for home in ("A", "B"):
            await accounts.create_home(home)
            await accounts.create_key(home, "Phone")
            await accounts.pair((await accounts.pair_code(home)).secret, "Companion")
        only = await accounts.create_key("B", "Only")
        second = (await accounts.pair((await accounts.pair_code("B")).secret, "Second")).instance.value
        assert (await accounts.set_primary(None, second.id)).name == "B"
        assert (await accounts.rename_key(None, only.value.id, "Alone")).name == "Alone"
        assert (await accounts.rotate_key(None, "Alone")).value.id == only.value.id
        assert (await accounts.revoke_key(None, only.value.id)).home_id == accounts.home("B").id
        await accounts.revoke_instance(None, second.id)
        assert accounts.home("B").primary_instance is None
        for ambiguous in (
            accounts.revoke_key(None, "Phone"),
            accounts.revoke_instance(None, "Companion"),
            accounts.pair_code(),
        ):
            with pytest.raises(RequestError, match="--home") as refused:
                await ambiguous
            assert (refused.value.status, refused.value.code) == (409, "AMBIGUOUS")
        with pytest.raises(RequestError, match="is revoked already"):
            await accounts.revoke_key(None, only.value.id)
        with pytest.raises(RequestError) as elsewhere:
            await accounts.revoke_key("A", only.value.id)
        assert elsewhere.value.code == "KEY_NOT_FOUND"
        await accounts.revoke_key("A", "Phone")


async def test_pairing_code_opens_once_however_it_is_typed(tmp_path: Path) -> None:
    """8 base32 characters, in any case, with dashes and the digits that people take for letters; then it is spent."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        code = await gateway.accounts.pair_code()
        assert len(code.secret) == 8
        assert set(code.secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        assert code.secret not in repr(code)
        typed = code.secret.lower().replace("o", "0").replace("i", "1").replace("b", "8")
        assert not await refused(gateway.accounts, f" {typed[:4]}-{typed[4:]} ")
        assert await refused(gateway.accounts, code.secret)


async def test_pairing_code_lasts_ten_minutes(tmp_path: Path) -> None:
    """A code is good until it is not, and a newer one of the same home ends it."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        early, late = await gateway.accounts.pair_code(), await gateway.accounts.pair_code()
        assert await refused(gateway.accounts, early.secret)
        gateway.clock.pass_by(599)
        assert not await refused(gateway.accounts, late.secret)
        late = await gateway.accounts.pair_code()
        gateway.clock.pass_by(600)
        assert await refused(gateway.accounts, late.secret)


async def test_pairing_code_survives_five_tries_and_a_restart_counts_on(tmp_path: Path) -> None:
    """A wrong second half uses a try up, in the file; a code that begins otherwise is none of its tries."""
    clock = SetClock()
    async with open_gateway(tmp_path, clock) as gateway:
        await gateway.accounts.create_home("Home")
        code = (await gateway.accounts.pair_code()).secret
        wrong = code[:4] + ("AAAA" if code[4:] != "AAAA" else "BBBB")
        other = ("AAAA" if code[:4] != "AAAA" else "BBBB") + code[4:]
        for _ in range(4):
            assert await refused(gateway.accounts, wrong)
        for _ in range(9):
            assert await refused(gateway.accounts, other)
    async with open_gateway(tmp_path, clock) as gateway:
        assert await refused(gateway.accounts, wrong)
        assert await refused(gateway.accounts, code)


async def test_code_opens_once_when_two_come_at_once(tmp_path: Path) -> None:
    """Of many that send the same code together one is paired."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.accounts.create_home("Home")
        code = (await gateway.accounts.pair_code()).secret
        answers = await asyncio.gather(*(refused(gateway.accounts, code) for _ in range(5)))
        assert sorted(answers) == [False, True, True, True, True]
        assert len(gateway.accounts.instances()) == 1


async def test_refresh_token_gives_access_tokens_until_it_is_revoked(tmp_path: Path) -> None:
    """Garbage is 401, a revoked instance 403; the token says what the official server's says."""
    async with open_gateway(tmp_path) as gateway:
        accounts = gateway.accounts
        await accounts.create_home("Home")
        paired = await pair(accounts)
        token = accounts.access_token(paired.instance.secret)
        assert accounts.authenticate(token).id == paired.instance.value.id
        claims = jwt.decode(token, options={"verify_signature": False})
        assert jwt.get_unverified_header(token)["alg"] == "HS256"
        assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("gladys-gateway", "instance", 3600)
        with pytest.raises(RequestError) as garbage:
            accounts.access_token("garbage")
        assert garbage.value.status == 401
        await accounts.revoke_instance(None, paired.instance.value.id)
        with pytest.raises(RequestError) as revoked:
            accounts.access_token(paired.instance.secret)
        assert revoked.value.status == 403
        with pytest.raises(AuthError, match="revoked"):
            accounts.authenticate(token)


async def test_access_token_ends_after_an_hour_and_outlives_a_restart(tmp_path: Path) -> None:
    """The signing secret is kept, so a token is good until its hour is over, by our own clock."""
    clock = SetClock()
    async with open_gateway(tmp_path, clock) as gateway:
        await gateway.accounts.create_home("Home")
        paired = await pair(gateway.accounts)
        token = gateway.accounts.access_token(paired.instance.secret)
    clock.pass_by(3599)
    async with open_gateway(tmp_path, clock) as gateway:
        assert gateway.accounts.authenticate(token) == gateway.accounts.instances()[0]
        clock.pass_by(1)
        with pytest.raises(AuthError, match=r"^jwt expired$"):
            gateway.accounts.authenticate(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "user"},
        {"iss": "somebody"},
        {"exp": "never"},
        {"instance_id": 7},
        {"instance_id": None},
        {"exp": None},
    ],
)
def test_token_with_other_claims_is_invalid(changes: dict[str, object]) -> None:
    """A token of another audience, issuer or shape opens nothing, however well it is signed."""
    clock, secret = SetClock(), b"s" * 32
    tokens = AccessTokens(secret, clock)
    claims = jwt.decode(tokens.issue("i"), options={"verify_signature": False})
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    with pytest.raises(AuthError, match=r"^invalid token$"):
        tokens.whose(jwt.encode(claims, secret, algorithm="HS256"))


@pytest.mark.parametrize("token", ["", "a.b.c", "é", "\ud800", "x" * 100_000])
def test_garbage_is_no_token(token: str) -> None:
    """Text of any kind is refused, not a crash; so are other secrets and no signature at all."""
    tokens = AccessTokens(b"s" * 32, SetClock())
    unsigned = jwt.encode({"iss": "gladys-gateway", "aud": "instance", "instance_id": "i"}, "", algorithm="none")
    for bad in (token, unsigned, AccessTokens(b"t" * 32, SetClock()).issue("i")):
        with pytest.raises(AuthError, match=r"^invalid token$"):
            tokens.whose(bad)


async def test_removed_home_leaves_nothing_that_opens(tmp_path: Path) -> None:
    """Its keys, instances, codes and held events go, at once and from the file; its neighbour's stay."""
    async with open_gateway(tmp_path) as gateway:
        accounts = gateway.accounts
        home, other = await accounts.create_home("Home"), await accounts.create_home("Other")
        paired, key = await pair(accounts, "Home"), await accounts.create_key("Home", "Phone")
        kept = await accounts.create_key("Other", "Phone")
        code = (await accounts.pair_code("Home")).secret
        for _ in range(3):
            await gateway.storage.accept(new_event(home.id, key.value.id))
        await gateway.storage.accept(new_event(other.id, kept.value.id))
        await accounts.remove_home("Home")
        assert gateway.changed[-1] == home.id
        assert accounts.homes() == (other,)
        assert [total.home_id for total in await gateway.storage.held_totals()] == [other.id]
        with pytest.raises(RequestError):
            gateway.storage.key_for(key.secret)
        with pytest.raises(RequestError):
            accounts.access_token(paired.instance.secret)
        assert await refused(accounts, code)
        assert gateway.storage.key_for(kept.secret).home_id == other.id
        counts = (
            "SELECT (SELECT COUNT(*) FROM instances), (SELECT COUNT(*) FROM keys), (SELECT COUNT(*) FROM key_secrets)"
        )
        assert await gateway.storage._store.read(lambda db: db.conn.execute(counts).fetchone()) == (0, 1, 1)


async def test_event_that_a_removed_home_left_is_swept(tmp_path: Path) -> None:
    """An event that was accepted while its home was removed does not stay for ever."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.storage.accept(new_event("removed"))
        assert await gateway.storage.prune(0.0) == 1
        assert await gateway.storage.held_totals() == []


async def test_held_is_added_up_by_home(tmp_path: Path) -> None:
    """The list of homes can say how much waits for each."""
    async with open_gateway(tmp_path) as gateway:
        home = await gateway.accounts.create_home("Home")
        for key_id in ("a", "a", "b"):
            await gateway.storage.accept(new_event(home.id, key_id, body=b"12345"))
        total = (await gateway.accounts.held())[home.id]
        assert (total.events, total.bytes) == (3, 15)


def test_digest_is_sha256() -> None:
    """What is kept of a secret is what the official server keeps."""
    assert keys.digest("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
