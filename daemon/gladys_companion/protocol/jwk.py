"""The key pairs of users and instances as JWK, and private keys locked by a password, as Gladys' own client does both.

Only who has such a key can read what a Gladys and its dashboard tell each other; the companion never does. It
makes them where one is asked for. Source: ``lib/crypto.js`` of ``@gladysassistant/gladys-gateway-js`` 4.19.1.
"""

from __future__ import annotations

import base64
import json
import secrets
import unicodedata
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from msgspec import Struct

__all__ = ["Jwk", "KeyPair", "Locked", "encryption_pair", "lock", "signing_pair"]

ROUNDS = 100_000
RSA_BITS = 2048
COORDINATE = 32  # bytes, of P-256

Jwk: TypeAlias = dict[str, Any]


class KeyPair(Struct, frozen=True):
    """A key pair as JWK: exactly the members that a browser exports, for its import refuses others."""

    public: Jwk
    private: Jwk

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r}, private=...)"


class Locked(Struct, frozen=True):
    """A private key that a password opens."""

    wrappedKey: str  # noqa: N815 - as Gladys' client calls it
    salt: tuple[int, ...]
    iv: tuple[int, ...]


def encryption_pair() -> KeyPair:
    """Return a pair for RSA-OAEP with SHA-256. Takes a tenth of a second, so not for the loop."""
    made = rsa.generate_private_key(65_537, RSA_BITS)
    own = made.private_numbers()
    shared = {"kty": "RSA", "alg": "RSA-OAEP-256", "ext": True}
    public = {"n": _text(own.public_numbers.n), "e": _text(own.public_numbers.e)}
    private = {"d": own.d, "p": own.p, "q": own.q, "dp": own.dmp1, "dq": own.dmq1, "qi": own.iqmp}
    secret = {name: _text(value) for name, value in private.items()}
    return KeyPair(
        {"key_ops": ["encrypt", "wrapKey"], **shared, **public},
        {"key_ops": ["decrypt", "unwrapKey"], **shared, **public, **secret},
    )


def signing_pair() -> KeyPair:
    """Return a pair for ECDSA on P-256."""
    own = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    point = own.public_numbers
    public = {"kty": "EC", "crv": "P-256", "x": _text(point.x, COORDINATE), "y": _text(point.y, COORDINATE)}
    secret = _text(own.private_value, COORDINATE)
    return KeyPair(
        {"key_ops": ["verify"], "ext": True, **public}, {"key_ops": ["sign"], "ext": True, **public, "d": secret}
    )


def lock(password: str, private: Jwk) -> Locked:
    """Return a private key locked by a password. Takes a tenth of a second, so not for the loop."""
    salt, iv = secrets.token_bytes(16), secrets.token_bytes(12)
    wrapped = AESGCM(_opener(password, salt)).encrypt(iv, json.dumps(private).encode(), None)
    return Locked(wrapped.hex(), tuple(salt), tuple(iv))


def _opener(password: str, salt: bytes) -> bytes:
    """Return the key that a password comes to; its text counts as UTF-16, as that client encodes it."""
    text = unicodedata.normalize("NFKD", password.strip()).encode("utf-16-le", "surrogatepass")
    return PBKDF2HMAC(algorithm=SHA256(), length=32, salt=salt, iterations=ROUNDS).derive(text)


def _text(value: int, size: int | None = None) -> str:
    encoded = value.to_bytes(size or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()
