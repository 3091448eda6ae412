"""The digest authentication of a Shelly Gen2, of the device's side: RFC 7616 with SHA-256, over HTTP and in frames.

Protocol: shelly-api-docs.shelly.cloud/gen2/General/Authentication.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

__all__ = ["Digest"]

USER = "admin"
IN_FRAMES = "dummy_method:dummy_uri"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Digest:
    """What a device with a password asks for, and whether an answer is right; each count of a nonce is good once."""

    def __init__(self, realm: str, password: str) -> None:
        self._realm = realm
        self._ha1 = _sha256(f"{USER}:{realm}:{password}")
        self._counts: dict[str, int] = {}

    def challenge(self) -> str:
        """Return the ``message`` of the error 401 of a frame, as JSON."""
        wanted = {"auth_type": "digest", "nonce": int(self._nonce()), "nc": 1, "realm": self._realm}
        return json.dumps({**wanted, "algorithm": "SHA-256"})

    def header(self) -> str:
        """Return the ``WWW-Authenticate`` of the status 401."""
        return f'Digest qop="auth", realm="{self._realm}", nonce="{self._nonce()}", algorithm=SHA-256'

    def fits_frame(self, auth: object) -> bool:
        """Return whether the ``auth`` of a frame proves the password."""
        return isinstance(auth, dict) and self._fits(auth, IN_FRAMES, int)

    def fits_header(self, method: str, uri: str, header: str) -> bool:
        """Return whether an ``Authorization`` header proves the password for this request."""
        scheme, _, rest = header.partition(" ")
        members = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', rest)}
        if scheme.lower() != "digest" or members.get("uri") != uri:
            return False
        return self._fits(members, f"{method}:{uri}", lambda text: int(text, 16))

    def _nonce(self) -> str:
        nonce = str(secrets.randbelow(1 << 31))
        self._counts[nonce] = 0
        return nonce

    def _fits(self, auth: Mapping[str, Any], what: str, number: Any) -> bool:  # noqa: ANN401 - str or int to int
        nonce, told = str(auth.get("nonce")), auth.get("nc", 1)
        try:
            count = number(told)
        except (TypeError, ValueError):
            return False
        if auth.get("username") != USER or nonce not in self._counts or count <= self._counts[nonce]:
            return False
        self._counts[nonce] = count
        expected = _sha256(f"{self._ha1}:{nonce}:{told}:{auth.get('cnonce')}:auth:{_sha256(what)}")
        return hmac.compare_digest(expected, str(auth.get("response")))
