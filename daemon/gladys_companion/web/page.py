"""The status page: one server-rendered page without scripts, pictures or anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from aiohttp import web

from gladys_companion.web.routes import SERVICE
from gladys_companion.web.views import DeviceView, FeatureView
from gladys_companion.web.vitals import Check, Status

__all__ = ["render", "serve"]

MOST_EVENTS = 20
MOST_DEVICES = 200

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d8dde3, #3a4149); --dim: light-dark(#5b6570, #a3adb8);
  --ok: light-dark(#14703a, #6fce93); --warn: light-dark(#8a5a00, #e5b85a); --fail: light-dark(#b3261e, #ff938a); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 500; } .dim { color: var(--dim); overflow-wrap: anywhere; }
.ok { color: var(--ok); } .warn { color: var(--warn); } .fail { color: var(--fail); } .wide { overflow-x: auto; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}


async def serve(request: web.Request) -> web.Response:
    """Serve the page."""
    service = request.app[SERVICE]
    traces = [await service.trace(row["id"]) for row in await service.events(limit=MOST_EVENTS)]
    text = render(await service.status(), await service.doctor(), await service.devices(), traces)
    return web.Response(text=text, content_type="text/html", headers=HEADERS)


def render(
    status: Status, checks: Iterable[Check], devices: Iterable[DeviceView], traces: Iterable[Mapping[str, Any]]
) -> str:
    """Return the page. Pure, and everything from outside is escaped."""
    shown = list(devices)
    features = (row for one in shown[:MOST_DEVICES] for row in _device(one))
    more = f"<p class=dim>and {len(shown) - MOST_DEVICES} more</p>" if len(shown) > MOST_DEVICES else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gladys Companion</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="5">'
        f"<style>{STYLE}</style></head><body><main><h1>Gladys Companion "
        f"<span class=dim>{escape(status.version)}</span></h1>"
        + _table("How it goes", ("What", "", ""), map(_check, checks))
        + _table("Devices", ("Device", "Feature", "Value", "When"), features)
        + more
        + _table("Last events", ("When", "For", "Value", "What became of it"), map(_event, traces))
        + "</main></body></html>"
    )


def _table(title: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    body = "".join(rows) or "<tr><td class=dim>nothing yet</td></tr>"
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<h2>{escape(title)}</h2><div class=wide>{table}</div>"


def _cells(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _check(check: Check) -> str:
    todo = f"<br><span class=dim>{escape(check.todo)}</span>" if check.todo else ""
    return _cells(escape(check.name), f"<span class={check.state}>{check.state}</span>", escape(check.says) + todo)


def _device(device: DeviceView) -> Iterable[str]:
    away = f" <span class=warn>away since {_when(device.away_since)}</span>" if device.away_since else ""
    name = f"{escape(device.name)} <span class=dim>{escape(device.id)}</span>{away}"
    if not device.features:
        yield _cells(name, "<span class=dim>no features</span>", "", "")
    for feature in device.features:
        yield _cells(
            name, _feature(feature), _value(feature.value, feature.text, feature.unit), _when(feature.value_at)
        )
        name = ""


def _feature(feature: FeatureView) -> str:
    return f"{escape(feature.name)} <span class=dim>{escape(_short(feature.external_id))}</span>"


def _event(trace: Mapping[str, Any]) -> str:
    ends = [
        f"{escape(hop['hop'])}: <span class={_colour(hop['state'])}>{escape(hop['state'])}</span>"
        + (f" in {hop['ms']:.0f} ms" if hop["ms"] else "")
        + (f" <span class=dim>({escape(hop['reason'])})</span>" if hop.get("reason") else "")
        for hop in trace["hops"]
        if hop.get("state") and hop["hop"] != "journal"
    ]
    receipt = trace["receipt"]
    if not ends:
        said = receipt.get("error_message") or receipt["outcome"]
        ends = [f"<span class={'warn' if receipt['status'] >= 400 else 'ok'}>{escape(said)}</span>"]  # noqa: PLR2004 - HTTP
    for_whom = f"{escape(_short(trace['external_id'] or trace['kind']))} <span class=dim>{escape(trace['id'])}</span>"
    return _cells(_when(trace["at"]), for_whom, _value(trace["value"], trace["text"], None), "<br>".join(ends))


def _colour(state: str) -> str:
    if state in {"delivered", "verified"}:
        return "ok"
    return "fail" if state in {"rejected", "unknown"} else "warn"


def _value(value: float | None, text: str | None, unit: str | None) -> str:
    if value is None and text is None:
        return ""
    return escape(_short(f"{value:.10g}" if value is not None else str(text)) + (f" {unit}" if unit else ""))


def _when(at: float | None) -> str:
    if at is None:
        return ""
    return time.strftime("%d %b %H:%M:%S", time.localtime(at))


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - what a line holds
