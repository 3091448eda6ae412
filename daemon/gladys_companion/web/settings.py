"""Settings that may be changed while the daemon runs. A changed one holds over the configuration until it is reset.

Which ones, and what they mean, is in ``config.example.toml``: a name here is ``table.option`` there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from msgspec import Struct, structs

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Config
from gladys_companion.errors import RequestError
from gladys_companion.store import settings as rows
from gladys_companion.store.writer import Store

__all__ = ["CHANGEABLE", "Setting", "Settings"]

CHANGEABLE = (
    "log_level",
    "presence.accuracy_gate",
    "presence.exit_margin",
    "presence.enter_dwell",
    "presence.leave_dwell",
    "presence.stale_after",
    "retention.events_days",
    "retention.unbound_days",
    "retention.positions_days",
    "retention.history_days",
)

log = structlog.get_logger(__name__)


class Setting(Struct, frozen=True, kw_only=True):
    """A setting: what holds now, what the configuration says, and whether the two differ because it was changed."""

    name: str
    value: str | float
    configured: str | float
    changed: bool


class Settings:
    """The configuration as it holds now; ``apply`` is told of each change, and of the first state.

    Args:
        store: keeps what was changed.
        configured: what the file says.
        apply: is given the whole configuration that holds.
        clock: wall time.
    """

    def __init__(
        self, store: Store, configured: Config, apply: Callable[[Config], None] = lambda _: None, clock: Clock = SYSTEM
    ) -> None:
        self._store = store
        self._configured = configured
        self._apply = apply
        self._clock = clock
        self._changed: dict[str, Any] = {}
        self.config = configured

    async def load(self) -> None:
        """Take up what was changed before.

        Raises:
            StoreError: it can not be read; the configuration holds.
        """
        kept = await self._store.read(rows.read)
        for name, value in kept.items():
            try:
                self.config = _with(self.config, name, value)
            except RequestError as error:  # of another version
                log.warning("setting is not used", name=name, reason=str(error))
            else:
                self._changed[name] = value
        self._apply(self.config)

    def all(self) -> tuple[Setting, ...]:
        """Return all settings that may be changed."""
        return tuple(
            Setting(
                name=name,
                value=_get(self.config, name),
                configured=_get(self._configured, name),
                changed=name in self._changed,
            )
            for name in CHANGEABLE
        )

    async def change(self, name: str, value: str | float) -> Setting:
        """Change a setting now, and for later starts.

        Raises:
            RequestError: 404 ``SETTING_NOT_FOUND``; 422: it can not have that value.
            StoreError: it was not changed.
        """
        wanted = _with(self.config, name, value)
        kept, now = _get(wanted, name), self._clock.now()
        await self._store.write(lambda database: rows.put(database, name, kept, now))
        self._changed[name] = kept
        return self._take(name)

    async def reset(self, name: str) -> Setting:
        """Let the configuration hold again.

        Raises:
            RequestError: 404 ``SETTING_NOT_FOUND``.
            StoreError: it was not reset.
        """
        _get(self._configured, name)
        await self._store.write(lambda database: rows.remove(database, name))
        self._changed.pop(name, None)
        return self._take(name)

    def _take(self, name: str) -> Setting:
        self.config = _all_with(self._configured, self._changed)
        self._apply(self.config)
        log.info("setting", name=name, value=_get(self.config, name))
        return next(one for one in self.all() if one.name == name)


def _all_with(config: Config, changed: Mapping[str, Any]) -> Config:
    for name, value in changed.items():
        config = _with(config, name, value)
    return config


def _get(config: Config, name: str) -> Any:  # noqa: ANN401 - of any option
    if name not in CHANGEABLE:
        sentence = f"{name[:100]!r} can not be changed while the daemon runs; {', '.join(CHANGEABLE)} can."
        raise RequestError(404, "SETTING_NOT_FOUND", sentence, field="name")
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _with(config: Config, name: str, value: str | float) -> Config:
    """Return the configuration with another value; numbers may come as text, as forms send them.

    Raises:
        RequestError: 404, 422: see ``Settings.change``.
    """
    before = _get(config, name)
    table, _, option = name.rpartition(".")
    owner = getattr(config, table) if table else config
    given = value
    if isinstance(value, str) and not isinstance(before, str):
        given = value.strip().replace(",", ".")  # as French keyboards write it
    kind = next(field.type for field in structs.fields(type(owner)) if field.name == option)
    try:
        checked = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise RequestError(
            422, "INVALID_FIELD", f"{name} can not be {str(value)[:50]!r}: {error}.", field="value"
        ) from error
    changed = structs.replace(owner, **{option: checked})
    return structs.replace(config, **{table: changed}) if table else changed
