"""``config check``."""

from __future__ import annotations

import ssl
from pathlib import Path

import click

from gladys_companion.cli.settings import Settings
from gladys_companion.config import DEFAULT_PATH, Config
from gladys_companion.errors import ConfigError
from gladys_companion.gladys_api import check as check_gladys
from gladys_companion.mqtt import check as check_mqtt
from gladys_companion.plugins import configure
from gladys_companion.unix_socket import check_length
from gladys_companion.web import socket_path

__all__ = ["check_all", "config"]

CREDENTIALS = Path("/run/credentials")  # systemd makes what is below, for its service alone


@click.group()
def config() -> None:
    """Check the configuration file."""


@config.command()
@click.pass_obj
def check(settings: Settings) -> None:
    """Read the file and those it names; if something is wrong say line, path and the nearest option, exit code 78."""
    check_all(settings.config())
    path = settings.path or DEFAULT_PATH
    click.echo(f"{path} is fine." if path.exists() else f"There is no {path}: all options have their defaults.")


def check_all(found: Config) -> None:
    """Check what the types can not tell: the tables of plug-ins, and the files that are named.

    Raises:
        ConfigError: for what `run` and `gateway run` would refuse.
    """
    for record in (*configure("drivers", found.drivers).values(), *configure("sinks", found.sinks).values()):
        if record.plugin is not None and record.status == "loaded":
            record.plugin.check(record.config)
    check_mqtt(found.mqtt)
    check_gladys(found.gladys)
    check_length(socket_path(found))
    if found.link.ca_certificate:
        _check_file("[link] ca_certificate", found.link.ca_certificate)
        try:
            ssl.create_default_context(cafile=found.link.ca_certificate)
        except (OSError, ssl.SSLError):
            raise ConfigError(
                f"[link] ca_certificate: {found.link.ca_certificate} holds no certificate in PEM form."
            ) from None
    _check_tls(found.gateway.tls_certificate, found.gateway.tls_key)


def _check_tls(certificate: str, key: str) -> None:
    if not certificate or CREDENTIALS in (*Path(certificate).parents, *Path(key).parents):
        return
    _check_file("[gateway] tls_certificate", certificate)
    _check_file("[gateway] tls_key", key)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"[gateway] tls_certificate: {certificate} and {key} are not a certificate and its key ({why})."
        ) from None


def _check_file(option: str, file: str) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"{option}: {file} can not be read: {error.strerror}.") from error
