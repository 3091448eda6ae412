"""How HomeKit accessories are paired, kept, lost and found again; with both implementations where they may differ."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from zeroconf.asyncio import AsyncServiceBrowser

from gladys_companion.drivers.homekit import Config
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.ports import Pairable, Troubled
from tests.hap import PIN, Hap, announced, device_of
from tests.hap_accessories import HapPython, bridge, open_hap_python
from tests.hap_home import HapHome, open_hap_home
from tests.hap_nodejs import open_hap_nodejs


@pytest.fixture
async def home() -> AsyncIterator[HapHome]:
    async with open_hap_home() as home:
        yield home


@pytest.fixture
async def lamp(tmp_path: Path) -> AsyncIterator[HapPython]:
    async with open_hap_python(tmp_path) as lamp:
        yield lamp


@pytest.fixture(params=["HAP-python", pytest.param("hap-nodejs", marks=pytest.mark.needs("node", "npm"))])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hap]:
    if request.param == "HAP-python":
        async with open_hap_python(tmp_path) as hap:
            yield hap
    else:
        async with open_hap_nodejs(request.getfixturevalue("npm_modules"), tmp_path) as hap:
            yield hap


async def is_paired(hap: Hap) -> bool:
    return (await hap.txt())["sf"] == "0"


@pytest.mark.parametrize("code", ["031-45-154", "03145154", " 031 45 154 "])
async def test_the_pin_may_be_written_in_any_way(home: HapHome, either: Hap, code: str) -> None:
    """With and without dashes it pairs; afterwards the accessory is described without being asked for it again."""
    device = device_of(either)
    assert isinstance(home.driver, Pairable)
    assert home.driver.wants(device).code
    assert not await is_paired(either)
    await home.driver.pair(device, code)
    assert await is_paired(either)
    assert await home.driver.describe(device)


async def test_a_wrong_pin_is_told_and_gains_nothing(home: HapHome, either: Hap) -> None:
    """The sentence says that the PIN is wrong and where the right one is; the next attempt may be right."""
    device = device_of(either)
    with pytest.raises(Rejected, match=r"says that the PIN is wrong\. .* on the accessory"):
        await home.driver.pair(device, "031-45-155")
    assert await home.secrets.get(device.id) is None
    assert not await is_paired(either)
    await home.driver.pair(device, PIN)
    assert await is_paired(either)


@pytest.mark.parametrize("code", [None, "", "1234", "031-45-1544", "O31-45-154", "031-45-154\n9"])
async def test_what_is_no_pin_is_never_tried(home: HapHome, lamp: HapPython, code: str | None) -> None:
    """An accessory counts wrong PINs, so what can not be one does not reach it."""
    with pytest.raises(Rejected, match="eight digits, such as 031-45-154"):
        await home.driver.pair(device_of(lamp), code)
    assert lamp.gate.accepted == 0


async def test_too_many_wrong_pins(home: HapHome, lamp: HapPython) -> None:
    """An accessory that takes no PIN for a while is to be tried again later, not given up."""
    for _ in range(5):
        with pytest.raises(Rejected, match="PIN is wrong"):
            await home.driver.pair(device_of(lamp), "999-99-999")
    with pytest.raises(Unavailable, match=r"takes no PIN just now: .* Try again in a few minutes\."):
        await home.driver.pair(device_of(lamp), PIN)


async def test_an_unpaired_accessory_says_what_to_do(home: HapHome, lamp: HapPython) -> None:
    """Nothing is asked of it: the sentence names the command and the PIN."""
    with pytest.raises(Rejected) as refused:
        await home.driver.describe(device_of(lamp))
    command = f"`gladys-companion devices pair homekit:{lamp.mac}`, with the PIN on it."
    assert str(refused.value) == f"Everything is not paired: {command}"
    with pytest.raises(Rejected, match="is not paired"):
        await home.command(device_of(lamp), "1.9", 1)
    assert lamp.gate.accepted == 0


async def test_an_accessory_of_somebody_else_says_what_to_do(home: HapHome, either: Hap) -> None:
    """By its announcement it is known to be paired, and by its answer when somebody tries all the same."""
    async with open_hap_home() as somebody:
        await somebody.pair(either)
    browser = AsyncServiceBrowser(home.zeroconf.zeroconf, "_hap._tcp.local.", handlers=[lambda **_: None])
    async with announced(either, home.zeroconf):
        with pytest.raises(Rejected, match="paired with somebody else, such as an iPhone: remove it there or reset it"):
            await home.driver.describe(device_of(either))
    await browser.async_cancel()
    with pytest.raises(Rejected, match="paired with somebody else"):
        await home.driver.pair(device_of(either), PIN)
    assert await home.secrets.get(device_of(either).id) is None


async def test_pairing_twice_is_no_error(home: HapHome, either: Hap) -> None:
    """Where what is kept still opens it, there is nothing to do."""
    device = await home.pair(either)
    before = await home.secrets.get(device.id)
    await home.driver.pair(device, PIN)
    assert await home.secrets.get(device.id) == before
    assert await home.driver.describe(device)


async def test_what_is_kept_survives_a_restart(either: Hap) -> None:
    """A new process opens the accessory with nothing but the secrets, wherever it is then."""
    async with open_hap_home() as home:
        await home.pair(either)
    await either.gate.move()
    async with open_hap_home(secrets=home.secrets) as again:
        assert await again.driver.describe(device_of(either))


async def test_unpairing_is_done_at_both_ends(home: HapHome, either: Hap) -> None:
    """The accessory can be paired by somebody else then, and nothing is kept nor followed here."""
    device = await home.follow(either)
    await home.driver.unpair(device)
    assert not await is_paired(either)
    assert await home.secrets.get(device.id) is None
    assert home.driver.connection(device.id) is None
    async with open_hap_home() as somebody:
        await somebody.pair(either)
    assert await is_paired(either)
    with pytest.raises(Rejected, match="is not paired with this companion"):
        await home.driver.unpair(device)


async def test_unpairing_what_can_not_be_reached(home: HapHome, lamp: HapPython) -> None:
    """It is forgotten here, and the sentence says what is left to do."""
    device = await home.pair(lamp)
    lamp.gate.mode = "silent"
    with pytest.raises(Rejected, match=r"is forgotten here, .*: reset it before .* did not answer within 1 s\."):
        await home.driver.unpair(device)
    assert await home.secrets.get(device.id) is None


async def test_unpairing_what_has_forgotten_us_already(home: HapHome, either: Hap) -> None:
    """There is nothing left to do."""
    device = await home.pair(either)
    await either.forget()
    await home.driver.unpair(device)
    assert await home.secrets.get(device.id) is None


async def test_a_lost_pairing_is_told_and_mended_by_pairing_again(home: HapHome, either: Hap) -> None:
    """After a reset commands are rejected with what to do; what was kept stays until the user has paired it again."""
    device = await home.follow(either)
    kept = await home.secrets.get(device.id)
    await either.forget()
    lost = r"does not know this companion any more: .* Pair it again: `gladys-companion devices pair homekit:\w+`"
    with pytest.raises(Rejected, match=lost):
        await home.driver.describe(device)
    with pytest.raises(Rejected, match=lost):
        await home.command(device, "1.9", 1)
    assert isinstance(home.driver, Troubled)
    await home.trouble(device, "does not know this companion")
    assert await home.secrets.get(device.id) == kept
    await home.driver.pair(device, PIN)
    assert await home.driver.describe(device)
    home.driver.follow(device)  # as discovery does when it was described
    await home.listening(device)


@pytest.mark.parametrize("secret", [b"", b"{", b'{"AccessoryLTPK": 1}', b'{"AccessoryPairingID": "02:00:00:00:00:01"}'])
async def test_what_is_kept_and_can_not_be_read(home: HapHome, lamp: HapPython, secret: bytes) -> None:
    """A damaged pairing is told as such, and pairing again mends it where the accessory allows."""
    device = device_of(lamp)
    await home.secrets.set(device.id, secret)
    with pytest.raises(Rejected, match=r"can not be read: pair it again, `gladys-companion devices pair"):
        await home.driver.describe(device)
    await home.driver.pair(device, PIN)
    assert await home.driver.describe(device)


async def test_another_accessory_at_the_address(home: HapHome, lamp: HapPython, tmp_path: Path) -> None:
    """It is told as such and never commanded; the right one may be found elsewhere."""
    device = await home.pair(lamp)
    async with open_hap_python(tmp_path, name="Other", mac="020000000001") as other, open_hap_home() as somebody:
        await somebody.pair(other)
        before = await other.truth(1, 9)
        lamp.gate.lead(other.port)
        with pytest.raises(Rejected, match=r"Another accessory answers at Everything \(127\.0\.0\.1:\d+\)\."):
            await home.driver.describe(device)
        with pytest.raises(Unavailable, match="Another accessory answers"):
            await home.command(device, "1.9", 1)
        assert await other.truth(1, 9) == before
        lamp.gate.lead(lamp.port)
        await home.command(device, "1.9", 1)
        assert (await lamp.truth(1, 9))["On"]


async def test_one_that_only_says_to_be_the_accessory(home: HapHome, lamp: HapPython, tmp_path: Path) -> None:
    """The same id without the accessory's key opens nothing, and the sentence says so."""
    device = await home.pair(lamp)
    directory = tmp_path / "impostor"
    directory.mkdir()
    async with open_hap_python(directory, name="Impostor", mac=lamp.mac) as impostor, open_hap_home() as somebody:
        await somebody.pair(impostor)
        lamp.gate.lead(impostor.port)
        with pytest.raises(Rejected, match="can not prove to be the accessory that was paired"):
            await home.driver.describe(device)
        with pytest.raises(Unavailable, match="can not prove"):
            await home.command(device, "1.9", 1)


