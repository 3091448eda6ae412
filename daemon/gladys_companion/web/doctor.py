"""What is well and what is not, in sentences, each with what to do. Pure: everything is decided from values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from gladys_companion.clock import Clock
from gladys_companion.config import Config
from gladys_companion.discovery.hints import KINDS
from gladys_companion.resolve import GLADYS_API
from gladys_companion.web.vitals import Check, Counts, Status

__all__ = [
    "check_clock",
    "check_devices",
    "check_drivers",
    "check_gladys",
    "check_heartbeat",
    "check_inline",
    "check_link",
    "check_mdns",
    "check_people",
    "check_phones",
    "check_plugins",
    "check_signals",
    "check_store",
    "counted",
    "examine",
]

OFFSET_NOTED, OFFSET_BAD = 2.0, 30.0  # seconds
LONGEST_NAME = 60
SENSIBLE = 1_735_689_600.0  # 2025: an earlier "now" is a clock that nobody has set since power-on


def examine(status: Status, config: Config, clock: Clock) -> tuple[Check, ...]:
    """Return the findings about a running daemon, in the order in which they should be mended."""
    checks: tuple[Callable[[Status, Config, float], Check], ...] = (
        check_store,
        check_clock,
        check_mdns,
        check_link,
        check_heartbeat,
        check_inline,
        check_gladys,
        check_plugins,
        check_devices,
        check_drivers,
        check_phones,
        check_people,
        check_signals,
    )
    now = clock.now()
    return tuple(check(status, config, now) for check in checks)


def check_store(status: Status, config: Config, _: float) -> Check:
    """The database answers."""
    if status.store is not None or status.counts is None:
        return Check(
            name="store", state="fail", says=status.store or "The database does not answer.", todo="Mend that."
        )
    counts = status.counts
    says = f"The database in {config.state_directory} answers: {_both(counts)}."
    if counts.unbound:
        todo = (
            "See them with `gladys-companion events list --state unbound`. Bind an id with `alias add`, or let phones "
            "use one that is known here with `devices expose`."
        )
        waits = f"{counted(counts.unbound, 'event waits', 'events wait')} for an id nobody knows."
        return Check(name="store", state="warn", says=_together(says, waits), todo=todo)
    return Check(name="store", state="ok", says=says)


def check_clock(status: Status, _: Config, now: float) -> Check:
    """The wall clock agrees with the gateway's."""
    todo = "Switch on time synchronisation: `timedatectl set-ntp true`."
    if now < SENSIBLE:
        return Check(name="clock", state="fail", says="The clock of this machine has not been set.", todo=todo)
    offset = status.link.clock_offset
    if offset is None:
        return Check(name="clock", state="ok", says="The clock is set; it is compared when the gateway is connected.")
    says = f"The gateway's clock is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} this one."
    if abs(offset) < OFFSET_NOTED:
        return Check(name="clock", state="ok", says=says)
    return Check(name="clock", state="fail" if abs(offset) >= OFFSET_BAD else "warn", says=says, todo=todo)


def check_mdns(status: Status, config: Config, _: float) -> Check:
    """Devices can be found."""
    mdns = status.mdns
    if mdns.state == "off":
        says = (
            "Discovery is starting."
            if config.discovery.enabled
            else "Discovery is switched off by [discovery] enabled."
        )
        return Check(name="mdns", state="ok", says=says)
    if mdns.state == "failed":
        todo = "Check [discovery] interfaces, and that UDP port 5353 is open on them."
        return Check(name="mdns", state="fail", says=f"Discovery does not run: {mdns.reason or 'unknown'}", todo=todo)
    where = ", ".join(config.discovery.interfaces) or "every interface"
    if not mdns.services:
        todo = "A firewall, a guest network or client isolation may keep multicast away. See `gladys-companion scan`."
        return Check(name="mdns", state="warn", says=f"Nothing has announced itself on {where} yet.", todo=todo)
    return Check(name="mdns", state="ok", says=f"{counted(mdns.services, 'service')} seen on {where}.")


