"""The Socket.IO codec against its own inverse, python-socketio's packets, and what a server must not send."""

from contextlib import suppress

import msgspec
import pytest
from engineio import packet as eio
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw
from socketio import packet as sio

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol import socketio

# Integers within what JavaScript counts exactly; python's json and msgspec agree on all the rest.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(min_size=1).filter(lambda name: name not in socketio.RESERVED)
ACK_IDS = st.integers(0, 10**16 - 1)
ANY_TEXT = st.text(st.characters())  # lone surrogates too
VALID = st.one_of(
    st.builds(socketio.event, NAMES, JSON, ack_id=st.none() | ACK_IDS),
    st.builds(socketio.ack, ACK_IDS, JSON),
    st.sampled_from(['0{"sid":"a","pingInterval":1,"pingTimeout":1}', '40{"sid":"a"}', '44{"message":"a"}', "41", "2"]),
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Cut a piece out of a valid frame and put any text in its place."""
    frame = draw(VALID)
    start, end = sorted((draw(st.integers(0, len(frame))), draw(st.integers(0, len(frame)))))
    return frame[:start] + draw(ANY_TEXT) + frame[end:]


def values(args: tuple[Raw, ...]) -> list[object]:
    return [msgspec.json.decode(arg) for arg in args]


def oracle_reads(frame: str) -> sio.Packet:
    outer = eio.Packet(encoded_packet=frame)
    assert outer.packet_type == eio.MESSAGE
    # The outer packet turns a payload that happens to be JSON into objects; the inner one wants the text.
    return sio.Packet(encoded_packet=frame[1:])


def oracle_writes(packet_type: int, data: object = None, ack_id: int | None = None) -> str:
    inner = sio.Packet(packet_type, data=data, id=ack_id).encode()
    return str(eio.Packet(eio.MESSAGE, data=inner).encode())


@given(NAMES, st.lists(JSON, max_size=4), st.none() | ACK_IDS)
def test_event_comes_back(name: str, args: list[object], ack_id: int | None) -> None:
    """An event survives encoding and decoding, and its arguments stay undecoded."""
    packet = socketio.decode(socketio.event(name, *args, ack_id=ack_id))
    assert isinstance(packet, socketio.ServerEvent)
    assert (packet.name, values(packet.args), packet.ack_id) == (name, args, ack_id)


@given(ACK_IDS, st.lists(JSON, max_size=4))
def test_ack_comes_back(ack_id: int, args: list[object]) -> None:
    """An ack survives encoding and decoding."""
    packet = socketio.decode(socketio.ack(ack_id, *args))
    assert isinstance(packet, socketio.Ack)
    assert (packet.ack_id, values(packet.args)) == (ack_id, args)


@given(NAMES, st.lists(JSON, max_size=4), st.none() | ACK_IDS)
def test_python_socketio_reads_our_events(name: str, args: list[object], ack_id: int | None) -> None:
    """python-socketio finds in our events and acks what we put there."""
    packet = oracle_reads(socketio.event(name, *args, ack_id=ack_id))
    assert (packet.packet_type, packet.data, packet.id) == (sio.EVENT, [name, *args], ack_id)
    packet = oracle_reads(socketio.ack(7, *args))
    assert (packet.packet_type, packet.data, packet.id) == (sio.ACK, args, 7)


@given(NAMES, st.lists(JSON, max_size=4), st.none() | ACK_IDS)
def test_we_read_events_of_python_socketio(name: str, args: list[object], ack_id: int | None) -> None:
    """We find in python-socketio's events and acks what it put there."""
    event = socketio.decode(oracle_writes(sio.EVENT, [name, *args], ack_id))
    assert isinstance(event, socketio.ServerEvent)
    assert (event.name, values(event.args), event.ack_id) == (name, args, ack_id)
    ack = socketio.decode(oracle_writes(sio.ACK, args, 7))
    assert isinstance(ack, socketio.Ack)
    assert (ack.ack_id, values(ack.args)) == (7, args)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_python_socketio_reads_the_rest_of_ours(auth: dict[str, object]) -> None:
    """python-socketio understands our connect, disconnect and pong."""
    packet = oracle_reads(socketio.connect(auth))
    assert (packet.packet_type, packet.data) == (sio.CONNECT, auth)
    assert oracle_reads(socketio.disconnect()).packet_type == sio.DISCONNECT
    pong = eio.Packet(encoded_packet=socketio.pong("probe"))
    assert (pong.packet_type, pong.data) == (eio.PONG, "probe")


@given(st.text(), JSON)
def test_we_read_the_rest_of_python_socketio(text: str, data: object) -> None:
    """We understand connect, connect error, disconnect, close, ping and noop as python-socketio writes them."""
    assert socketio.decode(oracle_writes(sio.CONNECT, {"sid": text, "pid": "later"})) == socketio.Connected(text)
    refused = socketio.decode(oracle_writes(sio.CONNECT_ERROR, {"message": text, "data": data}))
    assert refused == socketio.ConnectError(text, data)
    assert socketio.decode(oracle_writes(sio.DISCONNECT)) == socketio.Disconnected()
    assert socketio.decode(eio.Packet(eio.CLOSE).encode()) == socketio.Closed()
    assert socketio.decode(eio.Packet(eio.PING).encode()) == socketio.Ping()
    assert socketio.decode(eio.Packet(eio.PING, data=text).encode()) == socketio.Ping(text)
    assert socketio.decode(eio.Packet(eio.NOOP).encode()) == socketio.Noop()


def test_handshake_of_the_gateway() -> None:
    """The captured handshake of Gladys Plus is understood, and so is one without the newer field."""
    start = '0{"sid":"a","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000'
    assert socketio.decode(start + ',"maxPayload":26214400}') == socketio.Open("a", 25000, 20000, 26214400)
    assert socketio.decode(start + "}") == socketio.Open("a", 25000, 20000)


@given(ANY_TEXT | damaged())
@example("42" + "9" * 5000 + "[]")
@example('42["a",' + "[" * 100_000)
@example('42["\ud800"]')
def test_nothing_but_protocol_error(frame: str) -> None:
    """Whatever the text, decoding gives a packet or a ProtocolError."""
    with suppress(ProtocolError):
        socketio.decode(frame)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (b"\x00\x01", "binary"),
        ("", "Engine.IO"),
        ("bAAEC", "Engine.IO"),
        ("3", "Engine.IO"),
        ("5", "Engine.IO"),
        ("7", "Engine.IO"),
        ("0", "handshake"),
        ('0{"sid":"a"}', "handshake"),
        ('0{"sid":"a","pingInterval":0,"pingTimeout":1}', "handshake"),
        ('0{"sid":"a","pingInterval":1,"pingTimeout":1e300}', "handshake"),
        ("4", "Socket.IO"),
        ("40", "connect packet"),
        ('40{"sid":1}', "connect packet"),
        ("44", "connect error"),
        ('44"no"', "connect error"),
        ("41[]", "Socket.IO"),
        ('451-["a",{"_placeholder":true,"num":0}]', "Socket.IO"),
        ('461-1[{"_placeholder":true,"num":0}]', "Socket.IO"),
        ("47", "Socket.IO"),
        ('40/admin,{"sid":"a"}', "namespace"),
        ('42/admin,["a"]', "namespace"),
        ('42/admin,5["a"]', "namespace"),
        ("42", "JSON array"),
        ("425", "JSON array"),
        ('42{"a":[1]}', "JSON array"),
        ('42 ["a"]', "JSON array"),
        ('42-1["a"]', "JSON array"),
        ('42²["a"]', "JSON array"),
        ('42٣["a"]', "JSON array"),
        ("42" + "1" * 17 + '["a"]', "16 digits"),
        ('42["a"', "event"),
        ('42["a"]]', "event"),
        ('42["a",NaN]', "event"),
        ('42["a","\\ud800"]', "event"),
        ("42[]", "without a name"),
        ("42[1]", "event name"),
        ('42[""]', "reserved"),
        ('42["disconnect"]', "reserved"),
        ("43[]", "without an id"),
        ("431[", "ack"),
        ('431{"status":200}', "JSON array"),
    ],
)
def test_refused(frame: str | bytes, sentence: str) -> None:
    """What a server may not send to us is refused with a sentence that says what it was."""
    with pytest.raises(ProtocolError, match=sentence) as caught:
        socketio.decode(frame)
    assert str(caught.value).startswith("The server sent ")


