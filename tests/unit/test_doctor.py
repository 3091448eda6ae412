"""The doctor: each finding has its state, and whatever is not well says what to do."""

import pytest
from msgspec.structs import replace

from gladys_companion.clock import SYSTEM
from gladys_companion.config import Config, Discovery, SignalOptions
from gladys_companion.web.doctor import examine
from gladys_companion.web.vitals import Check, Counts, LinkStatus, MdnsStatus, PluginStatus, Status

NOW = 1_800_000_000.0
COUNTS = Counts(devices=1, features=3, aliases=0, events=7, unbound=0, pending=0)
GLADYS = PluginStatus(name="gladys", group="sinks", status="open")
WELL = Status(
    running=True,
    version="0",
    pid=1,
    started_at=NOW,
    counts=COUNTS,
    link=LinkStatus(state="connected", url="https://g.example", since=NOW - 7200, clock_offset=0.2),
    mdns=MdnsStatus(state="running", services=4),
    plugins=(PluginStatus(name="wled", group="drivers", status="open"), GLADYS),
)


class At:
    """A clock that stands."""

    boot = "b"

    def __init__(self, now: float = NOW) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    elapsed = SYSTEM.elapsed


def found(status: Status, name: str, config: Config | None = None, now: float = NOW) -> Check:
    checks = examine(status, config or Config(), At(now))
    assert all(check.todo for check in checks if check.state != "ok")
    return next(check for check in checks if check.name == name)


def test_all_is_well() -> None:
    """A home in which all is well has nothing to do."""
    checks = examine(WELL, Config(), At())
    assert [(check.state, check.todo) for check in checks] == [("ok", "")] * 13
    assert "for 2 hours" in found(WELL, "gateway").says


@pytest.mark.parametrize(
    ("link", "state", "says"),
    [
        (LinkStatus(state="unpaired"), "fail", "not paired"),
        (LinkStatus(state="parked", url="https://g.example", reason="No."), "fail", "refuses this home. No."),
        (LinkStatus(state="waiting", url="https://g.example", reason="Away."), "warn", "Not connected"),
        (LinkStatus(state="connecting", url="https://g.example"), "warn", "Not connected"),
    ],
)
def test_gateway(link: LinkStatus, state: str, says: str) -> None:
    """Only what the user has to mend is a failure."""
    check = found(replace(WELL, link=link), "gateway")
    assert check.state == state
    assert says in check.says


@pytest.mark.parametrize(("offset", "state"), [(1.9, "ok"), (-3.0, "warn"), (31.0, "fail"), (None, "ok")])
def test_clock(offset: float | None, state: str) -> None:
    """The clock is compared with the gateway's."""
    assert found(replace(WELL, link=replace(WELL.link, clock_offset=offset)), "clock").state == state


def test_clock_that_nobody_set() -> None:
    """A machine that woke up in 1970 is told so."""
    assert found(WELL, "clock", now=100.0).state == "fail"


def test_store() -> None:
    """A database that fails is the first thing to mend; unbound events are worth a look."""
    assert found(replace(WELL, counts=None, store="The disk is full."), "store").state == "fail"
    check = found(replace(WELL, counts=replace(COUNTS, unbound=2)), "store")
    assert (check.state, "alias add" in check.todo) == ("warn", True)


def test_mdns() -> None:
    """Discovery that is off by choice is well; deaf or empty it is not."""
    off = replace(WELL, mdns=MdnsStatus(state="off"))
    assert found(off, "mdns", Config(discovery=Discovery(enabled=False))).says == (
        "Discovery is switched off by [discovery] enabled."
    )
    assert found(replace(WELL, mdns=MdnsStatus(state="failed", reason="No network.")), "mdns").state == "fail"
    assert found(replace(WELL, mdns=MdnsStatus(state="running")), "mdns").state == "warn"


