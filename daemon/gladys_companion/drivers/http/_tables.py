"""``[drivers.http]``: which devices there are, where each feature is read and written, and what is wrong with that."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct
from yarl import URL

from gladys_companion.config import secret
from gladys_companion.drivers import _templates as templates
from gladys_companion.errors import ConfigError

__all__ = ["Config", "DeviceTable", "HttpFeature", "Tls", "check", "context", "header"]

CREDENTIAL = "http-{id}-secret"

Tls = ssl.SSLContext | Literal[True]
Seconds = Annotated[float, Meta(ge=0.1, le=3600)]


class HttpFeature(templates.FeatureTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feature. ``read`` is the path whose answer holds its value, ``write`` the one that sets it; one may miss."""

    read: str = ""
    write: str = ""
    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    payload: str = ""
    content_type: str = "application/json"


class DeviceTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device. ``identity`` is what ``identity_path`` must answer, so that no other is taken for it."""

    id: templates.Component
    name: str = ""
    url: str
    ca_certificate: str = ""
    header: str = ""
    header_file: str = ""
    identity: str = ""
    identity_path: str = "/"
    identity_json_path: str = ""
    features: Annotated[tuple[HttpFeature, ...], Meta(min_length=1, max_length=256)]

    @property
    def base(self) -> URL:
        """Its address, without what follows the host and port."""
        return URL(self.url).origin()


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[drivers.http]``; times in seconds."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    poll_least: Seconds = 1.0
    poll_most: Seconds = 30.0
    reconnect_most: Annotated[float, Meta(ge=0.5, le=3600)] = 30.0
    devices: tuple[DeviceTable, ...] = ()


def check(config: Config) -> None:
    """Look through the tables, and read the files that they name.

    Raises:
        ConfigError: the first mistake, with where it stands.
    """
    for number, device in enumerate(config.devices):
        where = f"[drivers.http] devices[{number}] {device.id!r}"
        for sentence in _device(device, [one.id for one in config.devices[:number]]):
            raise ConfigError(f"{where}: {sentence}")
        for feature in device.features:
            for sentence in _feature(feature):
                raise ConfigError(f"{where} feature {feature.component!r}: {sentence}")
        context(device)
        header(device)


def _device(device: DeviceTable, before: list[str]) -> Iterator[str]:
    if device.id in before:
        yield "another device has this id."
    try:
        url = URL(device.url)
        known = url.scheme in {"http", "https"} and url.host is not None
    except ValueError:
        known = False
    if not known:
        yield f"url: {device.url!r} is not an address such as 'http://192.168.1.20' or 'https://heater.lan:8443'."
        return
    if url.path not in {"", "/"} or url.query_string:
        yield "url: give the host only; what follows it stands in read and write."
    if url.user or url.password:
        yield "url: no password belongs in here: use header and header_file."
    if device.ca_certificate and url.scheme != "https":
        yield "ca_certificate: it is used with https only."
    if device.header_file and not device.header:
        yield "header_file: it needs header beside it, the name of the header."
    if (repeated := templates.repeated(device.features)) is not None:
        yield f"two features are called {repeated!r}."


def _feature(feature: HttpFeature) -> Iterator[str]:
    yield from templates.complaints(feature, feature.write)
    if not feature.read and not feature.write:
        yield "it has neither read nor write, so nothing can be done with it."
    for name in ("read", "write"):
        path = getattr(feature, name)
        if path and not path.startswith("/"):
            yield f"{name}: {path!r} must begin with a slash."
    if feature.method == "GET" and feature.payload:
        yield "payload: a GET has none. Put the value into write, or use another method."


def context(device: DeviceTable) -> Tls:
    """Return how its certificate is verified: by the system's authorities, or by those of a file. Reads it.

    Raises:
        ConfigError: the file can not be used.
    """
    if not device.ca_certificate:
        return True
    try:
        return ssl.create_default_context(cafile=device.ca_certificate)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"[drivers.http] ca_certificate: {device.ca_certificate}: {reason}.") from error


def header(device: DeviceTable) -> dict[str, str]:
    """Return the secret header of a device, if it has one. Reads its file or credential.

    Raises:
        ConfigError: the file can not be read, or it is nowhere.
    """
    if not device.header:
        return {}
    name = CREDENTIAL.format(id=device.id)
    try:
        found = secret(name, device.header_file)
    except ConfigError as error:
        raise ConfigError(f"[drivers.http] {device.id!r} header_file: {error}") from error
    if not found:
        raise ConfigError(
            f"[drivers.http] {device.id!r}: the value of the header {device.header} is in no file: name one with "
            f"header_file, or give the systemd credential {name}."
        )
    return {device.header: found}
