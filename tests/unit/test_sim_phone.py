"""The simulated phone: what it reads is what it sends, and what apps send is what the gateway can read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from gladys_companion.gateway.posts import bearer
from gladys_companion.protocol import owntracks
from gladys_companion.protocol.fixes import Fix
from gladys_companion.protocol.owntracks.box import open_envelope
from gladys_companion.protocol.trackers import decode_osmand, decode_overland
from gladys_companion.sim._phone_apps import APPS, Who
from gladys_companion.sim._tracks import later, read_track
from tests.tracks import make

GPX = """\ufeff<?xml version="1.0"?>
<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
  <trkpt lat="48.2" lon="16.37"><ele>171.4</ele><time>2026-09-21T06:00:30Z</time><hdop>1.6</hdop></trkpt>
  <trkpt lat="-0.5" lon="-179.9"><time>2026-09-21T08:00:00+02:00</time></trkpt>
</trkseg></trk></gpx>"""
AT = 1_789_970_400
POSITION = {"_type": "location", "lat": 48.2, "lon": 16.37, "tst": AT, "acc": 12, "alt": 171, "vel": 36, "cog": 90,
            "batt": 80, "bs": 2, "SSID": "Nest"}  # fmt: skip
WHO = Who("anna", "iphone", "gk_secret")


def test_gpx_becomes_positions_in_order_of_time() -> None:
    """Times of any offset, altitude and accuracy where there are any; a byte order mark does no harm."""
    assert [(said.at, dict(said.payload)) for said in read_track(GPX)] == [
        (AT, {"_type": "location", "lat": -0.5, "lon": -179.9, "tst": AT, "acc": 10}),
        (AT + 30, {"_type": "location", "lat": 48.2, "lon": 16.37, "tst": AT + 30, "acc": 8, "alt": 171}),
    ]


def test_lines_of_owntracks_are_sent_as_they_are() -> None:
    """One message a line, empty lines between; one without a time goes with the one before it."""
    lines = [POSITION, {"_type": "lwt"}, {"_type": "transition", "event": "leave", "desc": "Home", "tst": AT + 5}]
    read = read_track("\n\n".join(map(json.dumps, lines)))
    assert [(said.at, dict(said.payload)) for said in read] == [(AT, lines[0]), (AT, lines[1]), (AT + 5, lines[2])]
    assert len(read_track(json.dumps(POSITION))) == 1


def test_tracks_of_the_corpus_can_be_played() -> None:
    """Each message leaves when it left in the corpus, from the phone that sent it; hints are no app's."""
    walk = make("two phones")
    lines = [{"received_at": one.received_at, "source": one.source, **one.payload} for one in walk.messages]
    lines.append({"received_at": 1.0, "source": "phone", "hint": True, "kind": "told"})
    read = read_track(json.dumps(lines))
    assert [(said.at, said.source, said.payload) for said in read] == [
        (one.received_at, one.source, one.payload) for one in walk.messages
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing in the track"),
        ("[]", "nothing in the track"),
        ("[3]", "Message 1 is not a JSON object"),
        ("here", "Line 1 is neither JSON nor GPX"),
        ('{"_type":"location","tst":1}\n{', "Line 2 is neither"),
        ('{"_type":"location"}', "Message 1 says neither received_at nor tst"),
        ('{"_type":"location","tst":1e300}', "Message 1 says neither"),
        ("<gpx>", "not XML"),
        ("<gpx/>", "nothing in the track"),
        ('<gpx><trkpt lat="1" lon="2"/></gpx>', "Point 1 of the GPX has no time"),
        ('<gpx><trkpt lat="x" lon="2"/></gpx>', "Point 1 of the GPX has no lat and lon"),
    ],
)
def test_what_is_no_track_is_told(text: str, says: str) -> None:
    """With the line, point or message that is wrong."""
    with pytest.raises(ValueError, match=says):
        read_track(text)


