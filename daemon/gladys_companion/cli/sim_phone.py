"""``sim phone``: a phone that plays a track."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec

from gladys_companion.cli.output import cut, duration
from gladys_companion.cli.serve import serve
from gladys_companion.cli.settings import Settings
from gladys_companion.errors import ProtocolError
from gladys_companion.link import tls_context
from gladys_companion.protocol import owntracks
from gladys_companion.protocol.fields import numeric
from gladys_companion.protocol.owntracks.box import open_envelope
from gladys_companion.sim.phone import APPS, Phone, Said, Tried, Who, later, play, read_track

__all__ = ["phone"]


@click.command()
@click.option("--url", required=True, help="The gateway, such as https://gateway.example.org.")
@click.option("--key", required=True, help="The phone's key at the gateway.")
@click.option(
    "--track",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="GPX, or OwnTracks messages: one a line, or as a JSON array.",
)
@click.option(
    "--speed", default=1.0, show_default=True, type=click.FloatRange(0.01, 1e6), help="How many times as fast."
)
@click.option(
    "--app", type=click.Choice(list(APPS)), default="owntracks", show_default=True, help="What it sends with."
)
@click.option("--user", default="sim", show_default=True, help="Who carries it.")
@click.option("--device", default="phone", show_default=True, help="Which of their phones it is.")
@click.option(
    "--encryption-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that holds nothing but OwnTracks' encryption key.",
)
@click.pass_obj
def phone(
    settings: Settings,
    url: str,
    key: str,
    file: Path,
    speed: float,
    app: str,
    user: str,
    device: str,
    encryption_key_file: Path | None,
) -> None:
    """Play a track as a phone does: its queue, its order, what it does when it is refused; prints each answer.

    The track is dated so that it ends when it has been played: at --speed 1 it happens now; faster than that, all but
    its end lies in the past, as if a phone that was offline sent its queue. It ends when everything was taken. As by
    OwnTracks for Android, what is not answered 2xx is tried again without end, and everything behind it waits.
    """
    if not url.startswith(("https://", "http://")):
        raise click.UsageError(f"{url!r} is not the address of a gateway, such as https://gateway.example.org.")
    if encryption_key_file is not None and app != "owntracks":
        raise click.UsageError("Only OwnTracks encrypts what it sends.")
    try:
        passphrase = _read(encryption_key_file).strip("\r\n") if encryption_key_file else None
        track = read_track(_read(file))
    except ValueError as error:
        raise click.UsageError(f"{file}: {error}") from error
    who = Who(user, device, key, passphrase or None)
    phones: dict[str, Phone] = {}
    try:
        serve(_play(settings, phones, url, app, who, track, speed))
    finally:
        for one in phones.values():
            _sum_up(one)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("It is not UTF-8 text.") from error


async def _play(
    settings: Settings,
    phones: dict[str, Phone],
    url: str,
    app: str,
    who: Who,
    track: tuple[Said, ...],
    speed: float,
) -> None:
    first, last = track[0].at, track[-1].at
    shift = time.time() + (last - first) / speed - last
    dated = [later(said, shift) for said in track]
    context = await asyncio.to_thread(tls_context, settings.config().link.ca_certificate)
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), cookie_jar=aiohttp.DummyCookieJar())
        )
        group = await stack.enter_async_context(asyncio.TaskGroup())
        running = []

        def phone_of(source: str) -> Phone:
            if source not in phones:
                its = who if source == track[0].source else msgspec.structs.replace(who, device=source)
                made = phones[source] = Phone(http, url, APPS[app], its, told=lambda tried: _show(its, tried))
                running.append(group.create_task(made.run(), name=f"phone {source}"))
            return phones[source]

        span = duration((last - first) / speed * 1000)
        click.echo(f"{len(track)} messages in {span}, to {url}, until all are taken or Ctrl-C.")
        await play(dated, phone_of, began=dated[0].at, now=time.time, speed=speed)
        for one in phones.values():
            await one.sent()
        for task in running:
            task.cancel()


def _show(who: Who, tried: Tried) -> None:
    says = ", ".join(map(_said, tried.payloads[:1])) + (
        f" and {len(tried.payloads) - 1} more" if len(tried.payloads) > 1 else ""
    )
    took = duration(tried.seconds * 1000)
    answer = "no answer" if tried.status is None else f"{tried.status} {_answered(who, tried.body)}".strip()
    after = ""
    if tried.refused is not None:
        behind = tried.waiting - len(tried.payloads)
        after = f"; {tried.refused}: again in {tried.again_in:.0f} s, {behind} wait behind it"
    now = time.strftime("%H:%M:%S")
    click.echo(f"{now}  {who.device}  {_printable(says)}  ->  {_printable(answer)}  ({took}){after}")


def _said(payload: Mapping[str, Any]) -> str:
    tst = numeric(payload.get("tst"))
    of = time.strftime(" of %H:%M:%S", time.localtime(tst)) if tst is not None and 0 <= tst < 1e11 else ""  # noqa: PLR2004
    kind = payload.get("_type")
    if kind == "transition":
        return f"{payload.get('event')} {payload.get('desc')}{of}"
    if kind == "location":
        accuracy = f" ({payload['acc']} m)" if payload.get("acc") else ""
        return f"{payload.get('lat')}, {payload.get('lon')}{accuracy}{of}"
    return f"{kind}{of}"


def _answered(who: Who, body: bytes) -> str:
    """Return an answer in words."""
    try:
        answer: Any = msgspec.json.decode(body) if body else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"{len(body)} bytes that are no JSON"
    if isinstance(answer, list):
        return f"[{', '.join(_told(who, one) for one in answer)}]"
    if isinstance(answer, dict) and "error_code" in answer:
        return f"{answer['error_code']}: {answer.get('error_message')}"
    return body.decode(errors="replace")


def _told(who: Who, message: object) -> str:
    if not isinstance(message, dict):
        return "?"
    kind = str(message.get("_type"))
    if kind == "encrypted" and who.passphrase:
        try:
            opened = open_envelope(
                owntracks.Encrypted(key="", data=str(message.get("data"))), who.passphrase, time.time()
            )
        except ProtocolError:
            return "encrypted, and not with this key"
        return f"encrypted {type(opened).__name__.lower()}"
    return f"{kind} {message.get('name') or message.get('action') or message.get('tid') or ''}".strip()


def _printable(text: str) -> str:
    return cut("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text), 200)


def _sum_up(one: Phone) -> None:
    words = [f"{one.who.device}: {one.waiting} wait" if one.waiting else f"{one.who.device}: all taken"]
    if one.left_out:
        words.append(f"{one.left_out} that such an app does not send")
    if one.lost:
        words.append(f"{one.lost} lost, as the queue was full")
    click.echo(", ".join(words) + ".")