def check_link(status: Status, _: Config, now: float) -> Check:
    """The gateway is connected."""
    link = status.link
    if link.state == "unpaired" and status.inline is not None:
        says = "This home is paired with no gateway of its own: what phones send comes by Gladys Plus."
        return Check(name="gateway", state="ok", says=says)
    if link.state == "unpaired":
        todo = "On the gateway: `gladys-companion gateway home pair-code HOME`; here: `gladys-companion pair URL`."
        return Check(name="gateway", state="fail", says="This home is not paired with a gateway.", todo=todo)
    if link.state == "parked":
        todo = "Pair again: `gladys-companion pair URL` with a fresh code."
        return Check(
            name="gateway", state="fail", says=_together(f"{link.url} refuses this home.", link.reason), todo=todo
        )
    if link.state == "connected" and not link.primary:
        says = f"Connected to {link.url}, but another instance gets this home's messages."
        todo = f"At the gateway: `gladys-companion gateway home primary {link.instance}` has them sent here."
        return Check(name="gateway", state="fail", says=says, todo=todo)
    if link.state == "connected":
        since = f" for {_duration(now - link.since)}" if link.since is not None else ""
        return Check(name="gateway", state="ok", says=f"Connected to {link.url}{since}.")
    todo = "It goes on trying by itself. Check this machine's internet connection, and that the gateway runs."
    return Check(
        name="gateway",
        state="warn",
        says=_together(
            f"Not connected{f' to {link.url}' if str(link.url) not in (link.reason or '') else ''}.", link.reason
        ),
        todo=todo,
    )


def check_heartbeat(status: Status, config: Config, now: float) -> Check:
    """The gateway's heartbeat comes."""
    link = status.link
    if link.state == "unpaired":
        return Check(name="heartbeat", state="ok", says="There is no gateway of your own that could fall silent.")
    if link.silent_for >= config.link.silent_after:
        says = f"The gateway has not been heard for {_duration(link.silent_for)}: what phones send does not come in."
        todo = "See what is said of the link to the gateway. What the gateway took is held there, and comes later."
        return Check(name="heartbeat", state="fail", says=says, todo=todo)
    if link.heartbeat_at is None:
        return Check(name="heartbeat", state="ok", says="The gateway has sent no heartbeat yet; not every one does.")
    says = f"The gateway's last heartbeat came {_duration(now - link.heartbeat_at)} ago."
    return Check(name="heartbeat", state="ok", says=says)


def check_inline(status: Status, _: Config, now: float) -> Check:
    """Gladys and Gladys Plus are connected to each other."""
    inline = status.inline
    if inline is None:
        return Check(name="plus", state="ok", says="In-line mode is off: the companion is not between Gladys and Plus.")
    if inline.state == "parked":
        says = _together(f"{inline.upstream} refuses Gladys' token.", inline.reason)
        todo = "Connect Gladys to Gladys Plus again, in its settings."
        return Check(name="plus", state="fail", says=says, todo=todo)
    if not inline.gladys:
        taken = "What phones send by Gladys Plus is taken, and waits for it." if inline.state == "connected" else None
        says = _together(f"Gladys is not connected to {inline.listen}.", taken)
        todo = f"Start Gladys, with GLADYS_GATEWAY_SERVER_URL=http://{inline.listen}."
        return Check(name="plus", state="warn", says=says, todo=todo)
    if inline.state == "connected":
        since = f" for {_duration(now - inline.since)}" if inline.since is not None else ""
        return Check(name="plus", state="ok", says=f"Gladys is connected, and {inline.upstream}{since}.")
    todo = "It goes on trying by itself. Check this machine's internet connection."
    says = _together(f"Gladys is connected, and {inline.upstream} is not.", inline.reason)
    return Check(name="plus", state="warn", says=says, todo=todo)


def check_gladys(status: Status, _: Config, __: float) -> Check:
    """Gladys is told."""
    sink = next((one for one in status.plugins if one.group == "sinks" and one.name == "gladys"), None)
    found = f"A Gladys was seen at {status.mdns.gladys}." if status.mdns.gladys else None
    if sink is None and status.inline is not None:
        says = _together("Gladys is given what phones send by Gladys Plus, and told nothing else.", found)
        todo = "For it to know what our devices do, add [sinks.gladys] to the configuration, and its broker in [mqtt]."
        return Check(name="gladys", state="ok", says=says, todo=todo)
    if sink is None:
        todo = "Add [sinks.gladys] to the configuration, and name the broker that Gladys uses in [mqtt]; then restart."
        return Check(name="gladys", state="warn", says=_together("Gladys is not told anything.", found), todo=todo)
    if sink.status != "open":
        todo = "Check host, port and password of the broker in [mqtt], and that it runs."
        return Check(
            name="gladys", state="fail", says=f"Gladys can not be told: {sink.reason or sink.status}", todo=todo
        )
    if sink.reason:
        todo = "It goes on trying by itself. Check the broker in [mqtt], and that it runs."
        return Check(name="gladys", state="warn", says=f"Gladys can not be told now: {sink.reason}", todo=todo)
    return Check(name="gladys", state="ok", says=_together("Gladys is told what happens.", found))


