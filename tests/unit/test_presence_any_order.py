"""Whatever order posts reach home in, and however often: the same people are in the same places, and say so alike."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gladys_companion.store import whereabouts
from tests.home import SetClock
from tests.presence_home import AWAY, HOME, Track, open_presence

BEGAN = SetClock().now()

places = st.sampled_from([HOME, AWAY, (HOME[0] + 0.0012, HOME[1]), (0.0, 0.0)])


def _location(where: tuple[float, float], ago: int, accuracy: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {"_type": "location", "lat": where[0], "lon": where[1], "tst": BEGAN - ago}
    return body if accuracy is None else {**body, "acc": accuracy}


locations = st.builds(_location, places, st.integers(0, 3_000), st.sampled_from([None, 0, 10, 60, 2_000]))
transitions = st.builds(
    lambda event, ago: {"_type": "transition", "event": event, "desc": "home", "tst": BEGAN - ago},
    st.sampled_from(["enter", "leave"]),
    st.integers(0, 3_000),
)
rubbish = st.sampled_from(
    [
        {"_type": "location", "lat": 91, "lon": 0, "tst": BEGAN},
        {"_type": "location", "lat": 1, "lon": 1, "tst": BEGAN + 99_999},
        {"_type": "lwt"},
        {"_type": "moon"},
        [],
    ]
)
posts = st.lists(locations | transitions | rubbish, min_size=1, max_size=9, unique_by=str)


async def final(bodies: Sequence[Any]) -> tuple[Any, ...]:
    """Return what a home knows after these posts, which all reach it at once, and an hour more."""
    with tempfile.TemporaryDirectory() as directory:
        async with open_presence(Path(directory)) as track:
            for body in bodies:  # the gateway gives a message that is posted again the id of the first
                await track.post(body, id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(body))))
            await track.later(3_600)
            return await _known(track)


async def _known(track: Track) -> tuple[Any, ...]:
    stored = await track.home.store.read(lambda database: whereabouts.load_state(database, "anna"))
    told = {} if stored is None else msgspec.json.decode(stored)["told"]
    values = await track.values("person:anna:home", "person:anna:zone")
    kept = await track.home.rows("SELECT latitude, longitude, at, accuracy FROM positions ORDER BY 3, 1, 2, 4")
    inside = {zone: one[0] if one else None for zone, one in told.items()}
    home = inside.get("home")
    assert home is None or values[0] == float(home)
    return inside, values[1], kept


@settings(max_examples=40, deadline=None)
@given(posts, st.data())
def test_any_order_ends_alike(bodies: list[Any], data: st.DataObject) -> None:
    """Shuffled and with some sent twice, a flushed queue leaves the same state, positions and features."""
    shuffled = data.draw(st.permutations([*bodies, *data.draw(st.lists(st.sampled_from(bodies), max_size=3))]))
    assert asyncio.run(final(bodies)) == asyncio.run(final(shuffled))