def test_gladys_and_plug_ins() -> None:
    """A sink that is not there is a choice worth telling, one that fails is to be mended, trouble passes by itself."""
    assert found(replace(WELL, plugins=()), "gladys").state == "warn"
    assert found(replace(WELL, plugins=(replace(GLADYS, status="failed", reason="No."),)), "gladys").state == "fail"
    away = replace(GLADYS, reason="The broker is away.")
    assert found(replace(WELL, plugins=(away,)), "gladys").says.startswith("Gladys can not be told now: The broker")
    broken = PluginStatus(name="wled", group="drivers", status="failing", reason="It raised.")
    assert found(replace(WELL, plugins=(broken, GLADYS)), "plugins").says == "wled: It raised."
    hindered = PluginStatus(name="tasmota", group="drivers", status="open", reason="The broker is away.")
    check = found(replace(WELL, plugins=(hindered, GLADYS)), "plugins")
    assert (check.state, check.says) == ("warn", "tasmota: The broker is away.")


def test_devices_that_do_not_answer() -> None:
    """A device that its driver can not reach is told, in the driver's words."""
    check = found(replace(WELL, troubles=("Lamp can not be reached: connection refused.",)), "devices")
    assert (check.state, check.says) == ("warn", "Lamp can not be reached: connection refused.")


def test_messages_that_wait_for_a_word_of_their_owner() -> None:
    """What can not be opened, and what is nobody's, is said with the command that lets it count."""
    kept = {"iphone": {"sealed": 2}, "old": {"nobody": 1}}
    check = found(replace(WELL, kept=kept), "phones")
    assert check.state == "warn"
    assert check.says == (
        "2 messages of the phone 'iphone' can not be opened. 1 message waits of the phone 'old', which is nobody's yet."
    )
    assert "people passphrase iphone" in check.todo
    assert "people phone old --person NAME" in check.todo


def test_numbers_and_their_nouns() -> None:
    """One is one."""
    assert found(WELL, "store").says.endswith("7 events, 1 device.")


def test_kinds_whose_driver_is_off_are_told_with_the_tables_to_add() -> None:
    """Nothing is wrong with it, so it is no warning; what is switched on must stay in the configuration."""
    seen = replace(WELL, mdns=replace(WELL.mdns, unused={"hue": 1, "esphome": 3, "homekit": 2}))
    check = found(seen, "drivers", Config(drivers={"wled": {}}))
    assert (check.state, check.says) == (
        "ok",
        "Seen, but not driven, as the driver is off: 3 ESPHome devices, 2 HomeKit accessories and a Hue bridge.",
    )
    assert check.todo == (
        "To use what was seen, have [drivers.esphome], [drivers.homekit] and [drivers.hue] in the configuration, "
        "beside [drivers.wled]; then restart."
    )
    one = found(
        replace(WELL, mdns=replace(WELL.mdns, unused={"elgato": 1, "nosuch": 2})), "drivers", Config(drivers={})
    )
    assert one.says.endswith("the driver is off: an Elgato light.")
    assert one.todo == "To use what was seen, have [drivers.elgato] in the configuration; then restart."


def test_signals_that_do_nothing_are_named_with_what_to_write() -> None:
    """Who taps a tag that has no table is led to it; quotes and long names do not break the sentence."""
    names = ('nfc:"door"', "x" * 500)
    check = found(replace(WELL, counts=replace(COUNTS, signals=names)), "signals")
    assert check.state == "warn"
    assert 'nfc:"door" and xxx' in check.says
    assert len(check.says) < 200
    assert '[signals."nfc:\\"door\\""]' in check.todo
    mapped = Config(signals={"a": SignalOptions(external_id="x", value=1)})
    assert "1 signal of" in found(WELL, "signals", mapped).says


def test_what_keeps_gladys_from_being_told_of_people_is_said() -> None:
    """Where that is wanted: each sentence says what to do."""
    told = Config(sinks={"gladys_api": {}})
    assert found(WELL, "people", told).state == "ok"
    asked = found(replace(WELL, advice=("Anna: `gladys-companion gladys setup`.", "Bob.")), "people", told)
    assert (asked.state, asked.says) == ("warn", "Anna: `gladys-companion gladys setup`. Bob.")
    assert "not switched on" in found(WELL, "people").says
