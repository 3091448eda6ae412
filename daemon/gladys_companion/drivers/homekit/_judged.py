"""What may go wrong with an accessory, sorted by who must act: the one place that translates errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from aiohomekit.crypto import DecryptionError
from aiohomekit.exceptions import (
    AccessoryDisconnectedError,
    AuthenticationError,
    BackoffError,
    BusyError,
    HomeKitException,
    HttpException,
    IncorrectPairingIdError,
    InvalidSignatureError,
    MaxPeersError,
    MaxTriesError,
    UnavailableError,
)
from aiohomekit.protocol.statuscodes import HapStatusCode, to_status_code
from aiohomekit.protocol.tlv import TlvParseException

from gladys_companion.drivers.homekit._wire import Nonsense
from gladys_companion.errors import Rejected, Unanswered, Unavailable
from gladys_companion.model import Device

__all__ = ["AnotherDevice", "PairedElsewhere", "again", "elsewhere", "judged", "judged_pairing", "refused", "where"]

# What the library raises where an answer can be read, but is not an accessory's.
NONSENSE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DecryptionError,
    HttpException,
    LookupError,
    Nonsense,
    TlvParseException,
    TypeError,
    ValueError,
)

# Table 6-11 of the protocol; what it does not know may pass, so it is tried again.
NEVER = frozenset(
    {
        HapStatusCode.INSUFFICIENT_PRIVILEGES,
        HapStatusCode.CANT_WRITE_READ_ONLY,
        HapStatusCode.CANT_READ_WRITE_ONLY,
        HapStatusCode.RESOURCE_NOT_EXIST,
        HapStatusCode.INVALID_VALUE,
        HapStatusCode.INSUFFICIENT_AUTH,
    }
)


class AnotherDevice(Rejected):
    """What answers where the accessory is said to be can not prove that it is this accessory."""


class PairedElsewhere(Rejected):
    """The accessory is paired already, and not with us as far as it is asked here."""


def where(device: Device) -> str:
    """Return a device's name and where it is, for sentences."""
    address = f"[{device.address}]" if ":" in (device.address or "") else device.address
    return f"{device.name} ({address}:{device.port})"


def again(device: Device) -> str:
    """Return how a device is paired, for sentences."""
    return f"`gladys-companion devices pair {device.id}`, with the PIN on it"


def elsewhere(device: Device) -> str:
    """Return what to do about an accessory that is paired with somebody else."""
    return (
        f"{device.name} is paired with somebody else, such as an iPhone: remove it there or reset it, then "
        f"{again(device)}."
    )


@contextmanager
def judged(device: Device, answer_within: float) -> Iterator[None]:
    """Turn whatever asking a device raises into ``Unavailable`` or ``Rejected``."""
    place = where(device)
    try:
        yield
    except TimeoutError as error:
        raise Unanswered(f"{place} did not answer within {answer_within:g} s.") from error
    except AuthenticationError as error:
        raise Rejected(
            f"{place} does not know this companion any more: it was reset, or the pairing was removed there. "
            f"Pair it again: {again(device)}."
        ) from error
    except IncorrectPairingIdError as error:
        raise AnotherDevice(f"Another accessory answers at {place}.") from error
    except InvalidSignatureError as error:
        raise AnotherDevice(
            f"What answers at {place} can not prove to be the accessory that was paired. If it was reset, pair it "
            f"again: {again(device)}."
        ) from error
    except AccessoryDisconnectedError as error:
        raise Unavailable(f"{place} ended the connection.") from error
    except OSError as error:
        says = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
        raise Unavailable(f"{place} can not be reached: {says.rstrip('.')}.") from error
    except (HomeKitException, *NONSENSE) as error:
        raise Unavailable(f"{place} does not answer as HomeKit does ({type(error).__name__}).") from error


@contextmanager
def judged_pairing(device: Device) -> Iterator[None]:
    """Turn what an accessory answers to an attempt to pair it into sentences; within ``judged``."""
    try:
        yield
    except AuthenticationError as error:
        raise Rejected(
            f"{device.name} says that the PIN is wrong. It has eight digits and is on the accessory, on its box or on "
            "its screen."
        ) from error
    except UnavailableError as error:
        raise PairedElsewhere(elsewhere(device)) from error
    except MaxTriesError as error:
        raise Rejected(
            f"{device.name} takes no PIN any more after too many wrong ones: restart it, or reset it."
        ) from error
    except MaxPeersError as error:
        raise Rejected(f"{device.name} is paired with as many as it can be: remove it from one of them.") from error
    except (BackoffError, BusyError) as error:
        raise Unavailable(
            f"{device.name} takes no PIN just now: somebody else is pairing it, or there were too many wrong PINs. "
            "Try again in a few minutes."
        ) from error


def refused(device: Device, status: int) -> Unavailable | Rejected:
    """Return the error for a status that an accessory gave in place of doing what it was asked."""
    code = to_status_code(status)
    says = f"{where(device)} did not do it: {code.description.rstrip('.')} (status {status})."
    return Rejected(says) if code in NEVER else Unavailable(says)
