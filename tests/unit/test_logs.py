"""Logs: the journal's priorities, a person's lines, and no secret in either."""

import asyncio
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gladys_companion.logs import configure, masked

KEY = "0123456789abcdef" * 5
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoxfQ.c2lnbmF0dXJl-_x"


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Leave the logging of other tests as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_no_secret_is_logged() -> None:
    """A key, a token or a password is masked by name and by look, in texts, members, tracebacks and libraries' logs."""
    stream = io.StringIO()
    configure("debug", stream, {})
    log = structlog.get_logger()
    log.info(
        "POST",
        path="/v1/api/device/state/" + KEY,
        error_code="TOLD",
        token="short",
        nested={"access_token": "x1y2", "list": [JWT]},
    )
    log.info("headers", headers={"Authorization": "Bearer abc.def"}, url="mqtt://me:hunter2@broker", code="ABCD2345")
    logging.getLogger("a.library").warning("got %s and Bearer %s", KEY, "abcdef")
    try:
        int(f"no such key {KEY}")
    except ValueError:
        log.exception("failed", error=ValueError(JWT))
    told = stream.getvalue()
    for secret in (KEY, KEY[:10], JWT, "short", "x1y2", "abc.def", "hunter2", "ABCD2345", "abcdef\n"):
        assert secret not in told, secret
    assert "012345..." in told  # the prefix is how a key is known
    assert "Traceback" in told
    assert "error_code=TOLD" in told


@pytest.mark.parametrize("harmless", ["018f2f60-7a2b-7c3d-8e4f-5a6b7c8d9e0f", "wled:a8032ab12345", 12, 1.5, None, True])
def test_what_is_no_secret_stays(harmless: object) -> None:
    """Ids and numbers are told as they are."""
    assert masked(harmless) == harmless


def test_journal_gets_priorities(tmp_path: Path) -> None:
    """Where stderr is the journal each line begins with its priority, and has no time of its own."""
    path = tmp_path / "journal"
    with path.open("w+") as stream:
        found = os.fstat(stream.fileno())
        configure("info", stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        log = structlog.get_logger()
        log.debug("unheard")
        log.info("hello", device="wled:1", name="Lamp in the hall")
        log.warning("two\nlines")
        logging.getLogger("a.library").error("bad")
    lines = path.read_text().splitlines()
    assert lines == ["<6>hello  device=wled:1 name='Lamp in the hall'", "<4>two", "<4>lines", "<3>bad"]


def test_people_get_times() -> None:
    """On a terminal a line has its time and its level; control characters in values are shown, not obeyed."""
    stream = io.StringIO()
    configure("info", stream, {"JOURNAL_STREAM": "1:2"})
    structlog.get_logger().warning("hello", name="\x1b[31mred")
    assert stream.getvalue()[20:] == "warning hello  name='\\x1b[31mred'\n"


def test_libraries_do_not_chatter() -> None:
    """What libraries say at info is not news to the people of a home."""
    stream = io.StringIO()
    configure("info", stream, {})
    logging.getLogger("apscheduler.scheduler").info("Added job")
    asyncio.log.logger.info("slow")  # type: ignore[attr-defined]  # not in its stubs
    assert stream.getvalue() == ""
