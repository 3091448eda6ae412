"""Packets that pass through in-line mode: read by their first characters, and under an ack id of the other side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.errors import ProtocolError
from gladys_companion.inline.frames import Head, head, with_ack_id
from gladys_companion.inline.token import SeenToken
from gladys_companion.protocol import socketio


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ('42["latency"]', Head("event", None, "latency", 2)),
        ('420["message",{"a":"42["}]', Head("event", 0, "message", 3)),
        ('4217["open-api-message",{}]', Head("event", 17, "open-api-message", 4)),
        ('42[ "open-api-mess\\u0061ge"]', Head("event", None, "open-api-message", 2)),
        ("4312[{}]", Head("ack", 12, None, 4)),
    ],
)
def test_heads(frame: str, expected: Head) -> None:
    """Name and ack id are read as a parser of the whole packet would, escapes included."""
    assert head(frame) == expected


@pytest.mark.parametrize("frame", ["2", "3probe", "40{}", "41", "5", "6", "", "44{}"])
def test_others(frame: str) -> None:
    """What is neither event nor ack is left to who keeps the connection."""
    assert head(frame) is None


@pytest.mark.parametrize(
    "frame",
    ["42/admin,[1]", "42", "42{}", "43[1]", "42[1]", "42[]", "451-[1]", "42" + "1" * 17 + '["a"]', "42٣[1]", '42["a'],
)
def test_malformed(frame: str) -> None:
    """What is malformed is an error, never passed on."""
    with pytest.raises(ProtocolError):
        head(frame)


def test_long_name_tells_whom() -> None:
    """A name that never ends is not searched to the end of the packet, and its sender can still be told."""
    with pytest.raises(ProtocolError) as caught:
        head('427["' + "x" * 1000 + '"]')
    assert caught.value.data["ack_id"] == 7


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), st.integers(0, 10**9))
def test_agrees_with_the_codec(name: str, ack_id: int) -> None:
    """For any name, the first characters tell the same as the whole, and another id changes nothing else."""
    name = f"e{name}"
    frame = socketio.event(name, {"value": [1, "x"]}, ack_id=ack_id)
    found = head(frame)
    assert found is not None
    assert (found.name, found.ack_id) == (name, ack_id)
    assert with_ack_id(frame, found, 5) == socketio.event(name, {"value": [1, "x"]}, ack_id=5)
    assert with_ack_id(frame, found, None) == socketio.event(name, {"value": [1, "x"]})


def test_token_counts_once_accepted() -> None:
    """A token counts once accepted, until that very one is refused; failures of the upstream change nothing."""
    changes: list[str | None] = []
    seen = SeenToken(lambda: changes.append(seen.value))
    seen.answered("bad", 403)
    seen.answered("", 200)
    assert not changes
    for token, status in (("one", 200), ("one", 200), ("two", 403), ("one", 500)):
        seen.answered(token, status)
    seen.answered("two", 200)
    assert changes == ["one", "two"]
    assert seen.value == "two"
    seen.answered("two", 401)
    assert not seen.value


def test_token_is_not_shown() -> None:
    """The token stands in no text that is made of its holder."""
    seen = SeenToken()
    seen.answered("very-secret", 200)
    assert "secret" not in f"{seen!r}{seen}"
