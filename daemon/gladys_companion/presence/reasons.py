"""Why somebody is where we say, in words: "away since 18:02: 640 m from home (exit radius 250 m) for 3 min, ..."."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gladys_companion.presence.claims import Fact
from gladys_companion.presence.people import Belief
from gladys_companion.presence.rules import Rules, Zone

__all__ = ["clock_time", "duration", "metres", "state_words", "why"]

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_KILOMETRE = 1_000
_FAR = 10_000


def state_words(zone: Zone, *, inside: bool | None) -> str:
    """Return what a person is towards a zone: ``home``, ``away``, ``in Work``, ``outside Work``, ``unknown``."""
    if inside is None:
        return "unknown"
    if zone.home:
        return "home" if inside else "away"
    return f"{'in' if inside else 'outside'} {zone.name}"


def why(belief: Belief, zone: Zone, rules: Rules, *, several: bool = False) -> str:
    """Return the reason of a belief, without a full stop; ``several``: say which source, as there are more."""
    called = [rules.sources.get(source, source) for source in belief.sources]
    if belief.inside is None:
        return _unknown(belief, zone, rules, called)
    since = clock_time(belief.since, belief.until, rules.timezone)
    says = f", says {called[0]}" if several and called else ""
    shown = "" if belief.fact is None else _fact(belief.fact, zone, belief)
    return f"{state_words(zone, inside=belief.inside)} since {since}: {shown}{says}"


def _unknown(belief: Belief, zone: Zone, rules: Rules, called: list[str]) -> str:
    if not called:
        return "unknown: nothing has been heard yet"
    if len(called) > 1:
        return f"unknown: {' and '.join(called)} disagree, and none of them has moved yet"
    since = clock_time(belief.since, belief.since, rules.timezone)
    heard = clock_time(belief.until, belief.since, rules.timezone)
    return f"unknown since {since}: {called[0]} has said nothing about {_place(zone)} since {heard}"


def _fact(fact: Fact, zone: Zone, belief: Belief) -> str:
    where, inside, lasted = _place(zone), belief.inside, belief.until - belief.since
    held = f" for {duration(lasted)}" if lasted >= 1 else ""
    match fact.how:
        case "position":
            kind, limit = ("radius", zone.radius) if inside else ("exit radius", zone.outer)
            accuracy = "" if fact.accuracy is None else f", accuracy {metres(fact.accuracy)}"
            return f"{metres(fact.metres or 0.0)} from {where} ({kind} {metres(limit)}){held}{accuracy}"
        case "region":
            return f"the phone itself noticed that it {'entered' if inside else 'left'} {where}{held}"
        case "listed":
            return f"the phone {'counts' if inside else 'no longer counts'} {where} among the regions it is in{held}"
        case "network":
            return f"connected to the Wi-Fi {fact.name}{held}"
        case "near":
            return f"met on the network of {where}{held}"
        case "told":
            return f"told to be {'in' if inside else 'outside'} {where}{held}"


def _place(zone: Zone) -> str:
    return "home" if zone.home else zone.name


def clock_time(at: float, now: float, timezone: str) -> str:
    """Return a time of day, with its date where it is another day than ``now``; a zone that is not known is UTC."""
    zone = _zone(timezone)
    then, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    return then.strftime("%H:%M" if then.date() == today.date() else "%Y-%m-%d %H:%M")


@cache
def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def duration(seconds: float) -> str:
    """Return a duration in one or two units."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        hours, minutes = whole // _HOUR, whole % _HOUR // _MINUTE
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = whole // _DAY, whole % _DAY // _HOUR
    return f"{days} d {hours} h" if hours else f"{days} d"


def metres(value: float) -> str:
    """Return a distance in metres, or in kilometres from 10 on."""
    return f"{value:.0f} m" if value < _FAR else f"{value / _KILOMETRE:.0f} km"
