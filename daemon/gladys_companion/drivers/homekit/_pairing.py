"""Pairs with an accessory by its PIN, proves the pairing at each connection, and ends it.

A pairing is the dictionary that the library makes: its own secret key and the accessory's public one, as hex digits.
The PIN itself is never sent (it is proved by SRP), and nobody but the accessory learns anything from an attempt.
Source: HomeKit Accessory Protocol, 5.6 (set-up), 5.7 (verify), 5.11 (remove).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Generator
from typing import Any

import msgspec
from aiohomekit.exceptions import AuthenticationError
from aiohomekit.http import HttpContentTypes
from aiohomekit.protocol import (
    error_handler,
    get_session_keys,
    perform_pair_setup_part1,
    perform_pair_setup_part2,
)
from aiohomekit.protocol.tlv import TLV

from gladys_companion.drivers.homekit._wire import Nonsense, Wire
from gladys_companion.drivers.identity import mac_of

__all__ = ["Pairing", "identity", "kept", "pin_of", "remove", "set_up", "to_keep", "verify"]

Pairing = dict[str, str]

MEMBERS = frozenset({"AccessoryPairingID", "AccessoryLTPK", "iOSPairingId", "iOSDeviceLTSK", "iOSDeviceLTPK"})

UNAUTHORISED = frozenset({401, 470})  # HTTP; the second is HomeKit's own

Steps = Generator[Any, Any, Any]


def pin_of(code: str) -> str | None:
    """Return a PIN as accessories want it, ``031-45-154``, however it was written; None if it is none."""
    digits = re.sub(r"[\s-]", "", code)
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}" if re.fullmatch(r"[0-9]{8}", digits) else None


def to_keep(pairing: Pairing) -> bytes:
    """Return a pairing as it is kept."""
    return msgspec.json.encode({member: pairing[member] for member in sorted(MEMBERS)})


def kept(secret: bytes) -> Pairing | None:
    """Return a pairing that was kept; None if that can not be read any more."""
    try:
        pairing = msgspec.json.decode(secret, type=Pairing)
    except msgspec.MsgspecError:
        return None
    return pairing if pairing.keys() >= MEMBERS else None


def identity(pairing: Pairing) -> str | None:
    """Return whose pairing it is, as the device's id says it."""
    return mac_of(pairing["AccessoryPairingID"])


async def set_up(wire: Wire, pin: str, *, certified: bool) -> Pairing:
    """Return the pairing that an unpaired accessory grants to who knows its PIN.

    Args:
        wire: a new connection.
        pin: as ``pin_of`` returns it.
        certified: the accessory announces that it proves to have Apple's chip (bit 0 of ``ff``).

    Raises:
        HomeKitException: it does not grant it; the class says why.
    """
    salt, key = await _exchange(wire, "/pair-setup", perform_pair_setup_part1(certified))
    steps = perform_pair_setup_part2(pin, str(uuid.uuid4()), salt, key)
    pairing: Pairing = await _exchange(wire, "/pair-setup", steps)
    return pairing


async def verify(wire: Wire, pairing: Pairing) -> None:
    """Prove to each other who is who; from then on the connection is encrypted.

    Raises:
        IncorrectPairingIdError, InvalidSignatureError: it is another accessory.
        AuthenticationError: it does not know us any more.
    """
    _, derive = await _exchange(wire, "/pair-verify", get_session_keys(dict(pairing)))
    send, receive = (
        derive(b"Control-Salt", info) for info in (b"Control-Write-Encryption-Key", b"Control-Read-Encryption-Key")
    )
    wire.secure(send, receive)


async def remove(wire: Wire, pairing: Pairing) -> None:
    """Have an accessory forget us, on a connection that was verified.

    Raises:
        AuthenticationError: it does not let us.
    """
    answer = await _post(
        wire,
        "/pairings",
        [
            (TLV.kTLVType_State, TLV.M1),
            (TLV.kTLVType_Method, TLV.RemovePairing),
            (TLV.kTLVType_Identifier, pairing["iOSPairingId"].encode()),
        ],
    )
    if TLV.kTLVType_Error in answer:
        error_handler(answer[TLV.kTLVType_Error], "M2")
    if answer.get(TLV.kTLVType_State) != TLV.M2:
        raise Nonsense("it does not say that the pairing is removed")


async def _exchange(wire: Wire, target: str, steps: Steps) -> Any:  # noqa: ANN401 - whatever the steps lead to
    """Carry the messages of one exchange; its arithmetic takes too long for the loop."""
    done, value = await asyncio.to_thread(_advance, steps, None)
    while not done:
        request, _ = value
        done, value = await asyncio.to_thread(_advance, steps, await _post(wire, target, request))
    return value


def _advance(steps: Steps, answer: dict[int, bytearray] | None) -> tuple[bool, Any]:
    try:
        return False, steps.send(answer)
    except StopIteration as end:
        return True, end.value


async def _post(wire: Wire, target: str, request: list[Any]) -> dict[int, bytearray]:
    response = await wire.request("POST", target, bytes(TLV.encode_list(request)), HttpContentTypes.TLV.value)
    answer = dict(TLV.decode_bytes(response.body))
    if TLV.kTLVType_State not in answer and response.code in UNAUTHORISED:
        raise AuthenticationError("HTTP status")
    return answer
