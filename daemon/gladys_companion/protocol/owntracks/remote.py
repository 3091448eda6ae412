"""How OwnTracks is set up from outside: configurations, and the links that its apps import one from.

An app takes over what a configuration holds, and leaves the rest as it is. Source: the OwnTracks booklet, "Remote
Configuration" (https://owntracks.org/booklet/features/remoteconfig/).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

__all__ = ["configuration_link", "encryption", "new_key"]


def configuration_link(configuration: Mapping[str, Any]) -> str:
    """Return the link that OwnTracks imports a configuration from."""
    encoded = base64.b64encode(msgspec.json.encode(configuration)).decode()
    return f"owntracks:///config?inline={quote(encoded, safe='')}"


def encryption(key: str) -> dict[str, Any]:
    """Return the configuration that gives an app its encryption key, and changes nothing else."""
    return {"_type": "configuration", "encryptionKey": key}


def new_key() -> str:
    """Return a fresh encryption key: 32 characters, which is all that an app uses of one."""
    return secrets.token_urlsafe(24)
