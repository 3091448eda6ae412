"""What is wrong with values that their types allow: one sentence each, with the path of the option."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gladys_companion.config.options import Config, Gateway, Gladys, Inline, SignalOptions, address, is_loopback

__all__ = ["complaints", "complaints_of_signals"]

_LONGEST_NAME = 200
_SELECTOR = re.compile(r"[a-z0-9_-]+")
_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a UUID


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
    if config.local.map_tiles and not _is_tiles(config.local.map_tiles):
        sentence = "it is no address of a server of tiles, such as https://tile.example.org/{z}/{x}/{y}.png."
        yield "local.map_tiles", sentence
    if config.link.notify_gladys and "gladys_api" not in config.sinks:
        yield "link.notify_gladys", "it needs [sinks.gladys_api], which gives Gladys messages."
    yield from _about_inline(config.inline)
    if config.mqtt.password_file and not config.mqtt.username:
        yield "mqtt.password_file", "it needs username beside it."
    if config.mqtt.ca_certificate and not config.mqtt.tls:
        yield "mqtt.ca_certificate", "it is used with tls = true only."
    yield from _complaints_of_gladys(config.gladys)
    yield from _about_people(config)
    yield from _about_gateway(config.gateway)


def _is_tiles(address: str) -> bool:
    """Return whether an address names a server, has a place for each number of a tile, and ends no policy."""
    parts = urlsplit(address)
    placed = all(f"{{{name}}}" in parts.path for name in "zxy")
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and placed and not set(parts.netloc) & set("; ,")


def _about_inline(inline: Inline) -> Iterator[tuple[str, str]]:
    host, wrong = _listens(inline.listen)
    if host is None:
        yield "inline.listen", wrong
    elif not is_loopback(host):
        sentence = f"{host} can be reached by other machines, and Gladys' token would travel in the clear. "
        yield (
            "inline.listen",
            sentence + "Use 127.0.0.1: Gladys runs on this machine, or its container on the host's network.",
        )
    parts = _parts(inline.upstream)
    if parts is None or "@" in inline.upstream or parts.path.strip("/") or parts.query or parts.fragment:
        sentence = f"{inline.upstream!r} is not the address of a gateway, such as 'https://api.gladysgateway.com'."
        yield "inline.upstream", sentence
    elif parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        yield "inline.upstream", "it must begin with https://, or all that passes could be read on its way."


def _parts(url: str) -> SplitResult | None:
    """Return the parts of an address of the web; None when it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def _about_people(config: Config) -> Iterator[tuple[str, str]]:
    if config.presence.timezone:
        try:
            ZoneInfo(config.presence.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield "presence.timezone", f"{config.presence.timezone!r} is not a time zone such as 'Europe/Paris'."
    homes = [name for name, zone in config.zones.items() if zone.home]
    for name in homes[1:]:
        yield f"zones.{name}.home", f"{homes[0]} is home already: say whose home this is with home = {name!r} there."
    for name, zone in config.zones.items():
        if zone.exit_radius and zone.exit_radius < zone.radius:
            yield f"zones.{name}.exit_radius", "it is less than the radius: nobody could ever be believed to stay."
    carried: dict[str, str] = {}
    for name, person in config.people.items():
        for phone, options in person.phones.items():
            at = f"people.{name}.phones.{phone}"
            if phone in carried:
                yield at, f"{carried[phone]} has a phone {phone!r} already: choose another word for it."
            carried[phone] = name
            if not any((options.app, options.user, options.device, options.key, options.features, options.devices)):
                yield at, "it says nothing by which the phone is known: user, device, key, features or devices."


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
    yield from _about_metrics(gateway.metrics_listen)
    for option in ("public_url", "notify_webhook"):
        if not (getattr(gateway, option) or "https://").startswith(("https://", "http://")):
            yield f"gateway.{option}", "it must begin with https:// (or http:// on a network of your own)."


def _about_metrics(listen: str) -> Iterator[tuple[str, str]]:
    host, wrong = _listens(listen) if listen else ("127.0.0.1", "")
    if host is None:
        yield "gateway.metrics_listen", wrong
    elif not is_loopback(host):
        sentence = f"{host} can be reached by other machines, and there is no password."
        yield "gateway.metrics_listen", f"{sentence} Let Prometheus run here, or come by a tunnel."


def _complaints_of_gladys(gladys: Gladys) -> Iterator[tuple[str, str]]:
    if gladys.api_key_file and not gladys.url:
        yield "gladys.api_key_file", "it needs url beside it."
    if not gladys.url:
        return
    parts = _parts(gladys.url)
    if "@" in gladys.url:
        yield "gladys.url", "it holds a user name or password: leave them out, Gladys wants the API key only."
    elif parts is None:
        yield "gladys.url", f"{gladys.url!r} is not the address of a Gladys, such as 'http://127.0.0.1'."
    elif parts.query or parts.fragment:
        yield "gladys.url", f"{gladys.url!r} is more than an address: leave out what follows the host, or its path."


def complaints_of_signals(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the same of ``[signals]``, with the path in its parts: a signal's name may have dots."""
    for name, signal in config.signals.items():
        table = ("signals", name)
        if not name or name != name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            yield table, f"the name of a signal has 1 to {_LONGEST_NAME} characters, and no space around it."
        if signal == SignalOptions(debounce=signal.debounce, keys=signal.keys):
            yield table, "it does nothing: give it external_id and value (or text), or scene."
        for option, sentence in _about_feature(signal):
            yield (*table, option), sentence
        if signal.scene and not _SELECTOR.fullmatch(signal.scene):
            sentence = f"{signal.scene!r} is not the selector of a scene in Gladys, such as 'good-evening'."
            yield (*table, "scene"), sentence
        elif signal.scene and "gladys_api" not in config.sinks:
            yield (*table, "scene"), "it needs [sinks.gladys_api], which starts scenes of Gladys."
        for key in signal.keys:
            if not _KEY_ID.fullmatch(key):
                sentence = f"{key!r} is not the id of a key. `gladys-companion gateway key list` shows the ids."
                yield (*table, "keys"), sentence


def _about_feature(signal: SignalOptions) -> Iterator[tuple[str, str]]:
    gives = [option for option in ("value", "text") if getattr(signal, option) is not None]
    if signal.external_id and not gives:
        yield "external_id", "it needs value or text beside it: what the feature is to become."
    if gives and not signal.external_id:
        yield gives[0], "it needs external_id beside it: the feature that is to become it."
    if len(gives) > 1:
        yield "text", "it has value beside it: a feature takes a number or a text."
    if signal.value is not None and not math.isfinite(signal.value):
        yield "value", "it must be a finite number."
