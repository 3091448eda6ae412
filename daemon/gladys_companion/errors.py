"""What can go wrong, sorted by who must act.

::

    CompanionError            code, sentence, HTTP status and exit code of its own
    |- ConfigError            the operator: a file, a line, a path (exit 78)
    |- StoreError             the operator: the database can not be used as it is (exit 74)
    |  |- StoreFull           disk full: nothing was stored (retried later)
    |  |- StoreReadOnly       the directory or the file can not be written
    |  |- StoreCorrupt        not a database, or a damaged one
    |  |- StoreNewer          written by a newer program
    |  `- StoreLocked         another process owns it
    |- AuthError              the user: pair again, new key (the link parks)
    |  `- PairingRefused      a pairing code that is wrong, spent or too old
    |- AddressInUse           the operator, or time: another program listens there (exit 75, so systemd tries again)
    |- Unavailable            nobody: back off and retry
    |  |- Unanswered          it was told, and did not answer: tried again, and never called undone
    |  `- Unsure              nobody knows whether it was done: settle as that, where twice is one too many
    |- Rejected               nobody can: settle with the reason
    |- ProtocolError          the peer: drop that message and count it
    `- RequestError           the sender of one request: told in the answer

Anything else that we raise is a bug and ends the process.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AddressInUse",
    "AuthError",
    "CompanionError",
    "ConfigError",
    "PairingRefused",
    "ProtocolError",
    "Rejected",
    "RequestError",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StoreNewer",
    "StoreReadOnly",
    "Unanswered",
    "Unavailable",
    "Unsure",
]


EXIT_CODES = {429: 75, 502: 76}  # of requests that commands make: try later; the other end is at fault


class CompanionError(Exception):
    """Root of ours. ``str()`` is a full sentence that says what to do; ``code`` never changes once released."""

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, **data: Any) -> None:
        super().__init__(sentence)
        self.data = data

    def body(self) -> dict[str, Any]:
        """Return the JSON body, shaped as Gladys' own: ``{"status", "error_code", "error_message"}``."""
        return {"status": self.status, "error_code": self.code, "error_message": str(self)}


class ConfigError(CompanionError):
    """The configuration can not be used; the sentence names file, line, path and the nearest valid key."""

    code = "CONFIG"
    exit_code = 78


class StoreError(CompanionError):
    """The database can not be used."""

    code = "STORE"
    status = 503
    exit_code = 74


class StoreFull(StoreError):
    """The disk is full. The job that met it left no trace and may be tried again."""

    code = "STORE_FULL"


class StoreReadOnly(StoreError):
    """The file or its directory can not be written."""

    code = "STORE_READ_ONLY"


class StoreCorrupt(StoreError):
    """The file is not a database of ours, or is damaged. It was left as it is."""

    code = "STORE_CORRUPT"


class StoreNewer(StoreError):
    """The file was written by a newer program. It was left as it is."""

    code = "STORE_NEWER"


class StoreLocked(StoreError):
    """Another process owns the file."""

    code = "STORE_LOCKED"


class AuthError(CompanionError):
    """A token or password was refused; only the user can change that."""

    code = "AUTH"
    status = 401
    exit_code = 77


class PairingRefused(AuthError):
    """A pairing code is wrong, spent or too old."""

    code = "PAIRING_REFUSED"
    status = 403


class AddressInUse(CompanionError):
    """Another program listens on an address of ours; it may end by itself, so a later start may go well."""

    code = "ADDRESS_IN_USE"
    status = 503
    exit_code = 75


class Unavailable(CompanionError):
    """It can not be done now, and may be done later: back off and try again."""

    code = "UNAVAILABLE"
    status = 503
    exit_code = 69


class Unanswered(Unavailable):
    """It was told, and did not answer: it may yet do it. Tried again; where that does not help, nobody knows."""

    code = "UNANSWERED"


class Unsure(Unavailable):
    """It was sent, and nobody knows whether it was done: the delivery settles as ``unknown`` and is not tried again."""

    code = "UNSURE"


class Rejected(CompanionError):
    """It can never be done: settle with this reason."""

    code = "REJECTED"
    status = 422
    exit_code = 65


class ProtocolError(CompanionError):
    """The peer sent what its protocol does not allow. That message is dropped; the connection need not be."""

    code = "PROTOCOL"
    status = 400
    exit_code = 76


class RequestError(CompanionError):
    """One request can not be served. Carries the status and the stable code of the answer's body.

    Args:
        status: HTTP status, 400 or more.
        code: stable upper-case word, documented in ``docs/reference/errors.md``.
        sentence: for a person; names the field, never contains a key.
        data: further members of the error body, such as ``field`` or ``nearest``.
    """

    exit_code = 65

    def __init__(self, status: int, code: str, sentence: str, **data: Any) -> None:
        super().__init__(sentence, **data)
        self.status = status  # type: ignore[misc]  # a class constant of the others, a value of each of these
        self.exit_code = EXIT_CODES.get(status, self.exit_code)  # type: ignore[misc]
        self.code = code  # type: ignore[misc]

    def body(self) -> dict[str, Any]:
        """Return the JSON body with the further members."""
        return {**super().body(), **self.data}