def check_plugins(status: Status, _: Config, __: float) -> Check:
    """Every configured plug-in is open, and can do its work."""
    broken = [one for one in status.plugins if one.status != "open" and one.name != "gladys"]
    if not broken:
        hindered = [one for one in status.plugins if one.reason and one.name != "gladys"]
        if hindered:
            says = " ".join(dict.fromkeys(f"{one.name}: {one.reason}" for one in hindered))
            todo = "It goes on trying by itself. Where it names the broker, check [mqtt], and that the broker runs."
            return Check(name="plugins", state="warn", says=says, todo=todo)
        names = ", ".join(one.name for one in status.plugins) or "none configured"
        return Check(name="plugins", state="ok", says=f"Open: {names}.")
    says = "; ".join(f"{one.name}: {one.reason or one.status}" for one in broken)
    return Check(name="plugins", state="fail", says=says, todo="The log tells more: `journalctl -u gladys-companion`.")


def check_devices(status: Status, _: Config, __: float) -> Check:
    """Every device that is on the network answers its driver."""
    if not status.troubles:
        return Check(name="devices", state="ok", says="No driver has trouble with a device.")
    todo = "Where a sentence says what to do, do that; the rest is tried again by itself: see to power and network."
    return Check(name="devices", state="warn", says=" ".join(status.troubles), todo=todo)


def check_drivers(status: Status, config: Config, _: float) -> Check:
    """What announces itself has its driver switched on."""
    unused = status.mdns.unused
    seen = {kind.driver: kind for kind in KINDS.values() if kind.driver in unused}
    if not seen:
        return Check(name="drivers", state="ok", says="Of every kind of device that was seen, the driver is on.")
    names = [f"{unused[name]} {kind.many}" if unused[name] > 1 else kind.one for name, kind in sorted(seen.items())]
    says = f"Seen, but not driven, as the driver is off: {_listed(names)}."
    tables = _listed([f"[drivers.{name}]" for name in sorted(seen)])
    have = _listed([f"[drivers.{name}]" for name in sorted(config.drivers)])
    todo = f"To use what was seen, have {tables} in the configuration{have and f', beside {have}'}; then restart."
    return Check(name="drivers", state="ok", says=says, todo=todo)


def check_phones(status: Status, _: Config, __: float) -> Check:
    """What phones tell of where they are can be used."""
    if not status.kept:
        return Check(name="phones", state="ok", says="Nothing that phones told of where they are waits.")
    says, todo = [], []
    for phone, kept in sorted(status.kept.items()):
        if "sealed" in kept:
            says.append(f"{counted(kept['sealed'], 'message')} of the phone {phone!r} can not be opened.")
            todo.append(f"Give the app's encryption key: `gladys-companion people passphrase {phone}`.")
        if "nobody" in kept:
            waiting = counted(kept["nobody"], "message waits", "messages wait")
            says.append(f"{waiting} of the phone {phone!r}, which is nobody's yet.")
            todo.append(f"Say whose it is: `gladys-companion people phone {phone} --person NAME`.")
    return Check(name="phones", state="warn", says=" ".join(says), todo=" ".join(todo))


def check_people(status: Status, config: Config, _: float) -> Check:
    """Gladys is told of the people that it knows."""
    if GLADYS_API not in config.sinks:
        says = "Gladys is not told where people are, as [sinks.gladys_api] is not switched on."
        return Check(name="people", state="ok", says=says)
    if not status.advice:
        return Check(name="people", state="ok", says="Of the people here, all that is needed to tell Gladys is known.")
    return Check(name="people", state="warn", says=" ".join(status.advice), todo="Do what it says; it is noticed soon.")


def check_signals(status: Status, config: Config, _: float) -> Check:
    """Every signal that came does something."""
    names = status.counts.signals if status.counts is not None else ()
    if not names:
        says = f"{counted(len(config.signals), 'signal')} of [signals] can be sent."
        return Check(name="signals", state="ok", says=says if config.signals else "No signal came that does nothing.")
    shown = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names]
    todo = (
        f"Say in the configuration what it does: [signals.{json.dumps(shown[0], ensure_ascii=False)}] with external_id "
        "and value, or scene; then restart. Where there is one, its keys do not name the key that sent it."
    )
    return Check(name="signals", state="warn", says=f"Signals came that do nothing here: {_listed(shown)}.", todo=todo)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 device``, ``2 devices``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def _together(*sentences: str | None) -> str:
    return " ".join(filter(None, sentences))


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _both(counts: Counts) -> str:
    return f"{counted(counts.events, 'event')}, {counted(counts.devices, 'device')}"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"