async def test_the_pin_of_another_accessory_at_the_address(home: HapHome, lamp: HapPython, tmp_path: Path) -> None:
    """Where another one takes the PIN, nothing is kept under the name of the first."""
    device = device_of(lamp)
    async with open_hap_python(tmp_path, name="Other", mac="020000000001") as other:
        lamp.gate.lead(other.port)
        with pytest.raises(Rejected, match=r"Another accessory answers .* '02:00:00:00:00:01'.*: reset it\."):
            await home.driver.pair(device, PIN)
    assert await home.secrets.get(device.id) is None


async def test_an_address_that_changes_is_followed(home: HapHome, either: Hap) -> None:
    """At the new address it is listened to as before, without pairing again, and what it tells arrives."""
    device = await home.follow(either)
    await either.gate.move()
    moved = device_of(either)
    assert moved.port != device.port
    home.driver.follow(moved)
    await home.listening(moved)
    aid, iid = await either.id_of("Lightbulb", "On")
    await either.set("Lightbulb", "On", value=True)
    await home.until(f"{aid}.{iid}", 1)


async def test_it_is_found_again_where_it_was(home: HapHome, either: Hap) -> None:
    """After the connection broke it is listened to again, and what changed meanwhile is told."""
    device = await home.follow(either)
    aid, iid = await either.id_of("Lightbulb", "On")
    either.gate.mode = "silent"
    either.gate.cut()
    await home.trouble(device, "did not answer within 1 s")
    await either.set("Lightbulb", "On", value=True)
    either.gate.open()
    await home.until(f"{aid}.{iid}", 1)
    assert home.driver.trouble(device.id) is None


