"""A corpus of simulated phones whose people's whereabouts are known at every moment; the same each time.

It is made when it is used, because the paths say more in code than in megabytes of JSON, and a changed path shows as
one changed line. `python -m tests.tracks DIRECTORY` writes it as JSON, one file per track.
"""

from __future__ import annotations

import bisect
import json
import math
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from gladys_companion.presence import Evidence, Hint, Zone, crossing, position
from gladys_companion.presence.geo import distance
from gladys_companion.protocol import owntracks
from gladys_companion.protocol.fixes import Fix

__all__ = ["CARRIED", "CORPUS", "Message", "Truth", "Turn", "Walk", "evidence_of", "make"]

CARRIED = "phone"  # the source that the person always has with them
START = 1_789_948_800.0  # a Monday, 00:00 UTC
METRES_PER_DEGREE = 111_195.0
HOUR = 3_600.0
MINUTE = 60.0
HOME = Zone(id="home", name="Home", latitude=48.2, longitude=16.37, radius=100, home=True, networks=("Nest",))
WORK = Zone(id="work", name="Work", latitude=48.29, longitude=16.37, radius=200)
VILLAGE = Zone(id="village", name="Village", latitude=48.2, longitude=16.37, radius=1_500)
SHOP = Zone(id="shop", name="Shop", latitude=48.2018, longitude=16.37, radius=100)  # touches home

Whereabouts = Literal["in", "out", "edge"]
Stop = tuple[float, float, float]


class Message(Struct, frozen=True):
    """What arrived when: a body of OwnTracks, or a hint that names its zone (``{"hint": ..., "kind": ...}``)."""

    received_at: float
    source: str
    payload: dict[str, Any]


class Turn(NamedTuple):
    """The person came (within the radius) or went (beyond the exit radius); it began with leaving the other."""

    at: float
    inside: bool
    begun: float


class Walk(Struct, frozen=True, kw_only=True):
    """A track: where the person is (stops joined by straight lines: time, metres north and east of home), and what
    their phones sent meanwhile.
    """  # noqa: D205 - one sentence

    name: str
    about: str
    zones: tuple[Zone, ...]
    stops: tuple[Stop, ...]
    messages: tuple[Message, ...]

    @property
    def end(self) -> float:
        """When the track is over."""
        return self.stops[-1][0]


class Truth:
    """Where the person of a track really is."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self._times = [stop[0] for stop in walk.stops]

    def place(self, at: float) -> tuple[float, float]:
        """Return latitude and longitude at a time."""
        stops = self.walk.stops
        index = min(max(bisect.bisect_right(self._times, at), 1), len(stops) - 1)
        before, after = stops[index - 1], stops[index]
        share = min(1.0, max(0.0, (at - before[0]) / (after[0] - before[0])))
        return offset(
            self.walk.zones[0],
            before[1] + share * (after[1] - before[1]),
            before[2] + share * (after[2] - before[2]),
        )

    def metres(self, zone: Zone, at: float) -> float:
        """Return the distance to a zone's centre."""
        return distance(*self.place(at), zone.latitude, zone.longitude)

    def whereabouts(self, zone: Zone, at: float) -> Whereabouts:
        """Return in, out, or edge between the radius and the exit radius, where both is right."""
        metres = self.metres(zone, at)
        return "in" if metres <= zone.radius else "out" if metres > zone.outer else "edge"

    def turns(self, zone: Zone) -> list[Turn]:
        """Return when the person really came and went, to the second."""
        found: list[Turn] = []
        state: bool | None = None
        begun = self.walk.stops[0][0]
        for at in range(int(self.walk.stops[0][0]), int(self.walk.end) + 1):
            now = self.whereabouts(zone, at)
            if now == "edge":
                continue
            if state is not None and (now == "in") is not state:
                found.append(Turn(float(at), now == "in", begun))
            state, begun = now == "in", float(at)
        return found


