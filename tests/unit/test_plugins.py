"""Plug-ins by their entry points: a package as a third party installs it, good and bad in every way."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.config import Table
from gladys_companion.config import load as load_config
from gladys_companion.errors import AuthError, ConfigError, Rejected, StoreFull, Unavailable
from gladys_companion.model import RegistrySnapshot
from gladys_companion.plugins import PluginRecord, configure, contained, load
from gladys_companion.ports import Driver, Kit

Install = Callable[..., None]
KitOf = Callable[[str], Kit]

SINK = """
    from contextlib import asynccontextmanager
    import asyncio
    from msgspec import Struct
    from gladys_companion.errors import *
    from gladys_companion.ports import Plugin

    class Options(Struct, frozen=True, kw_only=True):
        host: str = "localhost"
        port: int = 1

    class Sink:
        events = []
        def __init__(self, options, kit):
            self.options, self.kit = options, kit
            self.broken = asyncio.Event()
        async def deliver(self, delivery):
            raise KeyError("never seen")

    @asynccontextmanager
    async def opened(options, kit):
        sink = Sink(options, kit)
        Sink.events.append("open")
        yield sink
        Sink.events.append("closed")

    PLUGIN = Plugin(config=Options, open=opened)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module into a directory of its own on ``sys.path``, as pip does."""
    names: list[str] = []

    def run(name: str, source: str, *, group: str = "sinks", offers: str = "", package: str = "") -> None:
        package = package or f"{name}-plugin"
        place = tmp_path / package
        info = place / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        module = f"third_party_{name}"
        (place / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        entry = f"[gladys_companion.{group}]\n{offers or name} = {module}:PLUGIN\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")
        monkeypatch.syspath_prepend(place)
        names.append(module)

    yield run
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
async def kit() -> AsyncIterator[KitOf]:
    """Make the kit of a plug-in, from real parts; its secrets know whose they are."""

    class Secrets:
        def __init__(self, owner: str) -> None:
            self.owner = owner

        async def get(self, name: str) -> bytes | None:
            return f"{self.owner} {name}".encode()

        async def set(self, name: str, value: bytes | None) -> None:
            raise StoreFull(f"The disk is full: {name} {value!r}.")

    async with AsyncZeroconf(interfaces=["127.0.0.1"], unicast=True) as zeroconf, ClientSession() as http:
        yield lambda name: Kit(
            clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=Secrets(name), registry=RegistrySnapshot
        )


def changed(old: str, new: str) -> str:
    assert old in SINK
    return SINK.replace(old, new)


def now(record: PluginRecord) -> tuple[str, object]:
    return record.status, record.target


@asynccontextmanager
async def opened(
    kit: KitOf, tables: Mapping[str, Mapping[str, Any]], **more: Any
) -> AsyncIterator[dict[str, PluginRecord]]:
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        yield await load("sinks", tables, kit, stack, **more)


async def test_a_third_party_plugin_is_opened_with_its_own_options_and_closed(install: Install, kit: KitOf) -> None:
    """An installed package is found, decoded by its own type, given its own kit, and closed in the end."""
    install("good", SINK)
    async with opened(kit, {"good": {"port": 7}}) as records:
        record = records["good"]
        assert (record.status, record.reason) == ("open", None)
        assert not isinstance(record.target, Driver)
        assert (record.target.options.host, record.target.options.port) == ("localhost", 7)
        assert await record.target.kit.secrets.get("token") == b"good token"
        events = record.target.events
        assert events == ["open"]
    assert events == ["open", "closed"]
    assert now(record) == ("closed", None)


async def test_only_what_is_configured_is_imported(install: Install, kit: KitOf) -> None:
    """A package that is installed and not configured could do anything at import: it is not imported."""
    install("good", SINK)
    install("bomb", "raise SystemExit('imported')")
    async with opened(kit, {"good": {}}) as records:
        assert records.keys() == {"good"}
    assert "third_party_bomb" not in sys.modules


def test_an_unknown_name_is_told_with_the_nearest(install: Install, tmp_path: Path) -> None:
    """The operator reads file, line, table and what the name probably was to be."""
    install("shelly", SINK)
    path = tmp_path / "config.toml"
    path.write_text("log_level = 'info'\n[sinks.shely]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.toml, line 2: \[sinks\] shely: .* Did you mean 'shelly'\?"):
        configure("sinks", load_config(path).sinks)
    with pytest.raises(ConfigError, match=r"Installed are: .*shelly"):
        configure("sinks", {"zzzzzzzzzz": {}})


@pytest.mark.parametrize("strict", ["", ", forbid_unknown_fields=True"])
def test_an_unknown_key_is_told_with_the_nearest_and_a_wrong_value_with_its_path(install: Install, strict: str) -> None:
    """Also a type that does not forbid unknown keys itself ignores none."""
    install(
        "good",
        changed("Options(Struct, frozen=True, kw_only=True", f"Options(Struct, frozen=True, kw_only=True{strict}"),
    )
    with pytest.raises(ConfigError, match=r"\[sinks.good\] prt: .*Did you mean 'port'\?"):
        configure("sinks", {"good": {"prt": 1}})
    with pytest.raises(ConfigError, match=r"\[sinks.good\] port: "):
        configure("sinks", {"good": Table({"port": "x"}, ("sinks", "good"))})
    record = configure("sinks", {"good": {"port": 2}})["good"]
    assert (record.status, type(record.config).__name__, record.config.port) == ("loaded", "Options", 2)
    assert record.plugin is not None
    assert type(record.config) is record.plugin.config


def test_two_packages_that_offer_one_name_are_refused(install: Install) -> None:
    """Which of them would be opened is not left to chance; unless nobody asks for it."""
    install("one", SINK, offers="same", package="first-package")
    install("two", SINK, offers="same", package="second-package")
    with pytest.raises(ConfigError, match="first-package and second-package both offer it"):
        configure("sinks", {"same": {}})
    assert configure("sinks", {}) == {}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise KeyError('secret')", "bad raised KeyError; the log"),
        ("raise SystemExit(3)", "bad raised SystemExit"),
        ("def broken(:", "bad raised SyntaxError"),
        ("import no_such_module_here", "'no_such_module_here' is missing: install 'no_such_module_here'"),
        ("", "bad raised AttributeError"),
        ("PLUGIN = 3", "does not name a gladys_companion.ports.Plugin"),
        ("from gladys_companion.ports import Plugin\nPLUGIN = Plugin(config=dict, open=None)", "does not name a"),
        (SINK.replace("yield sink", "raise KeyError('secret'); yield sink"), "bad raised KeyError"),
        (SINK.replace("yield sink", "raise AuthError('Renew the password.'); yield sink"), r"^Renew the password\.$"),
        (SINK.replace("yield sink", "raise Unavailable('Nobody is there.'); yield sink"), r"^Nobody is there\.$"),
        (SINK.replace("yield sink", "yield 5"), "opened a int, which does not implement ports.Target"),
        (SINK.replace("yield sink", "await kit.secrets.set('a', b''); yield sink"), r"^The disk is full: a b''\.$"),
        (SINK.replace("yield sink", "await asyncio.Event().wait(); yield sink"), "did not open within 0.5 s"),
        (SINK.replace("yield sink", "raise asyncio.CancelledError; yield sink"), "bad raised CancelledError"),
    ],
)
async def test_a_bad_plugin_is_red_and_the_others_open(install: Install, kit: KitOf, source: str, reason: str) -> None:
    """Whatever goes wrong at import or open is a status with its reason, holds no secret, and stops nobody."""
    install("bad", source)
    install("good", SINK)
    async with opened(kit, {"bad": {}, "good": {}}, open_within=0.5) as records:
        bad = records["bad"]
        assert (bad.status, bad.target) == ("failed", None)
        assert bad.reason is not None
        assert "secret" not in bad.reason
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(bad.reason)
        assert records["good"].status == "open"
    assert (bad.status, records["good"].status) == ("failed", "closed")


async def test_what_a_plugin_says_about_its_options_as_it_opens_ends_the_start(install: Install, kit: KitOf) -> None:
    """A file that an option names and that is not there is the operator's to mend."""
    install("bad", changed("yield sink", "raise ConfigError('ca.pem does not exist.'); yield sink"))
    install("good", SINK)
    with pytest.raises(ConfigError, match=r"ca\.pem does not exist"):
        async with opened(kit, {"bad": {}, "good": {}}):
            pytest.fail("opened")
    assert sys.modules["third_party_good"].Sink.events == ["open", "closed"]


