"""A phone with OwnTracks in a test: it posts as the apps do, keeps its queue in order, and demands what they demand."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from tests.rig import Rig

__all__ = ["AWAY", "HOME", "PEOPLE", "OwnTracks", "quarantined", "reasons"]

HOME = (48.8566, 2.3522)
AWAY = (48.8597, 2.3522)  # 345 m: a test has not the time to go farther and be believed
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "presence": {"enter_dwell": 0.2, "leave_dwell": 0.5, "timezone": "UTC"},
    "zones.home": {"latitude": HOME[0], "longitude": HOME[1], "home": True},
    "people.anna": {"name": "Anna"},
    "people.anna.phones.iphone": {"user": "anna", "device": "iphone"},
}


class OwnTracks:
    """Posts to a rig's gateway, as one user and device."""

    def __init__(self, rig: Rig, http: aiohttp.ClientSession, user: str = "anna", device: str = "iphone") -> None:
        self._rig = rig
        self._http = http
        self._headers = {"X-Limit-U": user, "X-Limit-D": device, "Content-Type": "application/json"}

    async def post(self, body: object) -> list[Any]:
        """Post a body (bytes as they are), and return the array that the app wants; anything else fails."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        url = f"{self._rig.url}/v1/api/owntracks/{self._rig.key}"
        async with self._http.post(url, data=io.BytesIO(raw), headers=self._headers) as answer:
            text = await answer.read()
            assert answer.status == 200, (answer.status, text, raw[:200])
            found = msgspec.json.decode(text)
        assert isinstance(found, list), found
        return found

    async def at(self, where: tuple[float, float], ago: float = 0.0, **more: Any) -> list[Any]:
        """Post a location of so many seconds ago."""
        body = {"_type": "location", "lat": where[0], "lon": where[1], "tst": time.time() - ago, "acc": 10}
        return await self.post({**body, **more})


def reasons(rig: Rig) -> list[tuple[str, str | None]]:
    """Return what became of each message at home, in order: state and reason."""
    return rig.rows(
        rig.journal,
        "SELECT d.state, d.reason FROM deliveries d JOIN events e ON e.seq = d.event "
        "WHERE d.target = 'presence' ORDER BY e.seq",
    )


def quarantined(rig: Rig) -> list[str]:
    """Return the reasons of what the gateway could not pass on."""
    return [row[0] for row in rig.rows(rig.held_journal, "SELECT reason FROM quarantine ORDER BY id")]
