"""The HTTP interface as an OpenAPI 3.1 document, served at ``/openapi.json`` and held to the routes by tests."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__all__ = ["document"]

_VERSION = version("gladys-companion")
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"

_STATE = {
    "type": "object",
    "required": ["device_feature_external_id"],
    "properties": {
        "device_feature_external_id": {"type": "string", "examples": ["mqtt:my-phone-presence"]},
        "state": {
            "type": ["number", "boolean", "string"],
            "description": "A number, true or false (1 or 0), a numeric text; with a text feature any text.",
        },
        "text": {"type": "string", "description": "In place of state."},
        "created_at": {
            "type": ["string", "number"],
            "description": "When it happened, if that is not now: ISO 8601 (without an offset: UTC) or epoch seconds.",
        },
    },
}
_MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
_OBJECT = {"type": "object"}

_TARGET = {
    "type": "object",
    "properties": {
        "target": {"type": "string"},
        "state": {
            "enum": ["pending", "sending", "delivered", "verified", "superseded", "expired", "rejected", "unknown"]
        },
        "ms": {"type": "number", "description": "Since the commit at home."},
        "reason": {"type": "string"},
    },
}
_RECEIPT = {
    "type": "object",
    "required": ["status", "id", "outcome", "duplicate"],
    "properties": {
        "status": {"type": "integer"},
        "id": {"type": "string"},
        "outcome": {"enum": ["delivered", "accepted", "held", "expired", "superseded", "rejected"]},
        "duplicate": {"type": "boolean"},
        "held_until": {"type": "number", "description": "Seconds since the epoch."},
        "targets": {"type": "array", "items": _TARGET},
        "warning": {"type": "string"},
    },
}
_ERROR = {
    "type": "object",
    "required": ["status", "error_code", "error_message"],
    "properties": {
        "status": {"type": "integer"},
        "error_code": {"type": "string"},
        "error_message": {"type": "string"},
        "field": {"type": "string", "description": "What is wrong, where it is one member."},
        "nearest": {"type": "array", "items": {"type": "string"}, "description": "External ids that exist."},
    },
}
_TRACE = {
    "type": "object",
    "required": ["status", "id", "state", "hops"],
    "properties": {
        "status": {"type": "integer"},
        "id": {"type": "string"},
        "action": {"type": "string"},
        "device_feature_external_id": {"type": ["string", "null"]},
        "state": {"enum": ["held", "settled"]},
        "held_until": {"type": ["number", "null"]},
        "hops": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"hop": {"type": "string"}, "what": {"type": "string"}, "at": {"type": "number"}},
            },
        },
        "receipt": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Receipt"}]},
    },
}

_KEY = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
_ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same one within 7 days is the same event, answered with its present receipt.",
}
_HEADER_KEY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}]

_REFUSALS = {
    "400": "The body is not JSON, or not an object.",
    "401": "UNAUTHORIZED, KEY_REVOKED or KEY_EXPIRED.",
    "403": "SCOPE_NOT_ALLOWED or EXTERNAL_ID_NOT_ALLOWED.",
    "404": "The home knows no such external id or signal, or does not expose it to this key; it is kept.",
    "405": "Another method.",
    "409": "ALREADY_EXIST or ALREADY_REVOKED.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "422": "A field can not be used; field names it.",
    "429": "Too many requests; Retry-After says when.",
    "501": "UNSUPPORTED_ACTION: the home can not do such a thing, such as pass on a message.",
    "502": "DELIVERY_FAILED: the home took it, and could not do it; targets say why.",
    "503": "It could not be stored: send it again.",
    "507": "HOLD_FULL: the home must take what is held first.",
}


def _answer(what: str, schema: str) -> dict[str, Any]:
    return {"description": what, "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _refusals(*statuses: str) -> dict[str, Any]:
    return {status: _answer(_REFUSALS[status], "Error") for status in statuses}


def _post(summary: str, schema: dict[str, Any], *, key_in_path: bool) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": [_KEY, _ONCE] if key_in_path else [_ONCE],
        "security": [] if key_in_path else _HEADER_KEY,
        "requestBody": {"required": True, "content": {_JSON: {"schema": schema}, _FORM: {"schema": schema}}},
        "responses": {
            "200": _answer("Delivered.", "Receipt"),
            "202": _answer("Accepted by the home, or held for it.", "Receipt"),
            **_refusals(*_REFUSALS),
        },
    }


def _owntracks(*, key_in_path: bool) -> dict[str, Any]:
    device = {"name": "X-Limit-D", "in": "header", "schema": {"type": "string"}, "description": "The device's name."}
    return {
        "summary": "Send an OwnTracks message (mode HTTP)",
        "description": "Never answers 4xx but for a wrong key: what can not be used is answered [] and quarantined, "
        "and any other mistake, even another method, 503.",
        "parameters": [_KEY, device] if key_in_path else [device],
        "security": [] if key_in_path else _HEADER_KEY,
        "requestBody": {"content": {_JSON: {"schema": _OBJECT}}},
        "responses": {
            "200": {"description": "Stored.", "content": {_JSON: {"schema": {"type": "array", "items": _OBJECT}}}},
            **_refusals("401", "403", "503"),
        },
    }


def _tracker(app: str, *, key_in_path: bool) -> dict[str, Any]:
    return {
        "summary": f"Take positions from {app}",
        "description": "Never answers 4xx but for a wrong key, as owntracks.",
        "parameters": [_KEY] if key_in_path else [],
        "security": [] if key_in_path else _HEADER_KEY,
        "requestBody": {"content": {_JSON: {"schema": _OBJECT}, _FORM: {"schema": _OBJECT}}},
        "responses": {"200": _plain("Taken."), **_refusals("401", "403", "503")},
    }


def _get(summary: str, answer: dict[str, Any], *refused: str) -> dict[str, Any]:
    return {"summary": summary, "security": [], "responses": {"200": answer, **_refusals(*refused)}}


def _plain(what: str) -> dict[str, Any]:
    return {"description": what, "content": {_JSON: {"schema": _OBJECT}}}


_LOGIN = "400 422 429"
_OF_USERS = (
    ("/users/login-salt", "post", "The SRP salt of a login", f"{_LOGIN} 404"),
    ("/users/login-generate-ephemeral", "post", "Begin to log in", f"{_LOGIN} 404"),
    ("/users/login-finalize", "post", "Prove that one knows the password", f"{_LOGIN} 403 404"),
    ("/users/two-factor-configure", "post", "Begin to set up a second factor", f"{_LOGIN} 401 403"),
    ("/users/two-factor-enable", "post", "Set it up, with its first code", f"{_LOGIN} 401 403"),
    ("/users/login-two-factor", "post", "Log in with a code", f"{_LOGIN} 401 403"),
    ("/users/access-token", "get", "An access token for a refresh token of somebody", "401 403"),
    ("/users/me", "get", "Who is logged in", "401"),
    ("/users/me", "patch", "Change name, language, user in Gladys or password", "400 401 422"),
    ("/users/me/devices", "get", "Where somebody is logged in", "401"),
    ("/devices/{id}/revoke", "post", "Log a device out", "401 404"),
    ("/users/setup", "get", "What is set up", "401"),
    ("/accounts/users", "get", "The users of the home: one", "401"),
    ("/instances", "get", "The primary instance, if it is a Gladys", "401"),
    ("/instances", "post", "Make an instance", "400 401 422"),
    ("/open-api-keys", "get", "The home's keys", "401"),
    ("/open-api-keys", "post", "Make a key; it is shown this once", "400 401 409 422"),
    ("/open-api-keys/{id}", "post", "Rename a key", "400 401 404 409 422"),
    ("/open-api-keys/{id}", "patch", "Rename a key", "400 401 404 409 422"),
    ("/open-api-keys/{id}", "delete", "Revoke a key", "401 404 409"),
)


def _of_users(route: str, method: str, summary: str, refused: list[str]) -> dict[str, Any]:
    described: dict[str, Any] = _get(summary, _plain("Done."), *refused)
    if "401" in refused:
        described["security"] = [{"token": []}]
    if "{id}" in route:
        described["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    if method in {"post", "patch"}:
        described["requestBody"] = {"content": {_JSON: {"schema": _OBJECT}}}
    return described


def document() -> dict[str, Any]:
    """Return the document, JSON-ready."""
    paths: dict[str, Any] = {}
    for route, summary, schema in (
        ("device/state", "Send a state of a device feature", _STATE),
        ("event", "Send a named event, such as an NFC tag", _OBJECT),
        ("message", "Send a message to Gladys", _MESSAGE),
    ):
        paths[f"/v1/api/{route}"] = {"post": _post(summary, schema, key_in_path=False)}
        paths[f"/v1/api/{route}/{{key}}"] = {"post": _post(summary, schema, key_in_path=True)}
    for in_path in (False, True):
        suffix = "/{key}" if in_path else ""
        paths[f"/v1/api/owntracks{suffix}"] = {"post": _owntracks(key_in_path=in_path)}
        paths[f"/v1/api/overland{suffix}"] = {"post": _tracker("Overland", key_in_path=in_path)}
        osmand = _tracker("Traccar Client or GPSLogger (OsmAnd protocol)", key_in_path=in_path)
        paths[f"/v1/api/osmand{suffix}"] = {
            "get": {k: v for k, v in osmand.items() if k != "requestBody"},
            "post": osmand,
        }
    event_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    trace = _get("What became of an event, hop by hop", _answer("Its trace.", "Trace"), "401", "404", "405", "429")
    paths["/v1/api/events/{id}"] = {"get": {**trace, "parameters": [event_id], "security": _HEADER_KEY}}
    paths["/healthz"] = {"get": _get("Whether it can store", _plain("It can."), "503")}
    paths["/openapi.json"] = {"get": _get("This document", _plain("OpenAPI 3.1."))}
    paths["/instances/access-token"] = {
        "get": {
            **_get("An access token for a refresh token", _plain('{"access_token"}'), "401", "403"),
            "security": [{"token": []}],
        }
    }
    paths["/instances/users"] = {
        "get": {**_get("The users of the home", _plain("An array."), "401"), "security": [{"token": []}]}
    }
    paths["/pair"] = {
        "post": {
            **_get("Exchange a pairing code for a refresh token", _plain("Who it is now."), "400", "403", "422", "429"),
            "requestBody": {"required": True, "content": {_JSON: {"schema": _OBJECT}}},
        }
    }
    paths["/unpair"] = {
        "post": {
            **_get("End the pairing of the instance whose refresh token it is", _plain("Who it was."), "401"),
            "security": [{"token": []}],
        }
    }
    for route, method, summary, refused in _OF_USERS:
        paths.setdefault(route, {})[method] = _of_users(route, method, summary, refused.split())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gladys Companion gateway",
            "version": _VERSION,
            "description": "Takes what phones post, and hands it to their home: at once, or as soon as it is back.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Receipt": _RECEIPT, "Error": _ERROR, "Trace": _TRACE},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "The key is the password."},
                "token": {"type": "apiKey", "in": "header", "name": "Authorization"},
            },
        },
    }