def offset(zone: Zone, north: float, east: float) -> tuple[float, float]:
    """Return the latitude and longitude so many metres from a zone's centre."""
    longitude = zone.longitude + east / (METRES_PER_DEGREE * math.cos(math.radians(zone.latitude)))
    return zone.latitude + north / METRES_PER_DEGREE, (longitude + 180) % 360 - 180


def evidence_of(message: Message, id: str) -> Evidence | None:  # noqa: A002 - its name everywhere
    """Return the evidence that a message is; None if it is none.

    Raises:
        ProtocolError: it can never be used.
    """
    payload, received_at = message.payload, message.received_at
    if "hint" in payload:
        return Hint(
            id=id, source=message.source, at=received_at, received_at=received_at,
            zone=payload["zone"], present=payload["hint"], kind=payload["kind"],
        )  # fmt: skip
    read = owntracks.read(payload, received_at)
    if isinstance(read, Fix):
        return position(read, id=id, source=message.source, received_at=received_at)
    if isinstance(read, owntracks.Transition):
        return crossing(read, id=id, source=message.source, received_at=received_at)
    return None


class Phone:
    """Sends what a phone on the way would: positions that err as they say, and what its system notices of regions."""

    def __init__(self, walk: Walk, *, source: str = CARRIED, seed: int = 1) -> None:
        self.truth = Truth(walk)
        self.walk = walk
        self.source = source
        self.chance = random.Random(f"{walk.name}/{source}/{seed}")
        self.sent: list[Message] = []
        self._noise = (0.0, 0.0)
        self._events = sorted(self._noticed())

    def _noticed(self) -> Iterable[tuple[float, str, bool]]:
        """Yield what the phone's system notices: an enter after 5 s, a leave 50 m farther out after 20 s."""
        for zone in self.walk.zones:
            inside = self.truth.metres(zone, self.walk.stops[0][0]) <= zone.radius
            for at in range(int(self.walk.stops[0][0]), int(self.walk.end), 5):
                metres = self.truth.metres(zone, at)
                if not inside and metres <= zone.radius:
                    inside = True
                    yield at + 5.0, zone.name, True
                elif inside and metres > zone.radius + 50:
                    inside = False
                    yield at + 20.0, zone.name, False

    def regions(self, at: float) -> list[str]:
        """Return the regions that the phone thinks it is in."""
        start = self.walk.stops[0][0]
        now = {zone.name for zone in self.walk.zones if self.truth.metres(zone, start) <= zone.radius}
        for when, name, entered in self._events:
            if when <= at:
                now = now | {name} if entered else now - {name}
        return sorted(now)

    def fix(self, at: float, accuracy: float = 15.0, *, away: tuple[float, float] | None = None, **more: Any) -> None:
        """Send a position, or the wrong one that lies so many metres north and east of the right one."""
        spread = accuracy / 1.515  # 68 % of positions lie within the accuracy
        kept = 0.8  # what is wrong now is likely still wrong at the next
        self._noise = tuple(kept * old + math.sqrt(1 - kept**2) * self.chance.gauss(0, 1) for old in self._noise)  # type: ignore[assignment]  # two of them
        north, east = away or (self._noise[0] * spread, self._noise[1] * spread)
        latitude, longitude = self.truth.place(at)
        shown = offset(Zone(id="", name="", latitude=latitude, longitude=longitude, radius=1), north, east)
        payload = {"_type": "location", "lat": round(shown[0], 6), "lon": round(shown[1], 6), "tst": int(at),
                   "acc": round(accuracy), "inregions": self.regions(at), "tid": "ja", "batt": 80}  # fmt: skip
        self.send(at, {**payload, **more})

    def fixes(
        self, begin: float, end: float, every: float, accuracy: tuple[float, float] = (8, 25), **more: Any
    ) -> None:
        """Send positions at about such intervals."""
        at = begin
        while at < end:
            self.fix(at, self.chance.uniform(*accuracy), **more)
            at += every * self.chance.uniform(0.9, 1.1)

    def transitions(self, *, without: Iterable[tuple[str, bool]] = ()) -> None:
        """Send what the phone's system noticed of regions, but for what gets lost."""
        for at, name, entered in self._events:
            if (name, entered) not in without:
                self.transition(at, name, entered=entered)

    def transition(self, at: float, name: str, *, entered: bool) -> None:
        """Send one enter or leave."""
        latitude, longitude = self.truth.place(at)
        self.send(
            at,
            {"_type": "transition", "event": "enter" if entered else "leave", "desc": name, "lat": round(latitude, 6),
             "lon": round(longitude, 6), "tst": int(at), "wtst": int(START), "acc": 30, "t": "c", "tid": "ja"},
        )  # fmt: skip

    def hint(self, at: float, *, present: bool, kind: str = "told", zone: str = "home") -> None:
        """Send what is no position."""
        self.send(at, {"hint": present, "kind": kind, "zone": zone})

    def send(self, at: float, payload: dict[str, Any]) -> None:
        """Send anything; it arrives a second or so later."""
        self.sent.append(Message(round(at + self.chance.uniform(0.3, 2.5), 3), self.source, payload))

    def hold(self, begin: float, end: float, *, newest_first: int = 0) -> None:
        """Deliver what was sent between two times after the second one, in order, but for the newest few."""
        held = sorted((one for one in self.sent if begin <= one.received_at < end), key=lambda one: one.received_at)
        rest = [one for one in self.sent if not begin <= one.received_at < end]
        queue = [*held[len(held) - newest_first :], *held[: len(held) - newest_first]]
        self.sent = rest + [
            Message(round(end + 1 + 0.2 * index, 3), one.source, one.payload) for index, one in enumerate(queue)
        ]


