"""Takes named events, such as an NFC tag or a button, and does what ``[signals]`` says. A ``ports.Target``.

What a signal does are events of their own, journaled in the transaction that settles it: a crash leaves all of it or
nothing, and it is never done twice. What of it can not be done twice goes on under the rule for that.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
from sqlite_utils import Database

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import SignalOptions
from gladys_companion.errors import Rejected
from gladys_companion.model import ANY_KEY, Delivery, Event, RegistrySnapshot
from gladys_companion.protocol.signals import StartScene
from gladys_companion.resolve import GLADYS_API, OUTSIDE, SIGNALS
from gladys_companion.store.journal import Waits, plan_safely, record, settle
from gladys_companion.store.registry import Registry
from gladys_companion.store.settlement import Settlement
from gladys_companion.store.writer import Store

__all__ = ["SignalService", "derived", "derived_ids", "may_send", "refusal", "remark"]

_NAMESPACE = uuid.UUID("0b5a1f0e-7d0b-4b57-9f5e-8f1f3a3a8c10")
_PARTS = ("state", "scene")


def may_send(signals: Mapping[str, SignalOptions]) -> dict[str, frozenset[str]]:
    """Return for each signal the ids of the keys that may send it, as ``RegistrySnapshot.signals`` has them."""
    return {name: frozenset(options.keys or (ANY_KEY,)) for name, options in signals.items()}


def derived_ids(signal_id: str) -> tuple[str, ...]:
    """Return the ids that the events have which a signal becomes, whichever of them it becomes."""
    return tuple(str(uuid.uuid5(_NAMESPACE, f"{signal_id}|{part}")) for part in _PARTS)


def derived(signal: Event, options: SignalOptions, now: float) -> tuple[Event, ...]:
    """Return the events that a signal becomes: as old as it, and late when it is."""
    made = Event(
        id="",
        origin=SIGNALS,
        at=signal.at,
        received_at=now,
        deadline=signal.deadline,
        boot=signal.boot,
        cause=signal.id,
    )
    state_id, scene_id = derived_ids(signal.id)
    replace = msgspec.structs.replace
    found = []
    if options.external_id:
        given = {"external_id": options.external_id, "value": options.value, "text": options.text}
        found.append(replace(made, id=state_id, **given))
    if options.scene:
        body = msgspec.json.encode(StartScene(options.scene)).decode()
        found.append(replace(made, id=scene_id, kind="signal", external_id=f"scene:{options.scene}", body=body))
    return tuple(found)


def refusal(signal: Event, options: SignalOptions, registry: RegistrySnapshot) -> str | None:
    """Return why a signal must not do what its table says; None where it may.

    The table is the owner's own wish, so that nothing has to be exposed for it. A lock, garage door, alarm or cover
    moves for named keys only, all the same.
    """
    feature = registry.feature(options.external_id) if options.external_id else None
    table = _table(signal)
    if options.external_id and feature is None:
        return f"{table} external_id: no device feature {options.external_id!r} is known here."
    if feature is not None and feature.sensitive and not options.keys and signal.origin in OUTSIDE:
        return f"{table} commands a lock, door, alarm or cover, so it needs keys: the ids of those that may send it."
    if options.scene and GLADYS_API not in registry.targets:
        return f"{table} starts a scene of Gladys, and [sinks.gladys_api] is not switched on."
    return None


def remark(made: Iterable[Event]) -> str:
    """Return what a signal did, in words that lead on to the events that it became."""
    return "; ".join(f"{_does(one)} (event {one.id})" for one in made)


def _does(event: Event) -> str:
    if event.kind == "signal":
        return f"starts {event.external_id}"
    given = repr(event.text) if event.value is None else f"{event.value:g}"
    return f"{event.external_id} is to be {given}"


def _table(signal: Event) -> str:
    return f'[signals."{signal.external_id}"]'


class _Done(NamedTuple):
    """What a job on the writer came to: a remark or a refusal, and the lanes to wake."""

    remark: str = ""
    refusal: str | None = None
    lanes: tuple[str, ...] = ()


class SignalService:
    """What signals do; ``open`` it before the link.

    Args:
        store, registry: the daemon's.
        signals: ``[signals]``.
        waits: whether somebody waits for the receipt of an event; ``Intake.waits``.
        wake: told the lanes in which something new waits.
        clock: wall and boot time.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        signals: Mapping[str, SignalOptions],
        *,
        waits: Waits,
        wake: Callable[[Iterable[str]], None],
        clock: Clock = SYSTEM,
    ) -> None:
        self._store = store
        self._registry = registry
        self._signals = signals
        self._waits = waits
        self._wake = wake
        self._clock = clock

    async def open(self) -> None:
        """Let signals be taken; those that came before their table was written are late by now, or done.

        Raises:
            StoreError: what was kept waits for the next start.
        """
        await self._registry.use_signals(may_send(self._signals))

    async def deliver(self, delivery: Delivery) -> str:
        """Do what the signal is to do, unless it just did; see ``ports.Target``. Returns what it did.

        Raises:
            Rejected: it can not do that; nothing of it was done.
            StoreError: the database can not take it now.
        """
        signal = delivery.event
        options = self._signals.get(signal.external_id or "")
        if options is None:
            raise Rejected(f"{_table(signal)} is not in the configuration any more.")

        def job(database: Database) -> _Done:
            return self._do(database, delivery.seq, signal, options)

        done = await self._store.write(job, lambda done: self._wake(done.lanes))
        if done.refusal is not None:
            raise Rejected(done.refusal)
        return done.remark

    def _do(self, database: Database, seq: int, signal: Event, options: SignalOptions) -> _Done:
        ago = _did_before(database, signal, options.debounce)
        if ago is not None:
            says = f"nothing was done: the same signal did it {ago:.0f} s before (debounce {options.debounce:g} s)"
            return self._settled(database, seq, _Done(says))
        refused = refusal(signal, options, self._registry.snapshot)
        if refused is not None:
            return _Done(refusal=refused)
        now = self._clock.now()
        made = derived(signal, options, now)
        for event in made:
            planned = plan_safely(event, self._registry.plan)
            if planned.refusal is not None:
                return _Done(refusal=f"{_table(signal)}: {planned.refusal.sentence}")
        elapsed, lanes = self._clock.elapsed(), set[str]()
        for event in made:
            recorded = record(database, event, self._registry.plan, _nobody, now=now, elapsed=elapsed)
            lanes.update(recorded.lanes)
        return self._settled(database, seq, _Done(remark(made), lanes=tuple(lanes)))

    def _settled(self, database: Database, seq: int, done: _Done) -> _Done:
        """Settle the signal with what it did, so that no crash between the two has it done again, or called late."""
        settlement = Settlement(seq=seq, target=SIGNALS, state="delivered", reason=done.remark)
        settle(database, [settlement], self._clock.now(), self._waits)
        return done


def _did_before(database: Database, signal: Event, debounce: float) -> float | None:
    """Return how many seconds before (or after: what came later may be older) the same signal did something."""
    rows = database.conn.execute(
        "SELECT id, at FROM events INDEXED BY events_signals WHERE kind = 'signal' AND external_id = ? "
        "AND at > ? AND at < ? AND id != ? ORDER BY at DESC",
        (signal.external_id, signal.at - debounce, signal.at + debounce, signal.id),
    ).fetchall()
    for event_id, at in rows:
        ids = derived_ids(event_id)
        if database.conn.execute("SELECT 1 FROM events WHERE id IN (?, ?)", ids).fetchone():
            return abs(signal.at - float(at))
    return None


def _nobody(_: int) -> bool:
    return False
