"""What phones ask over HTTP: the Open API of the gladys-gateway server, and ``GET /v1/api/events/:id``.

Every request is answered: with a receipt, or with an error that says what to do, never with its own path or key.
Apps that tell where a phone is delete what is refused for good, or send it for ever, so they are told to try again
later, whatever is wrong but their key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

import msgspec
from aiohttp import web

from gladys_companion.clock import Clock
from gladys_companion.config import Gateway
from gladys_companion.errors import CompanionError, RequestError
from gladys_companion.gateway import messages, posts
from gladys_companion.gateway.bodies import Body, read_body, read_whatever
from gladys_companion.gateway.keys import authorize
from gladys_companion.gateway.limits import Limit, wait
from gladys_companion.gateway.posts import Post, Unusable
from gladys_companion.gateway.relay import Relay
from gladys_companion.gateway.responses import respond
from gladys_companion.gateway.storage import Key, NewEvent, Quarantined, Storage
from gladys_companion.gateway.tracks import APPS, App, Asked
from gladys_companion.ids import new_id

__all__ = ["BODY_WITHIN", "PREFIX", "PhoneRoutes", "too_many", "tracks"]

PREFIX = "/v1/api/"
BODY_WITHIN = 15.0

_FORBIDDEN = (401, 403)
_HOLD_FULL_WAIT = 60
_MINUTE = 60.0

Handler = Callable[[web.BaseRequest, Key], Awaitable[web.Response]]


class PhoneRoutes:
    """The routes below ``/v1/api/``, for one storage and relay.

    Args:
        storage: knows keys and events.
        relay: takes what was posted.
        options: ``[gateway]`` of the configuration.
        clock: wall and boot time.
        body_within: the seconds that a body may take.
    """

    def __init__(
        self, storage: Storage, relay: Relay, options: Gateway, clock: Clock, *, body_within: float = BODY_WITHIN
    ) -> None:
        self._storage = storage
        self._relay = relay
        self._clock = clock
        self._most = options.body_limit_kib * 1024
        self._within = body_within
        self._held_for = options.held_days * 86_400.0
        self._wrong = Limit(options.wrong_keys_per_minute / _MINUTE, options.wrong_keys_per_minute, clock)
        self._by_key = Limit(options.rate_per_key, options.burst_per_key, clock)
        self._posts: Mapping[str, Handler] = {
            "device/state": self._state,
            "event": self._event,
            "message": self._message,
        }

    async def handle(self, request: web.BaseRequest, path: str, sender: str) -> web.Response:
        """Answer a request; ``path`` begins with ``PREFIX`` and has no query, ``sender`` is its address.

        Raises:
            RequestError, StoreError: to be answered by ``responses.refusal``.
        """
        name, _, key = path[len(PREFIX) :].partition("/")
        if name == "device":
            second, _, key = key.partition("/")
            name = f"device/{second}"
        key = key.removesuffix("/")
        if name == "events" and key and "/" not in key:
            _allow(request, "GET")
            return await self._trace(unquote(key), self._key(request, "", sender))
        app = APPS.get(name)
        if app is None:
            return await self._receive(request, name, key, sender)
        try:
            if "/" in key:
                raise _no_route()
            _allow(request, *app.methods)
            return await self._track(request, name, app, self._key(request, key, sender))
        except CompanionError as error:
            if error.status in _FORBIDDEN:
                raise
            raise _later(error) from error

    async def _receive(self, request: web.BaseRequest, name: str, key: str, sender: str) -> web.Response:
        handler = self._posts.get(name)
        if handler is None or "/" in key:
            raise _no_route()
        _allow(request, "POST")
        return await handler(request, self._key(request, key, sender))

    def _key(self, request: web.BaseRequest, in_path: str, sender: str) -> Key:
        """Return whose key came with a request, in the path or else in its ``Authorization``.

        Raises:
            RequestError: 401 if it opens nothing, 429 if it comes too often, or too many wrong ones do.
        """
        secret = unquote(in_path) if in_path else posts.bearer(request.headers.get("Authorization"))
        if not secret:
            raise RequestError(
                401,
                "UNAUTHORIZED",
                "No key came: append it to the path, or send it as Bearer or as the password of Basic.",
            )
        try:
            key = self._storage.key_for(secret)
        except RequestError:
            if over := self._wrong.take(sender):
                raise too_many("Too many wrong keys came from this address", over) from None
            raise
        if over := self._by_key.take(key.id):
            raise too_many("This key sends too much", over)
        return key

    async def _state(self, request: web.BaseRequest, key: Key) -> web.Response:
        body = await read_body(request, self._most, self._within)
        post = posts.read_state_post(body, request.headers.get("Content-Type", ""), self._clock.now())
        authorize(key, "state", post.external_id)
        return await self._post(request, key, post, body)

    async def _event(self, request: web.BaseRequest, key: Key) -> web.Response:
        authorize(key, "event")
        body = await read_body(request, self._most, self._within)
        return await self._post(
            request, key, posts.read_event(body, request.headers.get("Content-Type", ""), key.id), body
        )

    async def _message(self, request: web.BaseRequest, key: Key) -> web.Response:
        authorize(key, "message")
        body = await read_body(request, self._most, self._within)
        return await self._post(
            request, key, posts.read_message(body, request.headers.get("Content-Type", ""), key.id), body
        )

    async def _post(self, request: web.BaseRequest, key: Key, post: Post, body: bytes) -> web.Response:
        once = posts.idempotency(request.headers.get("Idempotency-Key"))
        body_hash = hashlib.sha256(post.action.encode() + b"\0" + body).digest() if once else None
        answer = await self._relay.post(self._new(key, post, once, body_hash), key)
        return respond(answer.status, answer.body)

    async def _track(self, request: web.BaseRequest, name: str, app: App, key: Key) -> web.Response:
        """Take what tells where a phone is, and answer as its app wants it, whatever is wrong with it."""
        authorize(key, "location")
        body = await read_whatever(request, self._most, self._within)
        if body.whole is None:
            await self._quarantine(key, name, body, f"larger than {self._most} bytes")
            return respond(200, app.answer)
        try:
            post = app.read(body.whole, Asked(request.headers, request.query), key.id, self._clock.now())
        except Unusable as error:
            await self._quarantine(key, name, body, str(error))
            return respond(200, app.answer)
        if post is None:  # legal, and says nothing
            return respond(200, app.answer)
        event = self._new(key, post, post.once, None)
        if not app.replies:
            await self._relay.take(event, key)
            return respond(200, app.answer)
        answer = await self._relay.post(event, key)
        return respond(200, answer.reply or app.answer)

    async def _quarantine(self, key: Key, route: str, body: Body, reason: str) -> None:
        kept = Quarantined(
            home_id=key.home_id,
            key_id=key.id,
            route=route,
            reason=reason,
            received_at=self._clock.now(),
            size=body.size,
            sha256=body.sha256,
            head=body.head,
        )
        await self._storage.quarantine(kept)

    def _new(self, key: Key, post: Post, once: str | None, body_hash: bytes | None) -> NewEvent:
        return NewEvent(
            id=new_id(),
            home_id=key.home_id,
            key_id=key.id,
            action=post.action,
            order_key=post.order_key,
            received_at=self._clock.now(),
            elapsed=self._clock.elapsed(),
            boot=self._clock.boot,
            body=post.body,
            size=len(post.body),
            external_id=post.external_id,
            created_at=post.created_at,
            idempotency_key=once,
            body_hash=body_hash,
        )

    async def _trace(self, event_id: str, key: Key) -> web.Response:
        event = await self._storage.event(event_id)
        if event is None or event.key_id != key.id:
            raise RequestError(404, "EVENT_NOT_FOUND", "This key posted no such event, or it was forgotten since.")
        return respond(200, msgspec.json.encode(messages.trace(event, event.received_at + self._held_for)))


def _no_route() -> RequestError:
    return RequestError(404, "ROUTE_NOT_FOUND", "There is no such route: /openapi.json lists those there are.")


def _allow(request: web.BaseRequest, *methods: str) -> None:
    if request.method not in methods:
        names = " and ".join(methods)
        raise RequestError(405, "METHOD_NOT_ALLOWED", f"This route knows {names} only.", allow=list(methods))


def tracks(path: str) -> bool:
    """Return whether a path is one of an app that tells where a phone is, which must not be told that it is wrong."""
    return path.startswith(PREFIX) and path[len(PREFIX) :].partition("/")[0] in APPS


def too_many(what: str, over: float) -> RequestError:
    """Return the 429 of who comes too often, and can come again after ``over`` seconds."""
    seconds = wait(over)
    return RequestError(429, "TOO_MANY_REQUESTS", f"{what}: try again in {seconds} s.", retry_after=seconds)


def _later(error: CompanionError) -> RequestError:
    """Return what such an app is told instead of an error that it would take for final."""
    seconds = error.data.get("retry_after", _HOLD_FULL_WAIT)
    return RequestError(503, error.code, str(error), retry_after=seconds)
