"""What Prometheus is told of a gateway: who is connected, what is held, and how phones were answered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version

from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.heartbeat import Heartbeats
from gladys_companion.gateway.sockets import Sockets
from gladys_companion.metrics import Durations, Family, Sample, counted, gauge

__all__ = ["Answers", "families"]

ROUTES = frozenset({"device", "event", "events", "message", "owntracks", "overland", "osmand"})


class Answers:
    """How requests of phones were answered: by route and status, and in what time."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.durations = Durations()
        self.started_at = time.time()

    def add(self, path: str, status: int, began: float) -> None:
        """Count one; ``began`` is of ``time.perf_counter``."""
        name = path.split("/", 4)[3] if path.count("/") > 2 else ""  # noqa: PLR2004 - /v1/api/NAME
        self.counts[name if name in ROUTES else "other", str(status)] += 1
        self.durations.add(time.perf_counter() - began)


async def families(accounts: Accounts, sockets: Sockets, heartbeats: Heartbeats, answers: Answers) -> Iterable[Family]:
    """Return all values of now."""
    homes, held, beats = accounts.homes(), await accounts.held(), sorted(heartbeats.beats.items())

    def of_homes(name: str, what: str, values: Iterable[float]) -> Family:
        labels = ({"home": home.id} for home in homes)
        return gauge(name, what, *(Sample(value, label) for value, label in zip(values, labels, strict=True)))

    return [
        gauge("build_info", "1; the version is its label.", Sample(1, {"version": version("gladys-companion")})),
        gauge("started_at_seconds", "When the gateway started, seconds since the epoch.", answers.started_at),
        of_homes(
            "home_up", "1 while the home's primary instance is connected.", (sockets.connected(h.id) for h in homes)
        ),
        of_homes(
            "home_held_events", "Events held for a home.", (held[h.id].events if h.id in held else 0 for h in homes)
        ),
        of_homes("home_held_bytes", "Their bytes.", (held[h.id].bytes if h.id in held else 0 for h in homes)),
        gauge(
            "home_heartbeat_seconds",
            "How long a question took to a home, through its database, and back.",
            *(Sample(beat.seconds, {"home": home}) for home, beat in beats),
        ),
        gauge(
            "home_heartbeat_at_seconds",
            "When it was answered last, seconds since the epoch.",
            *(Sample(beat.at, {"home": home}) for home, beat in beats),
        ),
        of_homes(
            "home_silent",
            "1 while a home that was here since the start has been silent for silent_after.",
            (heartbeats.silent(h.id) is not None for h in homes),
        ),
        of_homes(
            "home_keys",
            "Keys of a home's phones.",
            (sum(key.revoked_at is None for key in accounts.keys(h.id)) for h in homes),
        ),
        counted("answers", "Requests of phones, by route and status.", ("route", "status"), answers.counts),
        Family("answer_seconds", "histogram", "From a phone's request to its answer.", durations=answers.durations),
    ]
