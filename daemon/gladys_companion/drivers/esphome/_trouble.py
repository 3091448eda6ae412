"""What goes wrong with an ESPHome device, as ``Unavailable`` or ``Rejected`` with a sentence that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from aioesphomeapi.core import (
    APIConnectionError,
    BadMACAddressAPIError,
    EncryptionErrorAPIError,
    EncryptionPlaintextAPIError,
    HandshakeAPIError,
    InvalidAuthAPIError,
    InvalidEncryptionKeyAPIError,
    ProtocolAPIError,
    RequiresEncryptionAPIError,
    SocketAPIError,
    SocketClosedAPIError,
)

from gladys_companion.errors import Rejected, Unavailable

__all__ = ["AnotherDevice", "NotEncrypted", "TooLong", "judged"]

# What the library raises where an answer is none of such a device.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class AnotherDevice(Rejected):
    """Something answers where the device is said to be, and is not that device."""


class NotEncrypted(Rejected):
    """A key is known for the device, and what answers there does not want it."""


class TooLong(APIConnectionError):
    """The device lists more than any such device has."""


@contextmanager
def judged(where: str, device_id: str) -> Iterator[None]:
    """Turn what the library raises into whether trying again can help.

    Args:
        where: the device's name and address, for the sentence.
        device_id: what it is paired by.
    """
    try:
        yield
    except (HandshakeAPIError, RequiresEncryptionAPIError, InvalidAuthAPIError, BadMACAddressAPIError) as error:
        raise _of_trust(error, where, device_id) from error
    except TooLong as error:
        raise Unavailable(f"{where} lists more than any such device has: restart it.") from error
    except (ProtocolAPIError, *NONSENSE) as error:
        raise _nonsense(error, where) from error
    except SocketClosedAPIError as error:
        raise Unavailable(f"{where} ended the connection.") from error
    except (SocketAPIError, OSError) as error:
        raise Unavailable(f"{where} can not be reached: {_reason(error)}.") from error
    except APIConnectionError as error:
        raise Unavailable(f"{where} ended the connection, or was silent for too long.") from error


def _of_trust(error: Exception, where: str, device_id: str) -> Unavailable | Rejected:
    """Return what a failure to trust each other means, and what its owner can do."""
    pair = f"`gladys-companion devices pair {device_id}`"
    match error:
        case RequiresEncryptionAPIError():
            return Rejected(f"{where} is encrypted: give its key with {pair}.")
        case EncryptionPlaintextAPIError():
            return NotEncrypted(
                f"{where} is paired with a key, but what answers there is not encrypted: nothing is said to it. If "
                f"you took the encryption out of its configuration, use `gladys-companion devices unpair {device_id}`; "
                "if not, somebody may pretend to be it."
            )
        case InvalidEncryptionKeyAPIError() if not isinstance(error, EncryptionErrorAPIError):  # that comes later
            return Rejected(f"{where} has another encryption key: give it with {pair}.")
        case BadMACAddressAPIError():
            return AnotherDevice(f"Another device answers at {where}: its MAC is {error.received_mac[:32]!r}.")
        case InvalidAuthAPIError():
            return Rejected(
                f"{where} wants an API password, which ESPHome gave up: in the `api` of its configuration, put an "
                f"`encryption` with a `key` in the place of `password`, install it anew, and use {pair}."
            )
    return _nonsense(error, where)


def _nonsense(error: Exception, where: str) -> Unavailable:
    return Unavailable(f"{where} does not answer as ESPHome does ({type(error).__name__}).")


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else type(error).__name__
