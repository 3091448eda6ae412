"""The sockets of instances: who they are, which of them gets a home's events, and the end of those that are dead.

Source: the gladys-gateway server. An instance authenticates in the CONNECT packet, or by ``instance-authentication``;
messages go to the newest live socket of the home's primary instance, which only a person changes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiohttp import web

from gladys_companion.clock import Clock
from gladys_companion.engine_io import UPGRADE_WITHIN
from gladys_companion.errors import AuthError, RequestError, StoreError
from gladys_companion.gateway._engine import PING_INTERVAL, PING_TIMEOUT, Clients, engine
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.heartbeat import FIRST_ID, Heartbeats
from gladys_companion.gateway.relay import Relay
from gladys_companion.gateway.storage import Storage
from gladys_companion.protocol.open_api import COMPANION_VERSION

__all__ = ["AUTHENTICATE_WITHIN", "Sockets"]

AUTHENTICATE_WITHIN = 90.0

_log = structlog.get_logger(__name__)


class HomeSocket:
    """An authenticated socket; ``relay.Socket``."""

    def __init__(self, sid: str, home_id: str, instance_id: str, clients: Clients, *, companion: bool) -> None:
        self.sid = sid
        self.home_id = home_id
        self.instance_id = instance_id
        self.companion = companion
        self.condemned = False
        self.told_primary: bool | None = None  # what it was last told, if it was
        self._clients = clients

    async def emit(self, ack_id: int, message: bytes) -> None:
        """Send ``open-api-message``."""
        await self._clients.emit_encoded(self.sid, "open-api-message", ack_id, message)

    def condemn(self) -> None:
        """Close it soon, and use it no more."""
        self.condemned = True


class Sockets:
    """All sockets of this process; ``run`` it in a task, and route ``/socket.io/`` to ``handle``."""

    def __init__(  # noqa: PLR0913 - its parts and its times, each named at its call
        self,
        storage: Storage,
        accounts: Accounts,
        relay: Relay,
        heartbeats: Heartbeats,
        clock: Clock,
        *,
        authenticate_within: float = AUTHENTICATE_WITHIN,
        look_every: float = 1.0,
        goodbye: float = 2.0,
        ping_interval: float = PING_INTERVAL,
        ping_timeout: float = PING_TIMEOUT,
        upgrade_within: float = UPGRADE_WITHIN,
    ) -> None:
        self._storage = storage
        self._accounts = accounts
        self._relay = relay
        self._heartbeats = heartbeats
        self._clock = clock
        self._authenticate_within = authenticate_within
        self._look_every = look_every
        self._goodbye = goodbye  # seconds that a socket has to close after it was told to
        self._clients = Clients(self._acked)
        self._server = engine(self._clients, ping_interval, ping_timeout, upgrade_within)
        self._sockets: dict[str, HomeSocket] = {}  # by Socket.IO session, oldest authentication first
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("instance-authentication", self._authentication)
        self._server.on("latency", self._latency)
        self._server.on("open-api-receipt", self._receipt)
        for event in ("message", "user-authentication"):
            self._server.on(event, self._no_dashboard)
        self._server.on("*", self._unknown)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a request of ``/socket.io/``.

        Raises:
            RequestError: 400.
        """
        return await self._server.sessions.handle(request)

    def connected(self, home_id: str) -> bool:
        """Return whether the home's primary instance is connected."""
        return self._newest(home_id) is not None

    def is_connected(self, instance_id: str) -> bool:
        """Return whether an instance is connected."""
        return any(one.instance_id == instance_id and not one.condemned for one in self._sockets.values())

    def changed(self, home_id: str) -> None:
        """Look again who gets the home's events, and who may stay, after a person changed it."""
        for socket in list(self._sockets.values()):
            if socket.home_id == home_id:
                instance = self._storage.instance(socket.instance_id)
                if instance is None or instance.revoked_at is not None:
                    socket.condemn()
        self._relay.use(home_id, self._newest(home_id))
        if self._storage.home(home_id) is None:
            self._relay.forget(home_id)

    async def tell(self, home_id: str, event: str) -> None:
        """Send the connected instances of a home an event without arguments."""
        for socket in list(self._sockets.values()):
            if socket.home_id == home_id and not socket.condemned:
                await self._server.emit(event, to=socket.sid)

    async def run(self) -> None:
        """Cut what is dead, condemned, or still nobody, for ever."""
        while True:
            await asyncio.sleep(self._look_every)
            await self._look()

    async def close(self) -> None:
        """Cut all sockets, so that their homes notice at once."""
        for socket in self._sockets.values():
            self._storage.seen(socket.instance_id)
        await self._server.sessions.close()

    def _newest(self, home_id: str) -> HomeSocket | None:
        live = (
            socket
            for socket in reversed(list(self._sockets.values()))
            if socket.home_id == home_id and not socket.condemned and self._is_primary(socket)
        )
        return next(live, None)

    async def _connect(self, sid: str, _environ: object, auth: object) -> None:
        if not isinstance(auth, dict) or not auth:
            return  # it may still authenticate by event
        reason = self._authenticate(sid, auth) if auth.get("auth_type") == "instance" else "unknown auth_type"
        if reason is None:
            await self._welcome(self._sockets[sid])
            self._attach(sid)
        else:
            await self._server.emit("instance-authentication-failed", {"reason": reason}, to=sid)
            await self._leave(sid)

    async def _welcome(self, socket: HomeSocket) -> None:
        """Say that it is in; a companion hears too whether the home's messages go to its instance."""
        if not socket.companion:
            await self._server.emit("instance-authenticated", to=socket.sid)
            return
        socket.told_primary = self._is_primary(socket)
        ours = {"version": COMPANION_VERSION, "time": self._clock.now(), "primary": socket.told_primary}
        await self._server.emit("instance-authenticated", {"companion": ours}, to=socket.sid)

    def _is_primary(self, socket: HomeSocket) -> bool:
        home = self._storage.home(socket.home_id)
        return home is not None and home.primary_instance == socket.instance_id

    async def _authentication(self, sid: str, *args: object) -> dict[str, bool]:
        reason = self._authenticate(sid, args[0] if args and isinstance(args[0], dict) else {})
        if reason is None:
            self._attach(sid)
        # Else it stays, as one who never said who it is: the official client comes back at once when it is dismissed,
        # for ever, but waits a second when its connection was cut.
        return {"authenticated": reason is None}

    def _authenticate(self, sid: str, auth: dict[str, Any]) -> str | None:
        """Note whose socket it is; return why not."""
        token, companion = auth.get("access_token"), auth.get("companion")
        try:
            instance = self._accounts.authenticate(token if isinstance(token, str) else "")
        except AuthError as error:
            return str(error)
        version = companion.get("version") if isinstance(companion, dict) else None
        self._forget(sid)
        self._sockets[sid] = HomeSocket(
            sid, instance.home_id, instance.id, self._clients, companion=isinstance(version, int) and version >= 1
        )
        self._storage.seen(instance.id)
        return None

    def _attach(self, sid: str) -> None:
        socket = self._sockets[sid]
        newest = self._newest(socket.home_id)
        _log.info(
            "gateway.home_connected",
            home=socket.home_id,
            instance=socket.instance_id,
            companion=socket.companion,
            primary=newest is socket,
        )
        self._relay.use(socket.home_id, newest)
        if newest is socket:
            self._heartbeats.connected(socket.home_id)

    def _forget(self, sid: str) -> None:
        socket = self._sockets.pop(sid, None)
        if socket is not None:
            self._storage.seen(socket.instance_id)
            self._relay.use(socket.home_id, self._newest(socket.home_id))

    def _disconnect(self, sid: str, reason: str) -> None:
        socket = self._sockets.get(sid)
        if socket is not None:
            _log.info("gateway.home_left", home=socket.home_id, instance=socket.instance_id, reason=reason)
        self._forget(sid)

    def _acked(self, sid: str, ack_id: int, args: Any) -> None:  # noqa: ANN401 - JSON
        socket = self._sockets.get(sid)
        if socket is not None and ack_id >= FIRST_ID:
            self._heartbeats.answered(ack_id, args)
        elif socket is not None:
            self._relay.acked(socket, ack_id, args)

    async def _latency(self, _sid: str, *args: object) -> object:
        return args[0] if args else {}

    async def _receipt(self, sid: str, *args: object) -> dict[str, Any]:
        socket = self._sockets.get(sid)
        if socket is None:
            return {"status": 401, "error_code": "UNAUTHORIZED", "error_message": "Authenticate first."}
        try:
            return await self._relay.told(socket.home_id, args[0] if args else None)
        except StoreError as error:
            return error.body()

    async def _no_dashboard(self, _sid: str, *_args: object) -> dict[str, Any]:
        error = RequestError(501, "NOT_OFFERED", "This gateway has no dashboard: look at your Gladys from home.")
        return {**error.body(), "authenticated": False}

    async def _unknown(self, _event: str, _sid: str, *_args: object) -> dict[str, Any]:
        return {"status": 404, "error_code": "UNKNOWN_EVENT", "error_message": "This gateway does not know this event."}

    async def _leave(self, sid: str) -> None:
        """Say goodbye, and cut the connection if it is still there in a moment."""
        eio_sid = self._clients.eio_sid_from_sid(sid, "/")
        await self._server.disconnect(sid)
        if eio_sid is not None:
            self._server.sessions.leave_within(eio_sid, self._goodbye)

    async def _ask(self) -> None:
        """Ask the homes that it is time for whether they still do their work."""
        for home in self._storage.homes():
            socket = self._newest(home.id)
            if socket is not None and socket.companion and (ack_id := self._heartbeats.due(home.id)) is not None:
                await self._clients.emit_encoded(socket.sid, "companion-heartbeat", ack_id, b"{}")
            elif socket is not None and not socket.companion:  # an unmodified Gladys: connected is all that is known
                self._heartbeats.connected(home.id)
        self._heartbeats.look(self._storage.homes())

    async def _look(self) -> None:
        await self._ask()
        for sid in [socket.sid for socket in self._sockets.values() if socket.condemned]:
            await self._leave(sid)
        for socket in list(self._sockets.values()):
            if socket.told_primary not in {None, self._is_primary(socket)}:
                await self._welcome(socket)
        known = {self._clients.eio_sid_from_sid(sid, "/") for sid in self._sockets}
        await self._server.sessions.look(known, self._authenticate_within)