def test_a_track_is_dated_anew_with_all_its_times() -> None:
    """What the clock of a phone was wrong by stays; texts and nonsense are left alone."""
    (said,) = read_track(json.dumps([{"received_at": AT, **POSITION, "tst": AT + 7_200, "created_at": "x"}]))
    moved = later(said, 100)
    assert (moved.at, moved.payload["tst"], moved.payload["created_at"]) == (AT + 100, AT + 7_300, "x")
    assert isinstance(moved.payload["tst"], int)


def test_owntracks_says_who_it_is_in_headers_and_password() -> None:
    """As the app does whose password is the key; an envelope holds the same message."""
    request = APPS["owntracks"].request(WHO, [POSITION])
    assert (request.method, request.path) == ("POST", "/v1/api/owntracks")
    assert (request.headers["X-Limit-U"], request.headers["X-Limit-D"]) == ("anna", "iphone")
    assert bearer(request.headers["Authorization"]) == "gk_secret"
    assert json.loads(request.body) == POSITION
    sealed = APPS["owntracks"].request(msgspec.structs.replace(WHO, passphrase="s3cret"), [POSITION])
    envelope = owntracks.decode(sealed.body, AT)
    assert isinstance(envelope, owntracks.Encrypted)
    assert b"lat" not in sealed.body
    opened = open_envelope(envelope, "s3cret", AT)
    assert isinstance(opened, Fix)
    assert opened.latitude == 48.2


def test_overland_and_osmand_are_read_as_what_they_were() -> None:
    """The gateway's own readers find place, time, accuracy, speed and battery again."""
    batch = decode_overland(APPS["overland"].request(WHO, [POSITION, POSITION]).body, AT)
    assert batch.faults == ()
    query = dict(parse_qsl(urlsplit(APPS["osmand"].request(WHO, [POSITION]).path).query))
    for tracked in (*batch.fixes, decode_osmand(query, AT)):
        fix = tracked.fix
        assert (tracked.device, fix.at, fix.latitude, fix.longitude) == ("iphone", AT, 48.2, 16.37)
        assert (fix.accuracy, fix.altitude, fix.course, fix.battery) == (12, 171, 90, 80)
        assert fix.speed == pytest.approx(10)
    assert [one.fix.charging for one in batch.fixes] == [True, True]


@pytest.mark.parametrize("app", ["overland", "osmand"])
@pytest.mark.parametrize(
    "odd", [{"_type": "transition"}, {"lat": None}, {"lon": "x"}, {"tst": -1}, {"tst": 1e30}, {"lat": float("nan")}]
)
def test_other_apps_send_whole_positions_only(app: str, odd: dict[str, Any]) -> None:
    """They know nothing else; numbers that make no sense are left out of what they send."""
    assert not APPS[app].takes({**POSITION, **odd})
    nonsense = {"vel": "fast", "batt": -1, "bs": 9, "cog": None, "alt": [], "acc": {}}
    assert APPS[app].takes({**POSITION, **nonsense})
    assert APPS[app].request(WHO, [{**POSITION, **nonsense}]).headers["Authorization"] == "Bearer gk_secret"
    assert APPS["owntracks"].takes({**POSITION, **odd})


@pytest.mark.parametrize(
    ("app", "status", "body", "gone"),
    [
        ("owntracks", 200, b"[]", True),
        ("owntracks", 200, b"", True),
        ("owntracks", 202, b"{}", True),
        ("owntracks", 302, b"", False),
        ("owntracks", 400, b"[]", False),
        ("owntracks", 401, b"[]", False),
        ("owntracks", 429, b"[]", False),
        ("owntracks", 503, b"[]", False),
        ("overland", 200, b'{"result":"ok"}', True),
        ("overland", 200, b'{"result":"no"}', False),
        ("overland", 200, b"[]", False),
        ("overland", 200, b"\xff", False),
        ("overland", 503, b'{"result":"ok"}', False),
        ("osmand", 200, b"", True),
        ("osmand", 503, b"", False),
    ],
)
def test_each_app_has_its_own_idea_of_a_good_answer(app: str, status: int, body: bytes, *, gone: bool) -> None:
    """OwnTracks 2.6 for Android takes any 2xx and blocks on all else; Overland reads the body."""
    assert (APPS[app].refuses(status, body) is None) is gone
