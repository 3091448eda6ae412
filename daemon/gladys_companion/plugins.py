"""Plug-ins: found by entry point, configured by their own type, each opened in a task of its own, and contained.

Only what is configured is imported. What leaves a plug-in passes ``contained``: one bad plug-in never stops the rest.
"""

from __future__ import annotations

import asyncio
import difflib
import traceback
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from types import TracebackType
from typing import Any, Literal

import msgspec
import structlog
from msgspec import Struct, structs

from gladys_companion.config import Table, decode
from gladys_companion.errors import CompanionError, ConfigError, Rejected, StoreError, Unavailable
from gladys_companion.ports import Driver, Kit, Plugin, Target

__all__ = ["Group", "PluginRecord", "configure", "contained", "load"]

OPEN_WITHIN = 10.0
CLOSE_WITHIN = 5.0
MOST_TRACEBACKS = 32

Group = Literal["drivers", "sinks"]

_PORTS: Mapping[Group, type] = {"drivers": Driver, "sinks": Target}

log = structlog.get_logger(__name__)


class PluginRecord(Struct, kw_only=True, eq=False):
    """One configured plug-in and how it is; lives as long as the process and is changed only in this module.

    ``status``: ``loaded`` (imported and configured), ``open`` (all is well), ``failing`` (open, and something left it
    that should not have; stays so until the next start), ``failed`` (can not be used), ``closed``. ``target`` is set
    while it is open or failing; for a driver it is a ``ports.Driver``. ``reason`` is a sentence.
    """

    name: str
    group: Group
    plugin: Plugin | None = None
    config: Any = None
    target: Any = None
    status: Literal["loaded", "open", "failing", "failed", "closed"] = "loaded"
    reason: str | None = None
    failures: int = 0
    told: set[str] = msgspec.field(default_factory=set)

    def fail(self, reason: str) -> None:
        """Turn red; if it is not open, for good."""
        self.status = "failing" if self.target is not None else "failed"
        self.reason = reason

    def turn_off(self, error: CompanionError) -> None:
        """Take note that it can not be used any more; why it turned red, if it did, says more than ``error``."""
        if self.status not in {"failing", "failed"}:
            self.reason = str(error)
        self.target, self.status = None, "failed"


class contained:  # noqa: N801 - reads as a statement: `async with contained(record):`
    """Hold what leaves a plug-in: the one named place. Use it, with or without ``async``, around every call into one.

    ``Unavailable`` and ``Rejected`` pass, as does the cancellation of this task. The store's own errors become
    ``Unavailable``. Everything else becomes ``Rejected``, turns the record red, and its traceback is logged once.
    """

    def __init__(self, record: PluginRecord) -> None:
        self._record = record

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Pass, translate or blame."""
        if isinstance(error, StoreError):
            raise Unavailable(str(error)) from error
        if isinstance(error, Unavailable | Rejected) or not _is_its_own(error):
            return
        record = self._record
        record.failures += 1
        reason = f"plug-in failed: {record.name} raised {type(error).__name__}"
        record.fail(f"{reason}; the log has the traceback.")
        place = _place(error)
        if place not in record.told and len(record.told) < MOST_TRACEBACKS:
            record.told.add(place)
            log.error("plug-in failed", plugin=record.name, group=record.group, exc_info=error)
        raise Rejected(reason) from error

    async def __aenter__(self) -> None:
        """Begin."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Pass, translate or blame."""
        self.__exit__(kind, error, trace)


