"""The registry: what users named stays named, ids mean one thing, and a snapshot is never behind its tables."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from gladys_companion.errors import RequestError
from gladys_companion.model import ANY_KEY, Device, Feature
from gladys_companion.store.registry import load_snapshot
from gladys_companion.store.secrets import StoredSecrets
from tests.home import LAMP, LOCK, ON, PRESENCE, Home, open_home


async def same_as_tables(home: Home) -> bool:
    """Whether the snapshot is what a start would read."""
    targets = home.registry.snapshot.targets
    return home.registry.snapshot == await home.store.read(lambda database: load_snapshot(database, targets))


async def test_user_given_name_aliases_and_exposure_survive_rediscovery(tmp_path: Path) -> None:
    """A device that changes its address, or is found anew, keeps what the user gave it; also over a restart."""
    async with open_home(tmp_path) as home:
        await home.registry.rename(LAMP.id, "Salon")
        await home.registry.alias("mqtt:lamp", ON.external_id)
        await home.registry.expose(ON.external_id)
        await home.registry.away(LAMP.id, 5.0)
        moved = msgspec.structs.replace(LAMP, name="WLED-1", address="127.0.0.9", port=81)
        await home.registry.put_device(moved, [ON])
        await home.registry.seen(LAMP.id, host="lamp.local", address="127.0.0.10", port=82, at=9.0)
        assert await same_as_tables(home)
    async with open_home(tmp_path) as home:
        device = home.registry.snapshot.devices[LAMP.id]
        assert device.name == "Salon"
        assert home.registry.snapshot.feature("mqtt:lamp") == ON
        assert home.registry.snapshot.exposed[ON.external_id] == {ANY_KEY}
        assert LOCK.external_id in home.registry.snapshot.features


async def test_forgetting_takes_everything_of_a_device(tmp_path: Path) -> None:
    """Features, history, aliases and exposure go; events stay in the journal."""
    async with open_home(tmp_path) as home:
        await home.registry.alias("mqtt:home", PRESENCE.external_id)
        await home.registry.expose(PRESENCE.external_id)
        await home.intake.submit(home.event("mqtt:home", 1.0))
        await home.registry.forget(PRESENCE.device)
        assert home.registry.snapshot.feature("mqtt:home") is None
        assert await same_as_tables(home)
        for table in ("history", "aliases", "exposures"):
            assert await home.rows(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - three names of ours
        assert await home.rows("SELECT count(*) FROM events") == [(1,)]


async def test_an_external_id_means_one_feature(tmp_path: Path) -> None:
    """A second device can not take a feature's id, nor an alias cover it; nothing of the refused device is kept."""
    async with open_home(tmp_path) as home:
        thief = Device(id="lamp:thief", driver="lamp", name="Thief")
        stolen = Feature(external_id=ON.external_id, device=thief.id, name="On", category="light", type="binary")
        with pytest.raises(RequestError) as caught:
            await home.registry.put_device(thief, [stolen])
        assert caught.value.code == "EXTERNAL_ID_TAKEN"
        assert thief.id not in home.registry.snapshot.devices
        with pytest.raises(RequestError):
            await home.registry.alias(PRESENCE.external_id, ON.external_id)
        assert await same_as_tables(home)


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("rename", ("nobody", "x"), "DEVICE_NOT_FOUND"),
        ("rename", (LAMP.id, "  "), "INVALID_FIELD"),
        ("rename", (LAMP.id, "x" * 201), "INVALID_FIELD"),
        ("forget", ("nobody",), "DEVICE_NOT_FOUND"),
        ("alias", ("a", "nobody"), "DEVICE_FEATURE_NOT_FOUND"),
        ("alias", (" ", ON.external_id), "INVALID_FIELD"),
        ("unalias", ("nobody",), "ALIAS_NOT_FOUND"),
        ("expose", ("nobody",), "DEVICE_FEATURE_NOT_FOUND"),
        ("expose", (LOCK.external_id,), "KEY_REQUIRED"),
        ("unexpose", ("nobody",), "DEVICE_FEATURE_NOT_FOUND"),
    ],
)
async def test_wrong_wishes_are_told_with_their_code(
    tmp_path: Path, name: str, arguments: tuple[str, ...], code: str
) -> None:
    """Each refusal has a stable code and changes nothing."""
    async with open_home(tmp_path) as home:
        before = home.registry.snapshot
        with pytest.raises(RequestError) as caught:
            await getattr(home.registry, name)(*arguments)
        assert caught.value.code == code
        assert home.registry.snapshot == before


async def test_changes_beside_a_failing_one_keep_the_snapshot_right(tmp_path: Path) -> None:
    """Changes that share a transaction with one that fails are made once more, and the snapshot is the tables'."""
    async with open_home(tmp_path) as home:
        results = await asyncio.gather(
            home.registry.forget(LAMP.id),
            home.registry.alias("mqtt:home", PRESENCE.external_id),
            home.registry.unalias("nobody"),
            home.registry.rename(PRESENCE.device, "Phone of mine"),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), type(None), RequestError, type(None)]
        assert LAMP.id not in home.registry.snapshot.devices
        assert await same_as_tables(home)


async def test_secrets_are_each_owners_own(tmp_path: Path) -> None:
    """A plug-in reads its own secrets, over a restart, and nobody else's."""
    async with open_home(tmp_path) as home:
        await StoredSecrets(home.store, "hue").set("key", b"\x00secret")
        await StoredSecrets(home.store, "hue").set("other", b"x")
        await StoredSecrets(home.store, "hue").set("other", None)
    async with open_home(tmp_path) as home:
        assert await StoredSecrets(home.store, "hue").get("key") == b"\x00secret"
        assert await StoredSecrets(home.store, "hue").get("other") is None
        assert await StoredSecrets(home.store, "wled").get("key") is None
