"""Counts kept while a program runs, and the text that Prometheus reads them in. No name and no id of a person is in it.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/. The library that writes the text is imported when
somebody asks for it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Literal

from msgspec import Struct

__all__ = ["BUCKETS", "CONTENT_TYPE", "Durations", "Family", "Sample", "counted", "exposition", "gauge"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "gladys_companion_"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)  # seconds


class Sample(Struct, frozen=True):
    """One value, and what tells it from the others of its family."""

    value: float
    labels: Mapping[str, str] = {}


class Family(Struct, frozen=True):
    """Values of one kind: ``name`` without the prefix, ``help`` what they are."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    samples: Sequence[Sample] = ()
    durations: Durations | None = None


class Durations:
    """How often something took how long, in seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


def gauge(name: str, help_: str, *samples: Sample | float) -> Family:
    """Return a family of values that go up and down."""
    return Family(name, "gauge", help_, [one if isinstance(one, Sample) else Sample(float(one)) for one in samples])


def counted(name: str, help_: str, labels: Sequence[str], counts: Counter[tuple[str, ...]]) -> Family:
    """Return a family of counts that only grow, by the values of their labels."""
    samples = [Sample(float(count), dict(zip(labels, key, strict=True))) for key, count in sorted(counts.items())]
    return Family(name, "counter", help_, samples)


async def exposition(families: Iterable[Family]) -> bytes:
    """Return the text."""
    await asyncio.to_thread(import_module, "prometheus_client")  # the first time takes a while
    return _text(families)


def _text(families: Iterable[Family]) -> bytes:
    from prometheus_client import CollectorRegistry, core, generate_latest  # noqa: PLC0415 - only who scrapes pays

    registry = CollectorRegistry(auto_describe=False)

    class _Collected:
        def collect(self) -> Iterable[core.Metric]:
            for family in families:
                name = f"{PREFIX}{family.name}"
                if family.durations is not None:
                    taken = family.durations
                    sums = [sum(taken.counts[: place + 1]) for place in range(len(taken.counts))]
                    bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
                    yield core.HistogramMetricFamily(
                        name, family.help, buckets=list(zip(bounds, sums, strict=True)), sum_value=taken.total
                    )
                    continue
                metric = core.Metric(name, family.help, family.kind)
                suffix = "_total" if family.kind == "counter" else ""
                for sample in family.samples:
                    metric.add_sample(f"{name}{suffix}", dict(sample.labels), sample.value)
                yield metric

    registry.register(_Collected())
    return generate_latest(registry)
