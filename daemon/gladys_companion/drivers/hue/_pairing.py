"""How a Hue bridge is met first, and gives its key: by its round button (developers.meethue.com, "Get started").

Which certificate it has is learnt here, and everything of the pairing is done with the holder of that one.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import ClientSession, Fingerprint
from aiohue.errors import LinkButtonNotPressed, raise_from_error

from gladys_companion.drivers._http import open_session
from gladys_companion.drivers.hue._bridge import Pairing, Spot, host_of, judged
from gladys_companion.drivers.identity import mac_of
from gladys_companion.errors import Rejected
from gladys_companion.ports import Secrets

__all__ = ["mac_of_bridge", "meet", "pair", "pairing_of"]

APPLICATION = "gladys_companion#home"
KEY = re.compile(r"[A-Za-z0-9_-]{8,128}")
FIRST_GENERATION = "BSB001"
OLDEST = 1_948_086_000  # software that has CLIP v2

# Its certificate is its own, so nobody can vouch for it; it is held to the one that it had when its button was pressed.
ANY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ANY.check_hostname = False
ANY.verify_mode = ssl.CERT_NONE


def mac_of_bridge(text: str) -> str | None:
    """Return the MAC of a bridge's id, which has ``fffe`` in its middle; None of what is none."""
    digits = text.lower()
    return mac_of(digits[:6] + digits[10:]) if re.fullmatch(r"[0-9a-f]{6}fffe[0-9a-f]{6}", digits) else None


async def pairing_of(mac: str, secrets: Secrets) -> Pairing | None:
    """Return what pairing with a bridge gained, or None."""
    kept = await secrets.get(mac)
    return msgspec.json.decode(kept, type=Pairing) if kept is not None else None


async def meet(spot: Spot) -> None:
    """Ask who answers at a bridge that is not paired; it is told nothing.

    Raises:
        Unavailable: no answer, or one that is none of a bridge.
        Rejected: another one answers, or one that can not be driven.
    """
    async with open_session(host_of(spot.mac), spot.where, ssl=False) as session:
        await _verify(spot, session)


async def pair(spot: Spot) -> Pairing:
    """Gain a key of a bridge whose button was just pressed.

    Raises:
        Unavailable: as ``meet``.
        Rejected: as ``meet``, or the button was not pressed.
    """
    certificate = await _certificate(spot)
    fingerprint = Fingerprint(bytes.fromhex(certificate))
    async with open_session(host_of(spot.mac), spot.where, ssl=fingerprint) as session:
        await _verify(spot, session)
        with judged(spot):
            try:
                key = await _ask_for_key(spot, session)
            except LinkButtonNotPressed as error:
                raise Rejected(
                    f"The round button of {spot} was not pressed within the last 30 seconds: press it and try again."
                ) from error
    return Pairing(key, certificate)


async def _certificate(spot: Spot) -> str:
    address, port = spot.where
    with judged(spot):
        async with asyncio.timeout(spot.answer_within):
            _, writer = await asyncio.open_connection(address, port, ssl=ANY, server_hostname=host_of(spot.mac))
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.transport.abort()  # a goodbye may never be answered
    return hashlib.sha256(shown).hexdigest()


async def _verify(spot: Spot, session: ClientSession) -> None:
    with judged(spot):
        config = await _json(spot, session, "get", "api/config")
        told, model, software = str(config["bridgeid"]), str(config["modelid"]), str(config["swversion"])
    if mac_of_bridge(told) != spot.mac:
        raise Rejected(f"Another bridge answers at {spot}: its id is {told[:32]!r}.")
    if model == FIRST_GENERATION:
        raise Rejected(f"{spot} is a bridge of the first generation (round), which can not push what happens.")
    if software.isdecimal() and int(software) < OLDEST:
        raise Rejected(f"{spot} runs software that is too old: update it in the Hue app.")


async def _ask_for_key(spot: Spot, session: ClientSession) -> str:
    (answer,) = await _json(spot, session, "post", "api", json={"devicetype": APPLICATION})
    if "error" in answer:
        raise_from_error(answer["error"])
    key = str(answer["success"]["username"])
    if KEY.fullmatch(key) is None:
        msg = "a key that can not be one"
        raise ValueError(msg)
    return key


async def _json(spot: Spot, session: ClientSession, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401
    url = f"https://{host_of(spot.mac)}/{path}"
    async with asyncio.timeout(spot.answer_within), session.request(method, url, **options) as response:
        if response.status != HTTPStatus.OK:
            msg = f"HTTP status {response.status}"
            raise ValueError(msg)
        return await response.json(content_type=None)
