"""Every option with its type, range and default. Why each exists is told in ``config.example.toml``."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

__all__ = [
    "ID",
    "Commands",
    "Config",
    "Discovery",
    "Gateway",
    "Gladys",
    "Inline",
    "Link",
    "Local",
    "Mqtt",
    "PersonOptions",
    "PhoneOptions",
    "Presence",
    "Retention",
    "SignalOptions",
    "ZoneOptions",
    "address",
    "is_loopback",
]

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Days = Annotated[int, Meta(ge=1, le=36_500)]
Count = Annotated[int, Meta(ge=1, le=100_000_000)]
Rate = Annotated[float, Meta(gt=0, le=1_000_000)]
ID = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Id = Annotated[str, Meta(pattern=ID)]


class Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The websocket from the home to the gateway."""

    ca_certificate: str = ""
    dead_after: Annotated[float, Meta(ge=5, le=600)] = 45.0
    settle_within: Annotated[float, Meta(ge=0, le=30)] = 1.0
    backoff_most_own: Seconds = 5.0
    backoff_most_plus: Seconds = 30.0
    silent_after: Annotated[float, Meta(ge=90, le=86_400)] = 600.0
    notify_gladys: Literal["", "en", "fr"] = ""


class Inline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Between Gladys and Gladys Plus: Gladys connects to ``listen``, and the companion to ``upstream``."""

    enabled: bool = False
    listen: str = "127.0.0.1:8481"
    upstream: str = "https://api.gladysgateway.com"


class Local(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The home's pages, and the API for programs on the same machine."""

    listen: str = "127.0.0.1:8480"
    names: tuple[str, ...] = ()
    map_tiles: str = ""


class Discovery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """mDNS. ``interfaces`` empty means every one; else addresses or names of interfaces."""

    enabled: bool = True
    interfaces: tuple[str, ...] = ()
    ipv6: bool = True


class Commands(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for every command to a device; in seconds."""

    time_to_live: Seconds = 60.0
    attempt_time_out: Annotated[float, Meta(gt=0, le=600)] = 10.0


class Mqtt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one MQTT broker of every plug-in that needs one. ``keepalive`` and ``reconnect_most`` in seconds."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    username: str = ""
    password_file: str = ""
    tls: bool = False
    ca_certificate: str = ""
    client_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "gladys-companion"
    keepalive: Annotated[int, Meta(ge=1, le=3_600)] = 20
    reconnect_most: Annotated[float, Meta(ge=0.5, le=3_600)] = 30.0


class Gladys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The REST API of the home Gladys. ``url`` empty: it is not used. ``sync_every``, ``answer_within`` in seconds."""

    url: str = ""
    api_key_file: str = ""
    sync_every: Annotated[float, Meta(ge=0.1, le=86_400)] = 60.0
    answer_within: Annotated[float, Meta(gt=0, le=300)] = 10.0


class Presence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it takes to be believed to be somewhere: metres and seconds; ``max_speed`` in kilometres per hour."""

    accuracy_gate: Annotated[float, Meta(ge=10, le=10_000)] = 200.0
    exit_margin: Annotated[float, Meta(ge=0, le=10_000)] = 100.0
    enter_dwell: Annotated[float, Meta(ge=0, le=3_600)] = 10.0
    leave_dwell: Annotated[float, Meta(ge=0, le=3_600)] = 60.0
    max_speed: Annotated[float, Meta(ge=10, le=2_000)] = 360.0
    stale_after: Annotated[float, Meta(ge=60, le=2_592_000)] = 43_200.0
    share_friends: bool = False
    share_zones: bool = False
    timezone: str = ""


class PhoneOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[people.X.phones.Y]``: a thing that somebody carries, by what it calls itself; what is left out may be any."""

    name: str = ""
    app: Literal["", "owntracks", "overland", "osmand", "traccar", "plus"] = ""
    user: str = ""
    device: str = ""
    key: str = ""
    features: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


class PersonOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[people.X]``: somebody whose presence matters."""

    name: str = ""
    home: str = ""
    gladys_user: str = ""
    gladys_house: str = ""
    phones: dict[Id, PhoneOptions] = {}


class ZoneOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[zones.X]``: a circle, in degrees and metres. An ``exit_radius`` of 0 is by rule."""

    name: str = ""
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    radius: Annotated[float, Meta(ge=10, le=1_000_000)] = 100.0
    exit_radius: Annotated[float, Meta(ge=0, le=2_000_000)] = 0.0
    home: bool = False
    networks: tuple[str, ...] = ()


class SignalOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[signals.X]``: what a named event does: give a feature a value or a text, start a scene of Gladys, or both.

    It does so once in ``debounce`` seconds. ``keys`` are the ids of those that may send it; empty: every key.
    """

    external_id: str = ""
    value: float | None = None
    text: str | None = None
    scene: str = ""
    debounce: Annotated[float, Meta(ge=0, le=86_400)] = 10.0
    keys: tuple[str, ...] = ()


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the home keeps what."""

    events_days: Annotated[int, Meta(ge=8, le=36_500)] = 30  # ids are remembered longer than a gateway holds them
    unbound_days: Days = 7
    unbound_per_id: Count = 100
    positions_days: Days = 30
    history_days: Days = 365


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cloud end, used by ``gateway run`` only. Rates are per second, bursts are counts."""

    listen: str = "127.0.0.1:8482"
    public_url: str = ""
    metrics_listen: str = ""
    notify_webhook: str = ""
    silent_after: Annotated[float, Meta(ge=90, le=86_400)] = 600.0
    tls_certificate: str = ""
    tls_key: str = ""
    behind_proxy: bool = False
    trusted_proxies: tuple[str, ...] = ()
    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    held_days: Days = 7
    held_events: Count = 50_000
    held_megabytes: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    key_share: Annotated[float, Meta(gt=0, le=1)] = 0.25
    receipts_days: Days = 7
    body_limit_kib: Annotated[int, Meta(ge=1, le=16_384)] = 256
    rate_per_key: Rate = 20.0
    burst_per_key: Count = 100
    rate_per_address: Rate = 50.0
    burst_per_address: Count = 200
    wrong_keys_per_minute: Count = 10


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. The tables of ``drivers`` and ``sinks`` are decoded when their plug-in is loaded."""

    state_directory: str = "/var/lib/gladys-companion"
    runtime_directory: str = "/run/gladys-companion"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    link: Link = Link()
    inline: Inline = Inline()
    local: Local = Local()
    discovery: Discovery = Discovery()
    commands: Commands = Commands()
    mqtt: Mqtt = Mqtt()
    gladys: Gladys = Gladys()
    presence: Presence = Presence()
    people: dict[Id, PersonOptions] = {}
    zones: dict[Id, ZoneOptions] = {}
    signals: dict[str, SignalOptions] = {}
    retention: Retention = Retention()
    drivers: dict[str, Any] = field(default_factory=lambda: {"virtual": {}, "wled": {}})
    sinks: dict[str, Any] = field(default_factory=dict)
    gateway: Gateway = Gateway()


def address(listen: str) -> tuple[str, int]:
    """Split ``127.0.0.1:8480`` or ``[::1]:8480`` into host and port.

    Raises:
        ValueError: it is not an IP address and a port, with a sentence.
    """
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the highest port there is
        raise ValueError(f"{listen!r} is not an address and a port, such as '127.0.0.1:8480' or '[::1]:8480'")
    if host == "localhost":
        return "127.0.0.1", int(port)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is not an IP address; names are not looked up here") from None
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    return ipaddress.ip_address(host).is_loopback