async def test_one_that_vanishes_without_a_word_is_noticed(lamp: HapPython) -> None:
    """Where nothing comes for a while, it is asked; without an answer the connection is given up."""
    async with open_hap_home(config=Config(answer_within=0.5, poll_every=1, reconnect_most=0.6)) as home:
        device = await home.follow(lamp)
        lamp.gate.mode = "silent"
        await home.trouble(device, "did not answer within 0.5 s")
        assert home.driver.connection(device.id) is None


async def test_a_forgotten_accessory_is_left_alone(home: HapHome, lamp: HapPython) -> None:
    """After forget() the connection ends."""
    device = await home.follow(lamp)
    assert await lamp.call(lambda: len(lamp._driver.http_server.connections)) == 1
    home.driver.forget(device.id)
    async with asyncio.timeout(20):
        while await lamp.call(lambda: len(lamp._driver.http_server.connections)):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("mode", ["silent", "babbling", "dawdling"])
async def test_pairing_with_what_makes_no_sense(lamp: HapPython, mode: str) -> None:
    """What does not answer, or not as HomeKit does, is not paired, and the sentence says which."""
    async with open_hap_home(config=Config(pair_within=0.5)) as home:
        lamp.gate.mode = mode  # type: ignore[assignment]  # one of its modes
        with pytest.raises(
            Unavailable, match=r"did not answer within 0\.5 s|does not answer as HomeKit does|ended the"
        ):
            await home.driver.pair(device_of(lamp), PIN)
        assert await home.secrets.get(device_of(lamp).id) is None


async def test_no_secret_is_told(lamp: HapPython, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the PIN nor a key of a pairing is in any log, at the level debug too, nor in any sentence."""
    caplog.set_level(logging.DEBUG)
    wrong, sentences = "135-79-246", []
    with capture_logs() as logs:
        async with open_hap_home() as home:
            device = device_of(lamp)
            for code in (wrong, PIN):
                try:
                    await home.driver.pair(device, code)
                except Rejected as error:
                    sentences.append(str(error))
            kept: dict[str, str] = json.loads(await home.secrets.get(device.id) or b"")
            home.driver.follow(device)
            await home.listening(device)
            await home.command(device, "1.9", 1)
            await lamp.forget()
            sentences.append(await home.trouble(device, "does not know"))
            with pytest.raises(Rejected) as refused:
                await home.driver.describe(device)
            sentences.append(str(refused.value))
    text = "\n".join(
        [*sentences, json.dumps(logs, default=str)]
        + [record.getMessage() for record in caplog.records if not record.name.startswith("pyhap")]
    )
    assert len(text) > 1000
    for secret in (wrong, PIN, wrong.replace("-", ""), PIN.replace("-", ""), kept["iOSDeviceLTSK"]):
        assert secret not in text
        assert secret.encode().hex() not in text


async def test_a_bridge_names_what_it_has(home: HapHome, tmp_path: Path) -> None:
    """Each accessory of a bridge has features of its own, named so that it is told which; ids are aid and iid."""
    async with open_hap_python(tmp_path, build=bridge, name="Loft") as loft:
        device = await home.pair(loft)
        features = await home.driver.describe(device)
        names = [feature.name for feature in features]
        assert names == ["Kitchen On", "Hall On", "Strip Switch", "Strip Switch 2"]
        ids = [feature.external_id.removeprefix(f"{device.id}:") for feature in features]
        assert [component.split(".")[0] for component in ids] == ["2", "3", "4", "4"]
        await home.command(device, ids[1], 1)
        assert (await loft.truth(3, int(ids[1].split(".")[1])))["On"]
        assert not (await loft.truth(2, int(ids[0].split(".")[1])))["On"]
