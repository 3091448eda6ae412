"""The password that the owner gave for a Shelly, and when it may be sent.

Gen2 is only ever sent a digest. Gen1 wants the password itself, in the clear: it gets it where it was when the owner
gave it, and nowhere else, because anything on the network can announce any MAC.
"""

from __future__ import annotations

import msgspec
from aiohttp import encode_basic_auth
from msgspec import Struct

from gladys_companion.drivers.shelly._place import Hello, Place
from gladys_companion.errors import Rejected
from gladys_companion.ports import Secrets

__all__ = ["Password", "basic", "forget", "keep", "kept", "wanted"]


class Password(Struct, frozen=True):
    """A password, and where the device was when it was given."""

    password: str
    address: str
    port: int


async def kept(secrets: Secrets, device_id: str) -> Password | None:
    """Return the password of a device, if there is one."""
    found = await secrets.get(device_id)
    return msgspec.json.decode(found, type=Password) if found is not None else None


async def keep(secrets: Secrets, device_id: str, password: Password) -> None:
    """Keep it; returns when committed."""
    await secrets.set(device_id, msgspec.json.encode(password))


async def forget(secrets: Secrets, device_id: str) -> None:
    """Forget it; returns when committed."""
    await secrets.set(device_id, None)


def wanted(place: Place, said: Hello, password: Password | None) -> Password | None:
    """Return the password that the device wants; None of one that is open to all.

    Raises:
        Rejected: none was given, or it was given for another place.
    """
    if not said.protected:
        return None
    if password is None:
        raise Rejected(f"{place} is protected by a password. Give it with {place.pairing}.")
    if said.gen == 1 and (password.address, password.port) != place.endpoint:
        raise Rejected(
            f"{place} was at {password.address}:{password.port} when its password was given, and would have it sent "
            f"in the clear: it is not sent to another place unasked. If it is the same device, pair it again with "
            f"{place.pairing}, and have your router give it always the same address."
        )
    return password


def basic(username: str, password: Password | None) -> dict[str, str]:
    """Return the headers that a Gen1 wants."""
    return {} if password is None else {"Authorization": encode_basic_auth(username, password.password, "utf-8")}
