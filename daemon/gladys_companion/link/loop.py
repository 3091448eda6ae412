"""The one outbound websocket to the gateway, and the one loop that opens it again.

Silence is noticed (data, not TCP, is the sign of life), only a stable minute resets the backoff, and a refused token
parks the link until the pairing changes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from msgspec import Raw, Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from gladys_companion import config
from gladys_companion.backoff import STABLE_AFTER, delay
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.errors import AuthError, ConfigError, ProtocolError, Unavailable
from gladys_companion.intake import Intake
from gladys_companion.link.pairing import Pairing, members, plainly
from gladys_companion.link.session import Passing, Reply, Session, leave, no_reply
from gladys_companion.protocol import open_api, socketio
from gladys_companion.protocol.open_api import DEFAULT_TTL

__all__ = ["Link", "LinkState", "tls_context"]

FIRST_DELAY = 0.5
OPEN_WITHIN = 10.0
ANSWER_WITHIN = ClientTimeout(total=10, sock_connect=3)
TOKEN_LASTS = 50 * 60.0  # it is valid for an hour
MOST_FRAME = 26_214_400  # bytes, as the gateway announces
MOST_FRAMES_WAITING = 16
MOST_PASSING_WAITING = 1
YEAR_3000 = 32_503_680_000.0

log = structlog.get_logger(__name__)


def _nobody(_: float) -> None:
    """Tell nobody."""


class _Connect(connect):
    """A websocket to the gateway itself: where that sends us elsewhere, our token does not go."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Follow none."""
        return exc


class LinkState(Struct, frozen=True, kw_only=True):
    """How the link is, since when (epoch), and why. ``clock_offset``: seconds by which the gateway's clock is ahead.

    ``primary``: whether the home's messages come here; another instance gets them otherwise. ``heartbeat_at``: when
    the gateway's last heartbeat came (epoch); None where it sent none.
    """

    state: Literal["connecting", "connected", "waiting", "parked"]
    since: float
    reason: str | None = None
    attempts: int = 0
    clock_offset: float | None = None
    malformed: int = 0
    primary: bool = True
    heartbeat_at: float | None = None