def day(*hours: tuple[float, float, float]) -> tuple[Stop, ...]:
    """Return stops from hours of the day and metres."""
    return tuple((START + hour * HOUR, north, east) for hour, north, east in hours)


TO_WORK = (WORK.latitude - HOME.latitude) * METRES_PER_DEGREE
COMMUTE = day((6, 0, 5), (8, 5, 0), (8.3, TO_WORK, 0), (17, TO_WORK, 20), (17.3, 0, 0), (20, 0, 8))
LEAVES, BACK = START + 8 * HOUR, START + 17.3 * HOUR


def _on_the_way(phone: Phone, every: float = 30, accuracy: tuple[float, float] = (8, 25)) -> None:
    """Send positions while the person moves, and a ping each half hour otherwise."""
    for (begin, north, east), (end, to_north, to_east) in pairwise(phone.walk.stops):
        still = math.hypot(to_north - north, to_east - east) < 50
        phone.fixes(begin, end, 30 * MINUTE if still else every, accuracy)


def commute(phone: Phone) -> None:
    """Android in move mode: positions each half minute on the way, pings, transitions."""
    _on_the_way(phone)
    phone.transitions()


def walk_past(phone: Phone) -> None:
    """Positions each ten seconds of somebody who passes the house at 140 m."""
    phone.fixes(phone.walk.stops[0][0], phone.walk.end, 10, (15, 30), inregions=None)


def drift(phone: Phone) -> None:
    """A still phone indoors: accuracies of Wi-Fi, and now and then positions that are far off and do not say so."""
    at = phone.walk.stops[0][0]
    while at < phone.walk.end:
        phone.fix(at, phone.chance.choice([15, 30, 65, 65, 100]), inregions=None)
        at += phone.chance.uniform(45, 75)
        if phone.chance.random() < 0.03:
            for _ in range(phone.chance.choice([1, 1, 2])):
                angle, metres = phone.chance.uniform(0, 2 * math.pi), phone.chance.uniform(230, 700)
                wrong = (metres * math.cos(angle), metres * math.sin(angle))
                phone.fix(at, phone.chance.choice([20, 30, 65]), away=wrong, inregions=None)
                at += phone.chance.uniform(10, 25)