def _is_its_own(error: BaseException | None) -> bool:
    """Return whether a plug-in is to blame. A CancelledError that nobody asked this task for came from within it."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, Exception | SystemExit)


def _place(error: BaseException | None) -> str:
    frames = traceback.extract_tb(error.__traceback__) if error else []
    return f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__


def configure(group: Group, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, PluginRecord]:
    """Import the named plug-ins and decode their tables; opens nothing. Blocks while it imports.

    A plug-in that can not be imported is a record that failed.

    Raises:
        ConfigError: there is no such plug-in, two packages offer it, or its table has a wrong value or key.
    """
    installed = tuple(entry_points(group=f"gladys_companion.{group}"))
    return {name: _configured(_chosen(group, name, table, installed), group, table) for name, table in tables.items()}


def _chosen(group: Group, name: str, table: Mapping[str, Any], installed: tuple[EntryPoint, ...]) -> EntryPoint:
    found = [one for one in installed if one.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        packages = " and ".join(sorted(one.dist.name if one.dist else "?" for one in found))
        raise _wrong(group, name, table, f"the packages {packages} both offer it: uninstall one.")
    names = sorted({one.name for one in installed})
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Installed are: {', '.join(names) or 'none'}."
    raise _wrong(group, name, table, f"no such plug-in is installed. {hint}")


def _wrong(group: Group, name: str, table: Mapping[str, Any], sentence: str) -> ConfigError:
    origin = table if isinstance(table, Table) else Table(table, (group, name))
    return origin.error("", sentence)


def _configured(entry: EntryPoint, group: Group, table: Mapping[str, Any]) -> PluginRecord:
    record = PluginRecord(name=entry.name, group=group)
    origin = table if isinstance(table, Table) else Table(table, (group, entry.name))
    wrong: ConfigError | None = None
    try:
        with contained(record):
            plugin = _imported(entry)
            try:
                decode(origin, _strict(plugin.config))
                record.config = decode(origin, plugin.config)
            except ConfigError as error:
                wrong = error
            record.plugin = plugin
    except (Unavailable, Rejected) as error:
        record.turn_off(error)
    if wrong is not None:
        raise wrong
    return record


def _imported(entry: EntryPoint) -> Plugin:
    try:
        plugin = entry.load()
    except ModuleNotFoundError as error:
        ours = entry.dist is not None and entry.dist.name == "gladys-companion"
        what = f"gladys-companion[{entry.name}]" if ours else str(error.name)
        raise Rejected(f"The Python module {error.name!r} is missing: install {what!r}.") from error
    if not isinstance(plugin, Plugin) or not issubclass(plugin.config, Struct):
        raise Rejected(f"The entry point {entry.name} = {entry.value!r} does not name a gladys_companion.ports.Plugin.")
    return plugin


def _strict(config: type[Struct]) -> type[Struct]:
    """Return the type, or one that refuses unknown keys too: a misspelt option must not be silently ignored."""
    if config.__struct_config__.forbid_unknown_fields:
        return config
    return msgspec.defstruct(config.__name__, [], bases=(config,), forbid_unknown_fields=True)


async def load(
    group: Group,
    tables: Mapping[str, Mapping[str, Any]],
    kit: Callable[[str], Kit],
    stack: AsyncExitStack,
    *,
    open_within: float = OPEN_WITHIN,
) -> dict[str, PluginRecord]:
    """Import, configure and open the plug-ins of a group, all at once; ``stack`` closes them.

    Each is held open by a task of its own, so that a plug-in whose own tasks fail takes nobody along. One that can not
    be opened, or not within ``open_within`` seconds, is a record that failed and is not tried again: ``open`` of a
    plug-in must not wait for the outside world.

    Args:
        group: ``drivers`` or ``sinks``.
        tables: their tables, by name.
        kit: makes the kit of the plug-in of that name.
        stack: entered by the task that calls this.
        open_within: seconds.

    Raises:
        ConfigError: as ``configure``, or raised by a plug-in as it opened.
    """
    records = await asyncio.to_thread(configure, group, tables)  # an import takes up to half a second
    tasks = asyncio.TaskGroup()
    await tasks.__aenter__()
    closing = asyncio.Event()

    async def close(*_: object) -> None:  # what the stack ends with is not the plug-ins' business
        closing.set()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):  # then they are cancelled
                await tasks.__aexit__(None, None, None)
        except TimeoutError:
            log.warning("plug-ins closed late", group=group)

    stack.push_async_exit(close)
    held: dict[str, asyncio.Task[None]] = {}
    opening: dict[str, asyncio.Future[None]] = {}
    for name, record in records.items():
        if record.plugin is not None:
            opening[name] = asyncio.get_running_loop().create_future()
            own = structs.replace(kit(name), contained=partial(contained, record))
            coroutine = _hold(record, record.plugin, own, opening[name], closing)
            held[name] = tasks.create_task(coroutine, name=f"plug-in {name}")
    if opening:
        await asyncio.wait(opening.values(), timeout=open_within)
    for name, opened in opening.items():
        if not opened.done():
            opened.cancel()
            records[name].fail(f"It did not open within {open_within:g} s.")
            held[name].cancel()
    wrong = [error for opened in opening.values() if not opened.cancelled() and (error := opened.exception())]
    if wrong:
        raise wrong[0]
    return records


async def _hold(
    record: PluginRecord, plugin: Plugin, kit: Kit, opened: asyncio.Future[None], closing: asyncio.Event
) -> None:
    """Open a plug-in and hold it until it is told to close, or breaks."""
    try:
        async with contained(record):
            try:
                await _held(record, plugin, kit, opened, closing)
            except ConfigError as error:
                if opened.done():
                    raise
                opened.set_exception(error)
            except CompanionError as error:
                raise Rejected(str(error)) from error
    except (Unavailable, Rejected) as error:
        record.turn_off(error)
    finally:
        record.target = None
        if record.status != "failed":
            record.status = "closed"
        if not opened.done():
            opened.set_result(None)


async def _held(
    record: PluginRecord, plugin: Plugin, kit: Kit, opened: asyncio.Future[None], closing: asyncio.Event
) -> None:
    async with plugin.open(record.config, kit) as target:
        if not isinstance(target, _PORTS[record.group]):
            raise Rejected(
                f"It opened a {type(target).__name__}, which does not implement ports.{_PORTS[record.group].__name__}."
            )
        if opened.done():
            return
        record.target, record.status, record.reason = target, "open", None
        opened.set_result(None)
        await closing.wait()
