"""A home without devices or gateway: real store, registry and intake, and a host that does next to nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gladys_companion.clock import SYSTEM
from gladys_companion.config import Config, Local
from gladys_companion.discovery import Seen
from gladys_companion.errors import Rejected, RequestError
from gladys_companion.intake import Intake
from gladys_companion.plugins import PluginRecord
from gladys_companion.ports import Trouble, Wanted
from gladys_companion.presence.service import PresenceService
from gladys_companion.store.registry import Registry, open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import open_store
from gladys_companion.web.service import Service
from gladys_companion.web.settings import Settings
from gladys_companion.web.views import Adopt, Pair, Paired
from gladys_companion.web.visitors import Visitors
from gladys_companion.web.vitals import LinkStatus, MdnsStatus, Vitals

__all__ = ["QuietHost", "home_config", "open_home"]


class QuietHost:
    """Connected to nothing."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.link = LinkStatus(state="unpaired")
        self.silent: set[str] = set()
        self.trusted: set[str] = set()
        self.plugins: dict[str, PluginRecord] = {}

    def vitals(self) -> Vitals:
        return Vitals(link=self.link, mdns=MdnsStatus(state="off"))

    def scan(self) -> tuple[Seen, ...]:
        return (
            Seen(type="_wled._tcp.local.", name="WLED", state="followed", says="It answers."),
            Seen(type="_hap._tcp.local.", name="Lamp", state="refused", says="Pair it.", device="homekit:a1"),
        )

    def trouble(self, device_id: str) -> Trouble | None:
        return Trouble("It does not answer.", since=1.0) if device_id in self.silent else None

    def wants(self, device_id: str) -> Wanted:
        if device_id != "homekit:a1":
            raise RequestError(404, "DEVICE_NOT_FOUND", "No such device is announced.")
        return Wanted("The PIN stands on it.", code=True)

    async def pair_device(self, device_id: str, code: str | None) -> Seen:
        self.wants(device_id)
        if code != "031-45-154":
            raise Rejected("The PIN is wrong.")
        self.trusted.add(device_id)
        return Seen(type="_hap._tcp.local.", name="Lamp", state="followed", says="It answers.", device=device_id)

    async def unpair_device(self, device_id: str) -> None:
        if device_id in self.trusted:
            self.trusted.remove(device_id)
        else:
            raise Rejected("Reset it, for it could not be told.")

    async def pair(self, wish: Pair) -> Paired:
        if wish.code != "ABCDEFGH":
            raise RequestError(403, "PAIRING_REFUSED", "The code is wrong or too old.")
        self.link = LinkStatus(state="connected", url=wish.url, since=0.0, clock_offset=0.0)
        return Paired(url=wish.url, home_id="h", home_name="Home", instance_id="i")

    async def adopt(self, made: Adopt) -> Paired:
        return Paired(url=made.url, home_id="", home_name="Gladys Plus", instance_id=made.id)

    async def unpair(self) -> None:
        self.link = LinkStatus(state="unpaired")

    def plugin(self, name: str) -> PluginRecord | None:
        return self.plugins.get(name)

    async def forget(self, device_id: str) -> None:
        await self.registry.forget(device_id)


def home_config(directory: Path) -> Config:
    """Return a configuration that keeps everything below one directory."""
    return Config(
        state_directory=str(directory / "state"),
        runtime_directory=str(directory / "run"),
        local=Local(listen="127.0.0.1:0"),
    )


@asynccontextmanager
async def open_home(directory: Path) -> AsyncIterator[Service]:
    """Give the service of such a home."""
    config = home_config(directory)
    async with open_store(Path(config.state_directory, "companion.db"), MIGRATIONS) as store:
        registry = await open_registry(store, wake=lambda _: intake.changed())
        intake = Intake(store, registry.plan, lambda: registry.snapshot, wake=lambda _: None)
        settings, visitors = Settings(store, config), Visitors(store)
        await settings.load()
        await visitors.load()
        yield Service(
            config=config,
            store=store,
            registry=registry,
            intake=intake,
            presence=PresenceService(store, registry, config, wake=lambda _: None),
            host=QuietHost(registry),
            settings=settings,
            visitors=visitors,
            started_at=SYSTEM.now(),
        )