def tunnel(phone: Phone) -> None:
    """Home by car: six minutes without any position, then cell towers 3 km off, then good ones."""
    begin, end = phone.walk.stops[0][0], phone.walk.end
    phone.fixes(begin, begin + 300, 20)
    for at in (begin + 400, begin + 520, begin + 640):
        phone.fix(at, 1_500, away=(-3_000, 900), inregions=[])
    phone.fixes(begin + 660, end, 20)


def flush_home(phone: Phone) -> None:
    """Flight mode from work until after coming home: the queue comes in order, between new positions."""
    _on_the_way(phone, every=60)
    phone.transitions()
    phone.hold(LEAVES + HOUR, BACK + 20 * MINUTE, newest_first=3)


def flush_away(phone: Phone) -> None:
    """Flight mode over the departure until hours later, at work."""
    _on_the_way(phone, every=60)
    phone.transitions()
    phone.hold(LEAVES - 600, START + 15 * HOUR)


def two_phones(phone: Phone) -> None:
    """One phone commutes, another lies at home all day and says so each ten minutes."""
    _on_the_way(phone)
    phone.transitions()
    still = Phone(Walk(name="at home", about="", zones=phone.walk.zones, stops=day((6, 0, 3), (20, 3, 0)), messages=()),
                  source="tablet")  # fmt: skip
    still.fixes(START + 6 * HOUR, START + 20 * HOUR, 600, (30, 65))
    phone.sent += still.sent


def clock_wrong(phone: Phone) -> None:
    """The phone's clock is two hours fast until noon, and right afterwards."""
    _on_the_way(phone)
    phone.transitions()
    phone.sent = [
        Message(one.received_at, one.source, {**one.payload, "tst": one.payload["tst"] + 7_200})
        if one.received_at < START + 12 * HOUR
        else one
        for one in phone.sent
    ]


def clock_slow(phone: Phone) -> None:
    """The phone's clock is twenty minutes slow all day."""
    _on_the_way(phone)
    phone.transitions()
    phone.sent = [
        Message(one.received_at, one.source, {**one.payload, "tst": one.payload["tst"] - 1_200}) for one in phone.sent
    ]


def stuck_list(phone: Phone) -> None:
    """Android's system never notices anything, so that the list of regions says Home for ever; positions are good."""
    _on_the_way(phone)
    phone.sent = [Message(one.received_at, one.source, {**one.payload, "inregions": ["Home"]}) for one in phone.sent]


def accuracy_zero(phone: Phone) -> None:
    """At home, where some positions are up to 280 m off and claim an accuracy of 0, or none."""
    at = phone.walk.stops[0][0]
    while at < phone.walk.end:
        phone.fix(at, 20)
        angle = phone.chance.uniform(0, 2 * math.pi)
        for metres, more in ((phone.chance.uniform(0, 280), {"acc": 0}), (150, {"acc": None})):
            phone.fix(at + 60, away=(metres * math.cos(angle), metres * math.sin(angle)), **more)
        at += 180


def accuracy_2000(phone: Phone) -> None:
    """3 km away with positions of cell towers right at home, then home with such far away."""
    for begin in range(int(phone.walk.stops[0][0]), int(phone.walk.end), 120):
        phone.fix(begin, 15, inregions=None)
        there = phone.truth.place(begin)
        home = ((HOME.latitude - there[0]) * METRES_PER_DEGREE, 0.0)
        wrong = home if abs(home[0]) > 500 else (3_000.0, 0.0)
        for later in (20, 40, 60, 80):
            phone.fix(begin + later, 2_000, away=wrong, inregions=None)


def nested(phone: Phone) -> None:
    """From home through the touching shop to the edge of the village and back, on foot."""
    phone.fixes(phone.walk.stops[0][0], phone.walk.end, 15, (8, 20))
    phone.transitions()


