"""Reads the file, and says what is wrong with it: file, line, path, sentence, the nearest key that exists."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeGuard, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct, structs

from gladys_companion import systemd
from gladys_companion.config.lines import Path as Keys
from gladys_companion.config.lines import line_of, locate
from gladys_companion.config.meaning import complaints, complaints_of_signals
from gladys_companion.config.options import ID, Config, PersonOptions, PhoneOptions, SignalOptions, ZoneOptions
from gladys_companion.errors import ConfigError

__all__ = ["DEFAULT_PATH", "Table", "decode", "load", "secret"]

ALWAYS = "virtual"  # phones need it, and nobody thinks of it who adds a lamp
DEFAULT_PATH = Path("/etc/gladys-companion/config.toml")

T = TypeVar("T")

_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<at>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_ID = re.compile(ID)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


class _Source(Struct, frozen=True):
    """Where the values came from, so that an error can point at it."""

    file: str = "configuration"
    lines: Mapping[Keys, int] = {}

    def error(self, path: Keys, sentence: str) -> ConfigError:
        line = line_of(self.lines, path)
        where = f"{self.file}, line {line}: " if line else f"{self.file}: "
        table, key = _dotted(path[:-1]), path[-1] if path else ""
        named = f"[{table}] {key}: " if table else f"{key}: " if key else ""
        return ConfigError(where + named + sentence, file=self.file, line=line, path=".".join(path))


class Table(dict[str, Any]):
    """The raw table of one plug-in. ``decode`` types it later; ``error`` makes a ConfigError that names its line."""

    def __init__(self, values: Mapping[str, Any], path: Keys = (), source: _Source = _Source()) -> None:  # noqa: B008 - frozen
        super().__init__(values)
        self.path = path
        self._source = source

    def error(self, key: str, sentence: str) -> ConfigError:
        """Return the error that points at one key of this table (or, with an empty key, at the table)."""
        return self._source.error((*self.path, key) if key else self.path, sentence)


def _dotted(path: Keys) -> str:
    """Return a path as TOML writes it."""
    return ".".join(part if _BARE.fullmatch(part) else msgspec.json.encode(part).decode() for part in path)


def _steps(at: str) -> Keys:
    return tuple(match[1] or match[2] for match in _STEP.finditer(at))


def _type_at(type_: object, path: Keys) -> object:
    """Return the type at this path, as far as it can be told; None where it can not."""
    for step in path:
        if step == "..." or step.isdecimal():
            type_ = next(iter(get_args(_bare(type_))), None)
        else:
            fields = {field.encode_name: field.type for field in structs.fields(type_)} if _is_struct(type_) else {}
            type_ = fields.get(step)
    return _bare(type_)


def _bare(type_: object) -> object:
    """Return a type without what is annotated beside it."""
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _keys(type_: object, path: Keys) -> tuple[str, ...]:
    """Return the keys that the struct at this path has, as far as it can be told."""
    type_ = _type_at(type_, path)
    return tuple(field.encode_name for field in structs.fields(type_)) if _is_struct(type_) else ()


def _is_struct(type_: object) -> TypeGuard[type[Struct]]:
    return isinstance(type_, type) and issubclass(type_, Struct)


def _explain(error: msgspec.ValidationError, type_: object) -> tuple[Keys, str]:
    """Return where and what, from msgspec's own message."""
    match = _MESSAGE.fullmatch(str(error))
    what, at = (match["what"], match["at"] or "") if match else (str(error), "")
    path = _steps(at)
    if what.startswith("Invalid enum value"):
        return path, f"this is one of {', '.join(map(str, get_args(_type_at(type_, path))))}."
    if not (unknown := _UNKNOWN.fullmatch(what)):
        return path, what[0].lower() + what[1:].replace("`", "") + "."
    key, keys = unknown["key"], _keys(type_, path)
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean {near[0]!r}?"
    else:
        hint = f"Here are known: {', '.join(keys)}." if keys else "This table takes no options."
    return (*path, key), f"no such option. {hint}"


def decode(table: Mapping[str, Any], type_: type[T]) -> T:
    """Return a plug-in's table as its own config type.

    Raises:
        ConfigError: names the line if the table is a ``Table``.
    """
    origin = table if isinstance(table, Table) else Table(table)
    try:
        return msgspec.convert(dict(table), type_)
    except msgspec.ValidationError as error:
        path, sentence = _explain(error, type_)
        raise origin._source.error((*origin.path, *path), sentence) from None  # noqa: SLF001 - same module


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist. Copy config.example.toml there, or name another with --config."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error.strerror}.") from error


def _tables(values: Mapping[str, Any], group: str, source: _Source) -> dict[str, Table]:
    for name, table in values.items():
        if not isinstance(table, dict):
            raise source.error((group, name), f"this must be a table: [{group}.{name}].")
    return {name: Table(table, (group, name), source) for name, table in values.items()}


def _named(values: Mapping[str, Any]) -> Iterator[tuple[Keys, object, type[Struct]]]:
    """Yield the tables whose names the user chose, the inner ones first, with their type."""
    for group, type_ in (("people", PersonOptions), ("zones", ZoneOptions), ("signals", SignalOptions)):
        tables = values.get(group)
        for name, table in tables.items() if isinstance(tables, dict) else ():
            phones = table.get("phones") if isinstance(table, dict) else None
            for phone, options in phones.items() if isinstance(phones, dict) else ():
                yield (group, name, "phones", phone), options, PhoneOptions
            yield (group, name), table, type_


def load(path: Path | None = None) -> Config:
    """Return the configuration; without a path that of ``DEFAULT_PATH``, or the defaults where that does not exist.

    Raises:
        ConfigError: the first thing that is wrong, with file, line, path and the nearest valid key.
    """
    if path is None:
        if not DEFAULT_PATH.exists():
            return Config()
        path = DEFAULT_PATH
    text = _read(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: this is not TOML: {error}.", file=str(path)) from None
    source = _Source(str(path), locate(text))
    for keys, named, type_ in _named(values):
        if type_ is not SignalOptions and not _ID.fullmatch(keys[-1]):
            raise source.error(keys, "such a name has lower-case letters, digits, - and _ only, as in 'anna'.")
        if not isinstance(named, dict):
            raise source.error(keys, f"this must be a table: [{_dotted(keys)}].")
        decode(Table(named, keys, source), type_)  # a dict's key is in no message of msgspec's
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise source.error(*_explain(error, Config)) from None
    for at, sentence in complaints(config):
        raise source.error(_steps(f".{at}"), sentence)
    for keys, sentence in complaints_of_signals(config):
        raise source.error(keys, sentence)
    return structs.replace(
        config,
        drivers=_tables({ALWAYS: {}, **config.drivers}, "drivers", source),
        sinks=_tables(config.sinks, "sinks", source),
    )


def secret(name: str, file: str = "", environ: Mapping[str, str] = os.environ) -> str | None:
    """Return a secret from a file, else from the systemd credential ``name``, else from the environment, else None.

    The credential ``mqtt-password`` is the environment variable ``MQTT_PASSWORD``.

    Raises:
        ConfigError: the file or the credential is there and can not be read.
    """
    if not file:
        found = systemd.credential(name, environ)
        return found if found is not None else environ.get(name.upper().replace("-", "_"))
    try:
        return Path(file).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"The secret file {file} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"The secret file {file} can not be read: {error.strerror}.") from error
