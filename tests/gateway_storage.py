"""Parts that the tests of the gateway's storage share: a storage with a home in it, and events for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.sqlite import SqliteStorage, open_storage
from gladys_companion.gateway.storage import NewEvent, Settlement
from gladys_companion.ids import new_id
from tests.home import SetClock

__all__ = ["Gateway", "new_event", "open_gateway", "settlement"]

BODY = b'{"device_feature_external_id":"mqtt:my-phone-presence","state":1,"note":"a body to be erased"}'


class Gateway:
    """An open storage, what acts on it, and the clock of both."""

    def __init__(self, storage: SqliteStorage, clock: SetClock, path: Path) -> None:
        self.storage, self.clock, self.path = storage, clock, path
        self.changed: list[str] = []
        self.accounts = Accounts(storage, clock, changed=self.changed.append)


@asynccontextmanager
async def open_gateway(directory: Path, clock: SetClock | None = None) -> AsyncIterator[Gateway]:
    clock = clock or SetClock()
    path = directory / "gateway.db"
    async with open_storage(path, clock) as storage:
        yield Gateway(storage, clock, path)


def new_event(
    home_id: str = "home",
    key_id: str = "key",
    *,
    event_id: str | None = None,
    received_at: float = 1_700_000_000.0,
    idempotency_key: str | None = None,
    body: bytes = BODY,
    body_hash: bytes | None = None,
) -> NewEvent:
    return NewEvent(
        id=event_id or new_id(),
        home_id=home_id,
        key_id=key_id,
        action="create-device-state",
        order_key="mqtt:my-phone-presence",
        received_at=received_at,
        elapsed=1_000.0,
        boot="boot-1",
        body=body,
        size=len(body),
        external_id="mqtt:my-phone-presence",
        idempotency_key=idempotency_key,
        body_hash=body_hash,
    )


def settlement(event_id: str, outcome: str = "delivered", at: float = 1_700_000_001.0) -> Settlement:
    receipt = f'{{"status":200,"id":"{event_id}","outcome":"{outcome}","duplicate":false}}'.encode()
    return Settlement(id=event_id, receipt=receipt, settled_at=at, sent_at=at - 0.5)
