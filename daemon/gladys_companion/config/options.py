"""Every option with its type, range and default. Why each exists is told in ``config.example.toml``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

__all__ = [
    "Commands",
    "Config",
    "Discovery",
    "Gateway",
    "Gladys",
    "Link",
    "Local",
    "Mqtt",
    "Retention",
    "address",
    "complaints",
    "is_loopback",
]

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Days = Annotated[int, Meta(ge=1, le=36_500)]
Count = Annotated[int, Meta(ge=1, le=100_000_000)]
Rate = Annotated[float, Meta(gt=0, le=1_000_000)]


class Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The websocket from the home to the gateway."""

    ca_certificate: str = ""
    dead_after: Annotated[float, Meta(ge=5, le=600)] = 45.0
    settle_within: Annotated[float, Meta(ge=0, le=30)] = 1.0
    backoff_most_own: Seconds = 5.0
    backoff_most_plus: Seconds = 30.0


class Local(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local API and status page."""

    listen: str = "127.0.0.1:8480"


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


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the home keeps what."""

    events_days: Annotated[int, Meta(ge=8, le=36_500)] = 30  # ids are remembered longer than a gateway holds them
    unbound_days: Days = 7
    unbound_per_id: Count = 100
    history_days: Days = 365


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cloud end, used by ``gateway run`` only. Rates are per second, bursts are counts."""

    listen: str = "127.0.0.1:8482"
    public_url: str = ""
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
    local: Local = Local()
    discovery: Discovery = Discovery()
    commands: Commands = Commands()
    mqtt: Mqtt = Mqtt()
    gladys: Gladys = Gladys()
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


def _listens(listen: str) -> tuple[str | None, str]:
    """Return the host, or what is wrong with it."""
    try:
        return address(listen)[0], ""
    except ValueError as error:
        return None, f"{error}."


def complaints(config: Config) -> Iterator[tuple[str, str]]:
    """Yield ``(path, sentence)`` for each value that its type allows and its meaning does not."""
    host, wrong = _listens(config.local.listen)
    if host is None:
        yield "local.listen", wrong
    elif not is_loopback(host):
        sentence = f"{host} can be reached by other machines, and the local API has no password yet. "
        yield "local.listen", sentence + "Use 127.0.0.1, and an SSH tunnel to look at it from elsewhere."
    if config.mqtt.password_file and not config.mqtt.username:
        yield "mqtt.password_file", "it needs username beside it."
    if config.mqtt.ca_certificate and not config.mqtt.tls:
        yield "mqtt.ca_certificate", "it is used with tls = true only."
    yield from _complaints_of_gladys(config.gladys)
    yield from _about_gateway(config.gateway)


def _about_gateway(gateway: Gateway) -> Iterator[tuple[str, str]]:
    host, wrong = _listens(gateway.listen)
    if bool(gateway.tls_certificate) != bool(gateway.tls_key):
        missing = "tls_key" if gateway.tls_certificate else "tls_certificate"
        yield f"gateway.{missing}", "tls_certificate and tls_key go together: give both, or neither."
    if host is None:
        yield "gateway.listen", wrong
    elif not (is_loopback(host) or gateway.tls_certificate or gateway.behind_proxy):
        sentence = f"{host} can be reached by other machines, and keys would travel in the clear. "
        remedy = "Give tls_certificate and tls_key, or set behind_proxy = true when a proxy in front of it speaks TLS."
        yield "gateway.listen", sentence + remedy
    for index, proxy in enumerate(gateway.trusted_proxies):
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            yield f"gateway.trusted_proxies[{index}]", f"{proxy!r} is not an address or network such as '10.0.0.0/8'."
    if gateway.public_url and not gateway.public_url.startswith(("https://", "http://")):
        yield "gateway.public_url", "it must begin with https:// (or http:// on a network of your own)."


def _complaints_of_gladys(gladys: Gladys) -> Iterator[tuple[str, str]]:
    if gladys.api_key_file and not gladys.url:
        yield "gladys.api_key_file", "it needs url beside it."
    if not gladys.url:
        return
    try:
        parts = urlsplit(gladys.url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if "@" in gladys.url:
        yield "gladys.url", "it holds a user name or password: leave them out, Gladys wants the API key only."
    elif parts.scheme not in {"http", "https"} or not parts.hostname:
        yield "gladys.url", f"{gladys.url!r} is not the address of a Gladys, such as 'http://127.0.0.1'."
    elif parts.query or parts.fragment:
        yield "gladys.url", f"{gladys.url!r} is more than an address: leave out what follows the host, or its path."