def tls_context(ca_certificate: str) -> ssl.SSLContext:
    """Return a context that verifies, with the system's authorities or those of a file. Reads files.

    Raises:
        ConfigError: the file can not be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_certificate or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[link] ca_certificate: {ca_certificate} can not be used: {error}.") from error


class Link:
    """Keeps the connection of one pairing; ``run`` it in a task.

    Args:
        pairing: where to, and by which token.
        intake: takes what comes.
        options: ``[link]`` of the configuration.
        http: for the access token.
        context: verifies the gateway's certificate.
        time_to_live: seconds after which a command is late, unless its sender asked for less.
        clock: wall and boot time.
        delays: seconds to wait, as ``backoff.delay`` says them.
        told_time: called with the gateway's time, seconds since the epoch, whenever it tells it.
        reply: returns what the app that sent an event is told in return.
        passing: takes what is not for us, where somebody else's traffic shares the connection.
    """

    def __init__(  # noqa: PLR0913 - the parts of a link, each named at its call
        self,
        pairing: Pairing,
        intake: Intake,
        *,
        options: config.Link,
        http: ClientSession,
        context: ssl.SSLContext,
        time_to_live: float = DEFAULT_TTL,
        clock: Clock = SYSTEM,
        delays: Callable[[int, float, float], float] = delay,
        told_time: Callable[[float], None] = _nobody,
        reply: Reply = no_reply,
        passing: Passing | None = None,
    ) -> None:
        self._pairing = pairing
        self._intake = intake
        self._options = options
        self._http = http
        self._context = context
        self._clock = clock
        self._time_to_live = time_to_live
        self._delays = delays
        self._told_time = told_time
        self._reply = reply
        self._passing = passing
        self._token: tuple[str, float] | None = None
        self._connected_at: float | None = None
        self._speaks_ours = False
        self._beats = False  # in this session, the gateway sends heartbeats
        self._well_at = clock.elapsed()
        self.attempted = asyncio.Event()  # set when the first attempt ended, well or not
        self.state = LinkState(state="connecting", since=clock.now())

    @property
    def silent_for(self) -> float:
        """For how many seconds the gateway was not heard: no heartbeat, or, where it sends none, no connection."""
        if self.state.state == "connected" and not self._beats:
            return 0.0
        return self._clock.elapsed() - self._well_at

    async def run(self) -> None:
        """Connect, and again, for ever; returns only when parked."""
        most = self._options.backoff_most_own if self._pairing.own else self._options.backoff_most_plus
        failures = 0
        while True:
            self._note("connecting", attempts=failures)
            self._connected_at = None
            try:
                await self._session()
                reason = "the gateway closed the connection"
            except AuthError as error:
                self._note("parked", str(error))
                log.error("link parked", reason=str(error))  # noqa: TRY400 - the sentence says it all
                self.attempted.set()
                return
            except (Unavailable, ProtocolError) as error:
                reason = str(error)
            self.attempted.set()
            failures = 0 if self._lasted() >= STABLE_AFTER else failures
            wait = self._delays(failures, FIRST_DELAY, most)
            failures += 1
            self._note("waiting", reason, attempts=failures)
            log.warning("link lost", reason=reason, again_in=round(wait, 2))
            await asyncio.sleep(wait)

    def _lasted(self) -> float:
        """Return for how many seconds the last session was authenticated."""
        return 0.0 if self._connected_at is None else self._clock.elapsed() - self._connected_at

    def _note(
        self, state: Literal["connecting", "connected", "waiting", "parked"], *why: str, attempts: int = 0
    ) -> None:
        if self.state.state == "connected" and not self._beats:
            self._well_at = self._clock.elapsed()
        self.state = msgspec.structs.replace(
            self.state, state=state, since=self._clock.now(), reason=why[0] if why else None, attempts=attempts
        )

    async def _access_token(self) -> tuple[str, bool]:
        """Return a token, and whether it was just made.

        Raises:
            AuthError: the gateway knows this home no more.
            Unavailable: it did not answer.
        """
        if self._token is not None and self._clock.elapsed() - self._token[1] < TOKEN_LASTS:
            return self._token[0], False
        url = f"{self._pairing.url}/instances/access-token"
        headers = {"Authorization": self._pairing.refresh_token}
        try:
            async with self._http.get(
                url, headers=headers, timeout=ANSWER_WITHIN, ssl=self._context, allow_redirects=False
            ) as answer:
                status, told = answer.status, await members(answer)
        except (ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{self._pairing.url} can not be reached: {plainly(error)}") from error
        token = told.get("access_token")
        if status in {401, 403} and told.get("error_code"):  # else something between here and the gateway refuses
            raise AuthError(f"{self._pairing.url} refuses this home's token: {self._help}.")
        if not isinstance(token, str) or not token:
            raise Unavailable(f"{self._pairing.url} answered {status} where a token was asked for")
        self._token = (token, self._clock.elapsed())
        return token, True

    async def _session(self) -> None:
        """Open one connection and serve it until it ends.

        Raises:
            Unavailable, ProtocolError: it could not be opened, or ended badly; try again later.
            AuthError: a fresh token was refused.
        """
        token, fresh = await self._access_token()
        uri = self._pairing.url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        opening = _Connect(
            uri,
            ssl=self._context if uri.startswith("wss") else None,
            compression=None,
            proxy=None,  # as for the access token
            ping_interval=None,  # the gateway pings, one layer up
            open_timeout=OPEN_WITHIN,
            close_timeout=1,
            max_size=MOST_FRAME,
            # They wait only while what we answer does, and one that passes on may be large.
            max_queue=MOST_FRAMES_WAITING if self._passing is None else MOST_PASSING_WAITING,
        )
        try:
            socket = await opening
            try:
                silence = await self._authenticate(socket, token, fresh=fresh)
                await self._serve(socket, silence)
            finally:
                await leave(socket)
        except ConnectionClosed as error:
            raise Unavailable(f"the connection was lost ({error})") from error
        except TimeoutError as error:
            raise Unavailable("the gateway fell silent") from error
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise Unavailable(f"{self._pairing.url} can not be connected: {error}") from error

    @property
    def _help(self) -> str:
        """What helps who is refused."""
        if self._passing is not None:
            return "Gladys has to log in there again"
        return "pair again with a fresh code" if self._pairing.own else "pair again"

    async def _authenticate(self, socket: ClientConnection, token: str, *, fresh: bool) -> float:
        """Open the session; return after how many seconds without a frame it is dead."""
        async with asyncio.timeout(OPEN_WITHIN):
            opened = socketio.decode(await socket.recv())
            if not isinstance(opened, socketio.Open):
                raise ProtocolError("the gateway did not open the session")
            auth = {
                "auth_type": "instance",
                "access_token": token,
                "companion": {"version": open_api.COMPANION_VERSION},
            }
            await socket.send(socketio.connect(auth))
            while True:
                packet = socketio.decode(await socket.recv())
                match packet:
                    case socketio.ServerEvent(name="instance-authenticated"):
                        self._connected(packet.args)
                        return min(self._options.dead_after, (opened.ping_interval + opened.ping_timeout) / 1000)
                    case socketio.ServerEvent(name="instance-authentication-failed"):
                        self._token = None
                        if fresh:
                            raise AuthError(f"{self._pairing.url} refuses this home: {self._help}.")
                        raise Unavailable("the access token was too old; asking for a fresh one")
                    case socketio.ConnectError() | socketio.Disconnected() | socketio.Closed():
                        raise Unavailable("the gateway refused the session")
                    case socketio.Ping():
                        await socket.send(socketio.pong(packet.data))

    def _connected(self, args: tuple[Raw, ...]) -> None:
        self._connected_at = self._well_at = self._clock.elapsed()
        self._beats = False
        self._speaks_ours = self._welcomed(args)
        self._note("connected")
        self.attempted.set()
        log.info("link connected", url=self._pairing.url, clock_offset=self.state.clock_offset)

    def _welcomed(self, args: tuple[Raw, ...]) -> bool:
        """Take what a gateway of ours says of itself, at the start and when it changed; return whether it is one."""
        told: dict[str, Any] = open_api.decode_receipt(args[0]) if args else {}
        companion = told.get("companion")
        ours = companion if isinstance(companion, dict) else {}
        time, primary = ours.get("time"), ours.get("primary") is not False
        offset = None
        if isinstance(time, int | float) and not isinstance(time, bool) and 0 <= time < YEAR_3000:
            offset = round(time - self._clock.now(), 3)
            self._told_time(time)
        self.state = msgspec.structs.replace(self.state, clock_offset=offset, primary=primary)
        if not primary:
            log.warning("another instance gets this home's messages", instance=self._pairing.instance_id)
        return isinstance(companion, dict)

    async def _serve(self, socket: ClientConnection, silence: float) -> None:
        loop = asyncio.get_running_loop()
        session = Session(
            socket,
            self._intake,
            self._clock,
            self._time_to_live,
            malformed=self._malformed,
            welcomed=self._welcomed,
            beaten=self._beaten,
            reply=self._reply,
            passing=self._passing,
        )
        if self._passing is not None:
            self._passing.up(socket.send)
        try:
            async with asyncio.TaskGroup() as group:
                teller = group.create_task(session.tell(), name="link receipts") if self._speaks_ours else None
                async with asyncio.timeout(silence) as alive:
                    while session.open:
                        frame = await socket.recv()
                        alive.reschedule(loop.time() + silence)
                        await session.take(frame, group)
                if teller:
                    teller.cancel()
        except* (ConnectionClosed, TimeoutError, ProtocolError, Unavailable) as errors:
            raise _first(errors) from None
        finally:
            if self._passing is not None:
                self._passing.down()

    def _beaten(self) -> None:
        self._beats, self._well_at = True, self._clock.elapsed()
        self.state = msgspec.structs.replace(self.state, heartbeat_at=self._clock.now())

    def _malformed(self) -> None:
        self.state = msgspec.structs.replace(self.state, malformed=self.state.malformed + 1)


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    """Return what ended a session: the first of what came at once."""
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
