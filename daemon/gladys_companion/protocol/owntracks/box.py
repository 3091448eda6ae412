"""OwnTracks' encryption: envelopes opened and sealed with a phone's passphrase, only ever at home.

libsodium's secretbox: the key is the passphrase in UTF-8, cut or filled with zero bytes to 32; ``data`` is Base64 of
nonce (24 bytes), MAC (16) and ciphertext. Source: https://owntracks.org/booklet/features/encrypt/.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol.owntracks._messages import Encrypted, Message
from gladys_companion.protocol.owntracks._read import decode

__all__ = ["open_envelope", "seal"]

_LEAST = SecretBox.NONCE_SIZE + SecretBox.MACBYTES


def _box(passphrase: str) -> SecretBox:
    return SecretBox(passphrase.encode()[: SecretBox.KEY_SIZE].ljust(SecretBox.KEY_SIZE, b"\0"))


def open_envelope(envelope: Encrypted, passphrase: str, now: float) -> Message | None:
    """Return the message in an envelope; None if it holds nothing.

    Raises:
        ProtocolError: the envelope is damaged, or what is in it can never be used. Where only the passphrase is wrong,
            ``data["keep"]`` is true: the envelope can still be opened with the right one.
    """
    try:
        sealed = base64.b64decode("".join(envelope.data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("An encrypted OwnTracks message is not Base64, so nothing can open it.") from None
    if len(sealed) < _LEAST:
        raise ProtocolError("An encrypted OwnTracks message is shorter than any can be, so nothing can open it.")
    try:
        body = _box(passphrase).decrypt(sealed)
    except CryptoError:
        raise ProtocolError(
            "An encrypted OwnTracks message can not be opened with this phone's passphrase: set the one that the app "
            "has as its encryption key. The message is kept until then.",
            keep=True,
        ) from None
    message = decode(body, now)
    if isinstance(message, Encrypted):
        raise ProtocolError("An encrypted OwnTracks message holds another encrypted one.")
    return message


def seal(body: bytes, passphrase: str, nonce: bytes | None = None) -> bytes:
    """Return the envelope, as JSON, of a message; the nonce is drawn by chance unless a test gives its 24 bytes."""
    sealed = bytes(_box(passphrase).encrypt(body, nonce))
    return msgspec.json.encode({"_type": "encrypted", "data": base64.b64encode(sealed).decode()})
