"""What Prometheus is told of a home: how its parts are, how much is kept, and what happened since the start."""

from __future__ import annotations

from collections.abc import Iterator

from gladys_companion.metrics import Family, Sample, counted, gauge
from gladys_companion.web.service import Service
from gladys_companion.web.vitals import Status

__all__ = ["families"]


async def families(service: Service) -> list[Family]:
    """Return all values of now."""
    status = await service.status()
    return [*_parts(status), *_kept(status), *_happened(service)]


def _parts(status: Status) -> Iterator[Family]:
    yield gauge("build_info", "1; the version is its label.", Sample(1, {"version": status.version}))
    yield gauge("started_at_seconds", "When the daemon started, seconds since the epoch.", status.started_at)
    yield gauge("store_up", "1 while the database answers.", status.store is None)
    yield gauge("link_up", "1 while the gateway is connected.", status.link.state == "connected")
    yield gauge("link_primary", "1 while the home's messages go to this instance.", status.link.primary)
    yield gauge("link_silent_seconds", "For how long the gateway was not heard.", status.link.silent_for)
    if status.inline is not None:
        yield gauge("inline_up", "1 while Gladys Plus is connected.", status.inline.state == "connected")
        yield gauge("inline_gladys_up", "1 while Gladys is connected in line.", status.inline.gladys)
        yield gauge(
            "inline_dropped", "What neither side wanted answered, and could not be passed on.", status.inline.dropped
        )
    yield gauge("mdns_services", "Services that are announced on the network.", status.mdns.services)
    plugins = [Sample(one.status == "open", {"group": one.group, "name": one.name}) for one in status.plugins]
    yield gauge("plugin_up", "1 while a driver or sink is open.", *plugins)
    yield gauge("troubles", "Devices that can not be used now.", len(status.troubles))


def _kept(status: Status) -> Iterator[Family]:
    counts = status.counts
    if counts is None:
        return
    yield gauge("devices", "Devices that are known.", counts.devices)
    yield gauge("features", "Features of these devices.", counts.features)
    yield gauge("journal_events", "Events in the journal.", counts.events)
    yield gauge("journal_unbound", "Events that wait for somebody to bind their id.", counts.unbound)
    yield gauge("deliveries_waiting", "Deliveries that have not settled.", counts.pending)
    if counts.newest_at is not None:
        yield gauge(
            "newest_event_seconds", "When the newest event was committed, seconds since the epoch.", counts.newest_at
        )


def _happened(service: Service) -> Iterator[Family]:
    told = service.intake.counts
    yield counted("events", "Events that were committed.", ("kind", "origin"), told.events)
    yield counted("deliveries", "Deliveries that settled.", ("target", "state"), told.deliveries)
    yield Family("receipt_seconds", "histogram", "From an event's arrival to its receipt.", durations=told.receipts)
