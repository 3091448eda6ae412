"""An authenticator app in a test, which knows nothing but the text that it was shown."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

__all__ = ["App"]


class App:
    """Shows codes of an ``otpauth`` URL, or of the base32 text in it, by a clock."""

    def __init__(self, shown: str, now: Callable[[], float]) -> None:
        text = parse_qs(urlsplit(shown).query)["secret"][0] if shown.startswith("otpauth") else shown.strip()
        key = base64.b32decode(text + "=" * (-len(text) % 8))
        self._totp = TOTP(key, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - what apps speak
        self._now = now

    def code(self, later: float = 0.0) -> str:
        """Return the code that it shows in so many seconds."""
        return self._totp.generate(int(self._now() + later)).decode()
