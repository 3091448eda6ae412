"""One TOML file into one typed, frozen value; its mistakes are told with file, line, path and the nearest key."""

from gladys_companion.config.meaning import complaints
from gladys_companion.config.options import (
    Commands,
    Config,
    Discovery,
    Gateway,
    Gladys,
    Inline,
    Link,
    Local,
    Mqtt,
    PersonOptions,
    PhoneOptions,
    Presence,
    Retention,
    SignalOptions,
    ZoneOptions,
    address,
    is_loopback,
)
from gladys_companion.config.reader import DEFAULT_PATH, Table, decode, load, secret

__all__ = [
    "DEFAULT_PATH",
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
    "Table",
    "ZoneOptions",
    "address",
    "complaints",
    "decode",
    "is_loopback",
    "load",
    "secret",
]