def lost_leave(phone: Phone) -> None:
    """Leave and enter get lost, and positions near the edge can not tell; the phone's own list of regions can."""
    phone.transitions(without=[("Home", False), ("Home", True)])
    for at in range(int(phone.walk.stops[0][0]), int(phone.walk.end), 300):
        phone.fix(at, 180)


def bounce(phone: Phone) -> None:
    """At home at night; the system claims leave and enter within seconds, as when a garage door opened at 3 am."""
    phone.fixes(phone.walk.stops[0][0], phone.walk.end, 600, (20, 65))
    for hour in (1, 2.5, 3, 4):
        at = phone.walk.stops[0][0] + hour * HOUR
        phone.fix(at, 30, away=(320, 90), inregions=[])
        phone.transition(at, "Home", entered=False)
        phone.transition(at + 8, "Home", entered=True)
        phone.fix(at + 9, 25, inregions=["Home"])


def iphone_sparse(phone: Phone) -> None:
    """An iPhone on significant changes: a position each five minutes at best, 65 m accurate, and transitions."""
    _on_the_way(phone, every=300, accuracy=(40, 165))
    phone.sent = [one for index, one in enumerate(phone.sent) if index % 3 != 1]
    phone.transitions()


def night_silence(phone: Phone) -> None:
    """Charging at home from 22:40 to 7:30 without a word."""
    phone.fixes(phone.walk.stops[0][0], phone.walk.stops[0][0] + 40 * MINUTE, 300, (10, 40))
    phone.fixes(phone.walk.stops[0][0] + 9.5 * HOUR, phone.walk.end, 120, (10, 40))


def hints(phone: Phone) -> None:
    """No positions: a feature is told when the phone's Wi-Fi comes and goes, and the phone answers on the network."""
    at, end = phone.walk.stops[0][0], phone.walk.end
    home, present = phone.walk.zones[0], False
    while at < end:
        now = phone.truth.metres(home, at) < 60
        if now is not present:
            present = now
            phone.hint(at, present=now)
        if now and phone.chance.random() < 0.2:
            phone.hint(at, present=phone.chance.random() < 0.7, kind="near")
        at += 30


def jumps(phone: Phone) -> None:
    """At work, with a hotspot that once stood at home: single positions at home, 20 m accurate, between right ones."""
    at = phone.walk.stops[0][0]
    while at < phone.walk.end:
        phone.fix(at, 20, inregions=None)
        if phone.chance.random() < 0.15:
            phone.fix(at + 30, 20, away=(-TO_WORK + phone.chance.uniform(-20, 20), 0), inregions=None)
        at += 60