@pytest.mark.parametrize("frame", ['4212["a",nul]', "4212[]", "4212[1]", '4212["connect"]', '4212["a","\\ud800"]'])
def test_refused_event_names_its_ack(frame: str) -> None:
    """Of a malformed event the ack id is known, so that its sender need not wait for ever."""
    with pytest.raises(ProtocolError) as caught:
        socketio.decode(frame)
    assert caught.value.data["ack_id"] == 12


def test_ack_id_of_sixteen_digits() -> None:
    """The longest ack id that JavaScript counts to comes back as it was."""
    packet = socketio.decode('429007199254740991["a"]')
    assert packet == socketio.ServerEvent("a", (), 2**53 - 1)


@pytest.mark.parametrize("name", ["", "connect", "disconnect", "newListener"])
def test_reserved_names_are_not_sent(name: str) -> None:
    """We never send an event that a Socket.IO server would refuse."""
    with pytest.raises(ValueError, match="can not be named"):
        socketio.event(name)


def test_raw_arguments_are_passed_on() -> None:
    """An undecoded argument goes out again as the very bytes that came in."""
    packet = socketio.decode('421["a",{"x": 1.50}]')
    assert isinstance(packet, socketio.ServerEvent)
    assert socketio.ack(1, *packet.args) == '431[{"x": 1.50}]'
