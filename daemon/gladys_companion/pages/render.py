"""Makes pages of templates. What comes from outside is escaped, and a missing value is an error, not a gap."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from gladys_companion.pages.i18n import LANGUAGES, Translator, choose
from gladys_companion.pages.said import Said
from gladys_companion.pages.static import address_of

__all__ = ["HEADERS", "Renderer"]

OWN_HOPS = ("happened", "journal", "presence", "signals", "inline")  # those that are no names of plug-ins
LANGUAGE = "language"  # the query parameter and cookie that choose one

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def moment(at: float) -> Markup:
    """Return a time (seconds since the epoch) as browsers may show it in their own way; without scripts in UTC."""
    when = datetime.fromtimestamp(at, UTC)
    shown = when.strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(timespec="seconds"), shown)


@jinja2.pass_context
def said(context: jinja2.runtime.Context, text: str) -> Markup:
    """Return what the program says, in the language of the page; what nobody translated is marked as English."""
    pieces = context["pieces"](text)
    foreign = Markup('<span lang="en">{}</span>')
    return Markup(" ").join(_coded(one.text) if one.known else foreign.format(_coded(one.text)) for one in pieces)


def _coded(text: str) -> Markup:
    """Return a text with what stands between backquotes as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them is no quote
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup().join(code.format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


class Renderer:
    """The templates below ``pages/templates``, all read at once: made once, in a thread, and shared."""

    def __init__(self) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("gladys_companion", "pages/templates"),
            autoescape=True,
            auto_reload=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["moment"] = moment
        self._templates.filters["said"] = said
        for name in self._templates.list_templates():
            self._templates.get_template(name)
        address_of("style.css")  # reads all of them
        self._translators = {language: Translator(language) for language in LANGUAGES}
        self._said = {language: Said(language) for language in LANGUAGES}

    def translator(self, request: web.BaseRequest) -> Translator:
        """Return who says things in the language of who asks."""
        wanted = request.query.get(LANGUAGE) or request.cookies.get(LANGUAGE)
        return self._translators[choose(request.headers.get("Accept-Language"), wanted)]

    def page(self, request: web.BaseRequest, template: str, status: int = 200, **values: object) -> web.Response:
        """Return a page in the language of who asks; ``values`` are what the template shows."""
        t = self.translator(request)
        language = t.language
        text = self._templates.get_template(template).render(
            t=t,
            pieces=self._said[language].pieces,
            language=language,
            languages=LANGUAGES,
            static=address_of,
            path=request.path,
            own_hops=OWN_HOPS,
            **values,
        )
        response = web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)
        if tiles := values.get("tiles"):  # pictures of the ground, from a server that the owner chose
            parts = urlsplit(str(tiles))
            policy = HEADERS["Content-Security-Policy"].replace("img-src", f"img-src {parts.scheme}://{parts.netloc}")
            response.headers["Content-Security-Policy"] = policy
        if request.query.get(LANGUAGE) == language:
            response.set_cookie(LANGUAGE, language, max_age=31_536_000, httponly=True, samesite="Lax", path="/")
        return response