def everything(phone: Phone) -> None:
    """A week of commuting with all faults: drift, jumps, cell towers, repeated and lost messages, a slow link."""
    _on_the_way(phone, every=45, accuracy=(8, 65))
    phone.transitions(without=[("Work", False)])
    for at in range(int(phone.walk.stops[0][0]), int(phone.walk.end), 1_500):
        wrong = (phone.chance.uniform(-4_000, 4_000), phone.chance.uniform(-4_000, 4_000))
        phone.fix(at + 7, phone.chance.choice([1_000, 2_000]), away=wrong)
        if phone.chance.random() < 0.2:
            phone.fix(at + 300, 30, away=(wrong[0] / 10, wrong[1] / 10))
            phone.fix(at + 330, 20)
    phone.sent = [
        Message(one.received_at + (phone.chance.expovariate(1 / 40) if phone.chance.random() < 0.1 else 0), *rest)
        for one in phone.sent
        if phone.chance.random() > 0.03
        for rest in [(one.source, one.payload)]
    ]
    phone.sent += phone.chance.sample(phone.sent, len(phone.sent) // 10)


def _week(walk: tuple[Stop, ...]) -> tuple[Stop, ...]:
    return tuple((at + number * 24 * HOUR, north, east) for number in range(7) for at, north, east in walk)


DATE_LINE = Zone(id="home", name="Home", latitude=0.0, longitude=179.9999, radius=100, home=True)
STAY = day((0, 0, 5), (8, 5, 0))
Play = tuple[Callable[[Phone], None], tuple[Zone, ...], tuple[Stop, ...]]
CORPUS: dict[str, Play] = {
    "commute": (commute, (HOME, WORK), COMMUTE),
    "walk past": (walk_past, (HOME,), day((12, 140, -1_500), (12.6, 140, 1_500))),
    "drift": (drift, (HOME,), day((0, 0, 5), (24, 5, 0))),
    "tunnel": (
        tunnel, (HOME, WORK), day((17, 12_000, 0), (17.08, 8_000, 0), (17.2, 2_000, 0), (17.25, 0, 0), (18, 5, 5)),
    ),
    "flush at home": (flush_home, (HOME, WORK), COMMUTE),
    "flush while away": (flush_away, (HOME, WORK), COMMUTE),
    "two phones": (two_phones, (HOME, WORK), COMMUTE),
    "clock wrong": (clock_wrong, (HOME, WORK), COMMUTE),
    "clock slow": (clock_slow, (HOME, WORK), COMMUTE),
    "stuck list": (stuck_list, (HOME, WORK), COMMUTE),
    "accuracy 0": (accuracy_zero, (HOME,), STAY),
    "accuracy 2000": (
        accuracy_2000, (HOME,), day((9, 3_000, 0), (10, 3_000, 5), (10.2, 0, 0), (12, 0, 5)),
    ),
    "nested zones": (
        nested, (HOME, SHOP, VILLAGE),
        day((9, 0, 0), (9.2, 0, 5), (9.3, 200, 0), (9.5, 205, 0), (10.2, 2_600, 0), (10.4, 2_600, 5), (11.3, 0, 0),
            (11.6, 0, 5)),
    ),
    "date line and equator": (
        nested, (DATE_LINE,),
        day((9, 0, -20), (9.3, 0, 10), (9.8, -1_500, 1_500), (10, -1_500, 1_505), (10.6, 0, 0), (11, 5, 5)),
    ),
    "lost leave": (
        lost_leave, (HOME,), day((7, 0, 5), (9, 5, 0), (9.1, 320, 0), (11, 322, 0), (11.1, 5, 0), (13, 0, 5)),
    ),
    "bounce": (bounce, (HOME,), day((0, 0, 5), (6, 5, 0))),
    "iphone sparse": (iphone_sparse, (HOME, WORK), COMMUTE),
    "night silence": (night_silence, (HOME,), day((22, 0, 5), (32, 5, 0))),
    "hints": (hints, (HOME,), COMMUTE),
    "jumps": (jumps, (HOME, WORK), day((9, TO_WORK, 0), (16, TO_WORK, 10))),
    "a bad week": (everything, (HOME, WORK), _week(COMMUTE)),
}  # fmt: skip


def make(name: str, seed: int = 1) -> Walk:
    """Return a track of the corpus, its messages in the order they arrive."""
    play, zones, stops = CORPUS[name]
    walk = Walk(name=name, about=(play.__doc__ or "").strip(), zones=zones, stops=stops, messages=())
    phone = Phone(walk, seed=seed)
    play(phone)
    messages: Sequence[Message] = sorted(phone.sent, key=lambda one: one.received_at)
    return Walk(name=name, about=walk.about, zones=zones, stops=stops, messages=tuple(messages))


def main(directory: str) -> None:
    """Write the corpus."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    for name in CORPUS:
        walk = make(name)
        lines = [{"received_at": one.received_at, "source": one.source, **one.payload} for one in walk.messages]
        Path(directory, f"{name.replace(' ', '-')}.json").write_text(json.dumps(lines, indent=0), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
