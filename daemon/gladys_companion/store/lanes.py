"""Deliveries that wait, lane by lane: leased before an attempt, so that a crash under way is known and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct, structs
from sqlite_utils import Database

from gladys_companion.model import DeliveryState, Event, Feature, PlannedDelivery, RegistrySnapshot
from gladys_companion.resolve import INLINE, late_reason, once
from gladys_companion.store import journal
from gladys_companion.store.journal import SENT, Settlement, settle
from gladys_companion.store.receipts import EVENT_COLUMNS, read_event

__all__ = ["Lease", "Leased", "hand_back", "lease", "overtaken", "recover", "retry_now", "waiting_lanes"]

MOST_CRASHES = 3
MOST_LEASED = 32  # of a sink's lane; a device's lane takes one, so that a newer command still supersedes the next

ENDED = "the program ended while it was under way: whether it was done is not known"
QUARANTINED = f"quarantined: the program ended {MOST_CRASHES} times while it was under way"


class Leased(Struct, frozen=True, kw_only=True):
    """One delivery whose attempt may begin now."""

    seq: int
    event: Event
    target: str
    feature: Feature | None
    attempts: int
    late: bool
    newest: int
    sent: bool = False


class Lease(Struct, frozen=True, kw_only=True):
    """What a lane may do now: ``taken`` in order; ``settled`` on the way; else come back after ``wait`` seconds."""

    taken: tuple[Leased, ...] = ()
    settled: tuple[Settlement, ...] = ()
    wait: float | None = None


def lease(
    database: Database,
    lane: str,
    registry: RegistrySnapshot,
    waits: Callable[[int], bool],
    *,
    now: float,
    elapsed: float,
    boot: str,
) -> Lease:
    """Take the next deliveries of a lane, counting the attempt in each row before it starts."""
    rows = database.conn.execute(
        f"SELECT d.event, d.target, d.feature, d.attempts, d.crashes, d.retry_at, d.sent, "
        f"iif(d.target = ?, e.relayed, NULL), {EVENT_COLUMNS} "
        "FROM deliveries d JOIN events e ON e.seq = d.event "
        "WHERE d.lane = ? AND d.state IN ('pending', 'sending') AND d.under_way = 0 AND NOT EXISTS ("
        # news of a command waits until its device has done it
        "SELECT 1 FROM deliveries o WHERE o.event = d.event AND d.lane = d.target AND o.lane != o.target "
        "AND o.state IN ('pending', 'sending')) ORDER BY d.event LIMIT ?",
        (INLINE, lane, MOST_LEASED),
    ).fetchall()
    newest = database.conn.execute("SELECT max(seq) FROM events").fetchone()[0] or 0
    taken: list[Leased] = []
    expired: list[Settlement] = []
    wait = None
    for seq, target, feature_id, attempts, crashes, retry_at, sent, relayed, *columns in rows:
        event = structs.replace(read_event(columns), relayed=relayed)
        feature = registry.features.get(feature_id) if feature_id else None
        same_boot = event.boot == boot
        late = not same_boot or elapsed >= event.deadline
        if late and (reason := late_reason(PlannedDelivery(target, lane), feature, event)):
            was: DeliveryState = "unknown" if sent else "expired"
            expired.append(Settlement(seq=seq, target=target, state=was, reason=SENT if sent else reason))
            continue
        alone = lane != target or crashes > 0 or once(target, event, feature)
        if alone and taken:
            break
        if same_boot and retry_at > elapsed:
            command = lane != target
            wait = min(retry_at, event.deadline) - elapsed if command else retry_at - elapsed
            break
        taken.append(
            Leased(
                seq=seq,
                event=event,
                target=target,
                feature=feature,
                attempts=attempts + 1,
                late=late,
                newest=newest,
                sent=bool(sent),
            )
        )
        if alone:
            break
    also = settle(database, expired, now, waits).also
    for one in taken:
        sending = once(one.target, one.event, one.feature)
        database.conn.execute(
            "UPDATE deliveries SET attempts = attempts + 1, under_way = 1, state = ? WHERE event = ? AND target = ?",
            ("sending" if sending else "pending", one.seq, one.target),
        )
    return Lease(taken=tuple(taken), settled=(*expired, *also), wait=wait)


def recover(database: Database, now: float) -> None:
    """Judge what was under way when the last process ended: unknown, counted, or after three times quarantined.

    What only waits is tried at once: a backoff ends with the process that kept it.
    """
    rows = database.conn.execute(
        "SELECT event, target, state, crashes FROM deliveries WHERE state IN ('pending', 'sending') AND under_way = 1"
    ).fetchall()
    judged = []
    for seq, target, state, crashes in rows:
        if state == "sending":
            judged.append(Settlement(seq=seq, target=target, state="unknown", reason=ENDED))
        elif crashes + 1 >= MOST_CRASHES:
            judged.append(Settlement(seq=seq, target=target, state="rejected", reason=QUARANTINED))
    settle(database, judged, now, lambda _: False)
    database.conn.execute(
        "UPDATE deliveries SET crashes = crashes + 1, under_way = 0 WHERE state = 'pending' AND under_way = 1"
    )
    database.conn.execute("UPDATE deliveries SET retry_at = 0 WHERE state = 'pending' AND retry_at > 0")


def hand_back(database: Database, lane: str | None = None) -> None:
    """Take back leases of attempts not begun, or cancelled in order (of one lane, or of all): those are no crashes."""
    database.conn.execute(
        "UPDATE deliveries SET under_way = 0, attempts = attempts - 1 "
        "WHERE under_way = 1 AND state = 'pending' AND (?1 IS NULL OR lane = ?1)",
        (lane,),
    )


def overtaken(database: Database, lane: str, done: Sequence[Settlement]) -> dict[tuple[int, str], Settlement]:
    """Return those of ``done`` that would wait again although a newer command of their feature waits already."""
    found = {}
    for one in done:
        if one.state != "pending" or lane == one.target:
            continue
        newer = database.conn.execute(
            "SELECT mine.sent FROM deliveries d JOIN deliveries mine ON mine.event = ? AND mine.target = d.target "
            "AND mine.feature = d.feature "
            "WHERE d.lane = ? AND d.event > ? AND d.state IN ('pending', 'sending') LIMIT 1",
            (one.seq, lane, one.seq),
        ).fetchone()
        if newer:
            found[one.seq, one.target] = journal.overtaken(one.seq, one.target, sent=one.sent or bool(newer[0]))
    return found


def waiting_lanes(database: Database) -> set[str]:
    """Return the lanes in which something waits."""
    rows = database.conn.execute("SELECT DISTINCT lane FROM deliveries WHERE state IN ('pending', 'sending')")
    return {row[0] for row in rows}


def retry_now(database: Database, lane: str) -> None:
    """Forget the backoff of a lane: what it leads to was just seen again."""
    database.conn.execute(
        "UPDATE deliveries SET retry_at = 0 WHERE lane = ? AND state IN ('pending', 'sending')", (lane,)
    )
