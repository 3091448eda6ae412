"""Logs on stderr: for the journal with its priorities, for a terminal with times; and never a secret in them.

A secret is masked twice over: by the name it is logged under, and by what it looks like wherever it stands.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["configure", "mask", "masked", "set_level"]

MASK = "[masked]"
PREFIX = 6  # characters of a key that may be told, to know it by

_SECRETS = re.compile(
    r"(?P<jwt>\beyJ[\w-]+\.[\w-]+\.[\w-]*)"
    r"|(?P<hex>(?<![0-9a-fA-F])[0-9a-fA-F]{40,})"  # keys, refresh tokens, digests of them
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[\w.+/=~-]+"
    r"|(?P<user>://[^/\s:@]*:)[^/\s@]+(?=@)",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile(
    r"(?:^|_)(?:password|passwd|secret|token|authorization|api_key)$|^(?:pair_|pairing_)?code$", re.IGNORECASE
)
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


def _replacement(match: re.Match[str]) -> str:
    if match["hex"]:
        return f"{match['hex'][:PREFIX]}..."
    return f"{match['scheme'] or match['user'] or ''}{MASK}"


def masked(value: Any) -> Any:  # noqa: ANN401 - whatever is logged
    """Return the value with everything masked in it that looks like a key, a token or a password."""
    if isinstance(value, str):
        return _SECRETS.sub(_replacement, value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {key: MASK if _is_secret(key, one) else masked(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(one) for one in value]
    return _SECRETS.sub(_replacement, str(value))


def _is_secret(name: object, value: object) -> bool:
    return isinstance(value, str | bytes) and bool(_SECRET_NAMES.search(str(name)))


def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask a whole log entry; a processor for structlog, to be put behind the one that formats exceptions."""
    found: EventDict = masked(event)
    return found


def _line(event: EventDict) -> str:
    """Return ``what happened  key=value``, and a traceback below if there is one."""
    trace = event.pop("exception", None)
    what = event.pop("event", "")
    pairs = " ".join(f"{key}={_shown(value)}" for key, value in event.items() if not key.startswith("_"))
    return f"{what}  {pairs}".rstrip() + (f"\n{trace}" if trace else "")


def _shown(value: object) -> str:
    text = str(value)
    plain = text and not re.search(r'[\s"=]', text) and text.isprintable()
    return text if plain else "'" + repr(text)[1:-1] + "'"


def _for_journal(_: WrappedLogger, __: str, event: EventDict) -> str:
    priority = _PRIORITIES.get(event.pop("level", "info"), 6)
    return "\n".join(f"<{priority}>{line}" for line in _line(event).splitlines())


def _for_people(_: WrappedLogger, __: str, event: EventDict) -> str:
    level, at = event.pop("level", "info"), event.pop("timestamp", "")
    return f"{at} {level:<7} {_line(event)}"


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream is the journal; see systemd.exec(5), ``$JOURNAL_STREAM``."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def configure(level: str = "info", stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Send all logs, ours and those of libraries, to one stream (stderr), from this level on."""
    stream = stream or sys.stderr
    journal = _is_journal(stream, environ)
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        mask,
    ]
    if not journal:  # which has a clock of its own
        common.append(structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False))
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _for_journal if journal else _for_people,
            ],
            foreign_pre_chain=common,
        ),
    )
    logging.getLogger().handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """Log from another level on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    logging.getLogger().setLevel(level.upper())
    for chatty in ("asyncio", "apscheduler", "websockets", "zeroconf", "engineio", "socketio", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING if level != "debug" else logging.INFO)