async def test_a_plugin_whose_own_task_fails_takes_nobody_along(install: Install, kit: KitOf) -> None:
    """A TaskGroup within a plug-in cancels only the plug-in's own holder when it breaks."""
    source = changed(
        "    yield sink",
        "    async with asyncio.TaskGroup() as group:\n"
        "            async def work():\n"
        "                await sink.broken.wait()\n"
        "                raise KeyError('lost')\n"
        "            group.create_task(work())\n"
        "            yield sink",
    )
    install("bad", source)
    install("good", SINK)
    async with opened(kit, {"bad": {}, "good": {}}) as records:
        assert records["bad"].status == "open"
        records["bad"].target.broken.set()
        await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "plug-in bad"])
        assert now(records["bad"]) == ("failed", None)
        assert records["bad"].reason == "plug-in failed: bad raised ExceptionGroup; the log has the traceback."
        assert records["good"].status == "open"


async def test_a_stop_closes_plugins_and_stays_a_cancellation(install: Install, kit: KitOf) -> None:
    """SIGTERM cancels the task that owns the stack: plug-ins leave as they came, and it ends cancelled."""
    install("good", SINK)
    ready = asyncio.Event()

    async def main() -> None:
        async with opened(kit, {"good": {}}):
            ready.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(main())
        await ready.wait()
        task.cancel()
    assert task.cancelled()
    assert sys.modules["third_party_good"].Sink.events == ["open", "closed"]


