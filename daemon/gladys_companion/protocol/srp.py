"""SRP-6a as Gladys Plus logs in by: neither side ever sees the password, and each proves to the other that it knows it.

2048-bit group and SHA-256; the secret x is PBKDF2 of ``email:password``. All values travel as hex. Source: npm
``secure-remote-password`` 0.3.1, and ``login`` of ``@gladysassistant/gladys-gateway-js`` 4.19.1; group: RFC 5054.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from msgspec import Struct

from gladys_companion.errors import ProtocolError

__all__ = [
    "Ephemeral",
    "Session",
    "client_ephemeral",
    "client_session",
    "email_of",
    "new_salt",
    "password_of",
    "private_key",
    "server_ephemeral",
    "server_session",
    "verifier",
    "verify_server",
]

ROUNDS = 100_000
SIZE = 256  # bytes of the group
RANDOM = 32  # bytes
_N = int(
    "AC6BDB41324A9A9BF166DE5E1389582FAF72B6651987EE07FC3192943DB56050A37329CBB4A099ED8193E0757767A13DD52312AB4B03310D"
    "CD7F48A9DA04FD50E8083969EDB767B0CF6095179A163AB3661A05FBD5FAAAE82918A9962F0B93B855F97993EC975EEAA80D740ADBF4FF74"
    "7359D041D5C33EA71D281E446B14773BCA97B43A23FB801676BD207A436C6481F1D2B9078717461A5B9D32E688F87748544523B524B0D57D"
    "5EA77A2775D2ECFA032CFBDBF52FB3786160279004E57AE6AF874E7303CE53299CCC041C7BC308D82A5698F3A8D0C38271AE35F8E9DBFBB6"
    "94B5C803D89F7AE435DE236D525F54759B65E372FCD68EF20FA7111F9E4AFF73",
    16,
)
_G = 2


class Ephemeral(Struct, frozen=True):
    """One side's values of one login; ``secret`` stays where it was made."""

    secret: int
    public: str

    def __repr__(self) -> str:
        return f"Ephemeral(secret=..., public={self.public[:8]!r}...)"


class Session(Struct, frozen=True):
    """What both sides then have: the ``key`` (32 bytes), and the ``proof`` (hex) that the other one is to check."""

    key: bytes
    proof: str

    def __repr__(self) -> str:
        return "Session(key=..., proof=...)"


def email_of(typed: str) -> str:
    """Return an e-mail address as both sides write it."""
    return typed.strip().lower()


def password_of(typed: str) -> str:
    """Return a password as both sides take it."""
    return typed.strip()


def new_salt() -> str:
    """Return a salt of 32 bytes, hex."""
    return secrets.token_hex(RANDOM)


def private_key(email: str, password: str, salt: str) -> int:
    """Return x. Takes a tenth of a second, so not for the loop.

    Raises:
        ProtocolError: the salt is no hex.
    """
    known = f"{email_of(email)}:{password_of(password)}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.pbkdf2_hmac("sha256", known, _bytes(salt), ROUNDS), "big")


def verifier(x: int) -> str:
    """Return what the server keeps instead of the password, hex."""
    return _public(pow(_G, x, _N))


def client_ephemeral() -> Ephemeral:
    """Return the client's values of one login."""
    secret = int.from_bytes(secrets.token_bytes(RANDOM), "big")
    return Ephemeral(secret, _public(pow(_G, secret, _N)))


def server_ephemeral(verifier: str) -> Ephemeral:
    """Return the server's values of one login."""
    secret = int.from_bytes(secrets.token_bytes(RANDOM), "big")
    return Ephemeral(secret, _public((_K * _number(verifier) + pow(_G, secret, _N)) % _N))


def client_session(ephemeral: Ephemeral, server_public: str, salt: str, email: str, x: int) -> Session:
    """Return the client's key and its proof for the server.

    Raises:
        ProtocolError: the server's value is none, or would give the password away.
    """
    theirs = _number(server_public)
    if not theirs % _N:
        raise ProtocolError("The server sent an invalid public ephemeral.")
    u = _hash(_padded(_number(ephemeral.public)), _padded(theirs))
    shared = pow(theirs - _K * pow(_G, x, _N), ephemeral.secret + int.from_bytes(u, "big") * x, _N)
    return _session(ephemeral.public, server_public, salt, email, shared)


def server_session(
    ephemeral: Ephemeral, client_public: str, salt: str, email: str, verifier: str, client_proof: str
) -> Session | None:
    """Return the server's key and its proof for the client; None when the client's proof is wrong.

    Raises:
        ProtocolError: the client's value is none, or would open every account.
    """
    theirs = _number(client_public)
    if not theirs % _N:
        raise ProtocolError("The client sent an invalid public ephemeral.")
    u = int.from_bytes(_hash(_padded(theirs), _padded(_number(ephemeral.public))), "big")
    shared = pow(theirs * pow(_number(verifier), u, _N), ephemeral.secret, _N)
    made = _session(client_public, ephemeral.public, salt, email, shared)
    if not hmac.compare_digest(made.proof.encode(), client_proof.lower().encode("utf-8", "surrogatepass")):
        return None
    return Session(made.key, _answer(client_public, made))


def verify_server(client_public: str, session: Session, server_proof: str) -> bool:
    """Return whether the server knows the verifier, as it should."""
    expected = _answer(client_public, session)
    return hmac.compare_digest(expected.encode(), server_proof.lower().encode("utf-8", "surrogatepass"))


def _session(client_public: str, server_public: str, salt: str, email: str, shared: int) -> Session:
    key = _hash(_padded(shared))
    group = bytes(one ^ other for one, other in zip(_hash(_padded(_N)), _hash(bytes([_G])), strict=True))
    who = _hash(email_of(email).encode("utf-8", "surrogatepass"))
    public = _padded(_number(client_public)), _padded(_number(server_public))
    return Session(key, _hash(group, who, _bytes(salt), *public, key).hex())


def _answer(client_public: str, session: Session) -> str:
    return _hash(_padded(_number(client_public)), bytes.fromhex(session.proof), session.key).hex()


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _padded(value: int) -> bytes:
    return value.to_bytes(SIZE, "big")


def _public(value: int) -> str:
    return _padded(value).hex()


def _number(text: str) -> int:
    value = int.from_bytes(_bytes(text), "big")
    if value >= 1 << (8 * SIZE):
        raise ProtocolError("A number of the login is too large.")
    return value


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text if len(text) % 2 == 0 else f"0{text}")
    except ValueError as error:
        raise ProtocolError("A value of the login is not hexadecimal.") from error


_K = int.from_bytes(_hash(_padded(_N), bytes([_G])), "big")
