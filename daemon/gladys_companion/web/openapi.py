"""The OpenAPI 3.1 document of the local API, made from the table of routes and the types of its bodies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gladys_companion.web.routes import Route

__all__ = ["document"]


class Error(Struct, frozen=True, kw_only=True):
    """Every answer of 400 or more; some carry further members, such as ``field`` or ``nearest``."""

    status: int
    error_code: str
    error_message: str


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """Return the document as JSON-ready values."""
    types = [type_ for route in routes for type_ in (route.answer, route.body) if type_ not in {None, bytes}]
    schemas, components = msgspec.json.schema_components([*types, Error], ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(map(repr, [*types, Error]), schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gladys Companion, local API",
            "version": version,
            "description": "On the Unix socket all of it; on 127.0.0.1 what is marked x-tcp. Times are epoch seconds.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ] + [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in route.query.items()
    ]
    schema = {"type": "object"} if route.answer is None else schema_of.get(repr(route.answer), {})
    found: dict[str, Any] = {
        "summary": route.summary,
        "x-tcp": route.reads,
        "responses": {
            "200": {"description": "Done", "content": {route.media: {"schema": schema}}},
            "default": {
                "description": "Not done, and why",
                "content": {"application/json": {"schema": schema_of[repr(Error)]}},
            },
        },
    }
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": schema_of[repr(route.body)]}}
        found["requestBody"] = {"required": True, "content": content}
    return found