async def test_contained_blames_logs_once_and_lets_ours_pass() -> None:
    """Unavailable and Rejected pass, a full disk is Unavailable, all else is Rejected, red, and logged once a place."""
    record = PluginRecord(name="lamp", group="drivers", status="open", target=object())

    async def call(error: BaseException) -> None:
        async with contained(record):
            raise error

    for ours in (Unavailable("later"), Rejected("never")):
        with pytest.raises(type(ours)) as caught:
            await call(ours)
        assert caught.value is ours
    with pytest.raises(Unavailable, match="disk is full"):
        await call(StoreFull("The disk is full."))
    assert (record.status, record.failures) == ("open", 0)
    with capture_logs() as logs:
        for error in (KeyError("a"), KeyError("b"), TimeoutError(), AuthError("x"), SystemExit(1)):
            with pytest.raises(Rejected, match=f"^plug-in failed: lamp raised {type(error).__name__}$"):
                await call(error)
    assert [entry["exc_info"].__class__ for entry in logs] == [KeyError, TimeoutError, AuthError, SystemExit]
    assert (record.status, record.failures) == ("failing", 5)


async def test_contained_knows_our_cancellation_from_its_own() -> None:
    """A time-out around a call into a plug-in works, and a CancelledError that a plug-in makes up is its failure."""
    record = PluginRecord(name="lamp", group="drivers", status="open", target=object())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), contained(record):
            await asyncio.Event().wait()
    assert record.status == "open"
    with pytest.raises(Rejected, match="raised CancelledError"):
        async with contained(record):
            raise asyncio.CancelledError
    with pytest.raises(Rejected, match="raised ZeroDivisionError"), contained(record):
        _ = 1 // 0
