"""Reads the body of a request into a value, and says in a sentence which field is wrong."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from aiohttp import web

from gladys_companion.errors import RequestError

__all__ = ["decode_body"]

T = TypeVar("T")

_NAMED = re.compile(r"Object (?P<missing>missing required|contains unknown) field `(?P<field>.*)`", re.DOTALL)
_LENGTH = re.compile(r"Expected `str` of length (?P<sign>>=|<=) (?P<length>\d+)")


async def decode_body(request: web.Request, type_: type[T]) -> T:
    """Return the body of a request.

    Raises:
        RequestError: 400 when it is not JSON, 422 when it does not fit; the sentence names the field.
    """
    raw = await request.read()
    try:
        return msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        field, sentence = _explain(str(error))
        raise RequestError(422, "INVALID_FIELD", sentence, **({"field": field} if field else {})) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestError(400, "BAD_REQUEST", "The body is not JSON.") from None


def _explain(said: str) -> tuple[str | None, str]:
    """Return field and sentence of what msgspec says of a body."""
    what, _, at = said.partition(" - at `$")
    field = at.removesuffix("`").removeprefix(".") or None
    if named := _NAMED.fullmatch(what):
        inner = ".".join(filter(None, (field, named["field"])))
        return inner, f"{inner} is missing." if named["missing"].startswith(
            "missing"
        ) else f"There is no field {inner!r}."
    if bound := _LENGTH.fullmatch(what):
        low = bound["sign"] == ">="
        return field, f"{field} is empty." if low else f"{field} has more than {bound['length']} characters."
    what = what.replace("`", "")
    return field, f"{field}: {what[0].lower()}{what[1:]}." if field else f"{what}."
