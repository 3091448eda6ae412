"""What pages say: complete in both languages, and chosen by the browser."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gladys_companion.pages
from gladys_companion.clock import SYSTEM
from gladys_companion.config import Config
from gladys_companion.gateway.keys import SCOPES
from gladys_companion.model import DeliveryState, Outcome
from gladys_companion.pages import LANGUAGES, STATIC, choose, static_file
from gladys_companion.pages.i18n import sentences
from gladys_companion.pages.render import OWN_HOPS
from gladys_companion.pages.static import address_of
from gladys_companion.web.dashboard import SPANS, STATES
from gladys_companion.web.doctor import examine
from gladys_companion.web.page import DONE
from gladys_companion.web.settings import CHANGEABLE
from gladys_companion.web.vitals import LinkStatus, MdnsStatus, Status

ROOT = Path(gladys_companion.pages.__file__).parent
UNKNOWN = Status(
    link=LinkStatus(state="unpaired"), mdns=MdnsStatus(state="off"), running=True, version="", pid=1, started_at=0.0
)
DYNAMIC = {
    *(f"language.{language}" for language in LANGUAGES),
    *(f"scope.{scope}" for scope in SCOPES),
    *(f"check.{state}" for state in ("ok", "warn", "fail")),
    *(f"check.name.{check.name}" for check in examine(UNKNOWN, Config(), SYSTEM)),
    *(f"done.{what}" for what in DONE),
    *(f"setting.{name}{part}" for name in CHANGEABLE for part in ("", ".what")),
    *(f"stage.{state}" for state in (*get_args(DeliveryState), *STATES)),
    *(f"hop.name.{name}" for name in OWN_HOPS),
    *(f"phones.kept.{why}" for why in ("sealed", "nobody")),
    *(f"set.{way}{part}" for way in ("on", "off") for part in ("", ".what")),
    *(f"span.{span}" for span in SPANS),
    *(f"state.{state}" for state in STATES),
    *(f"outcome.{outcome}" for outcome in get_args(Outcome)),
    *(f"in.{state}" for state in ("in", "out", "unknown")),
    *("overview.title", "devices.title", "events.title", "people.title", "settings.title"),
}


def used() -> set[str]:
    """Return every key that a template or a module asks for."""
    templates = "".join(file.read_text("utf-8") for file in sorted(ROOT.glob("templates/*.html")))
    modules = "".join(file.read_text("utf-8") for file in sorted(ROOT.parent.rglob("*.py")))
    found = set(re.findall(r"""\bt\(["']([a-z.]+)["'](?! ~)""", templates)) - {
        f"{key.partition('.')[0]}." for key in DYNAMIC
    }
    return found | set(re.findall(r"""\bt\("([a-z.]+)\"""", modules)) | DYNAMIC


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_there_and_used(language: str) -> None:
    """No key is missing in a language, and none is left over."""
    assert set(sentences(language)) == used()


def test_sentences_have_the_same_values_in_each_language() -> None:
    """A translation shows what the original shows, and is not the original."""
    first, *others = (sentences(language) for language in LANGUAGES)
    for other in others:
        for key, sentence in first.items():
            assert placeholders(other[key]) == placeholders(sentence), key
            assert other[key].strip(), key
        same = [key for key in first if other[key] == first[key] and not key.startswith("language.")]
        assert same == []


@pytest.mark.parametrize(
    ("accepted", "wanted", "spoken"),
    [
        (None, None, "en"),
        ("fr-FR,fr;q=0.9,en;q=0.8", None, "fr"),
        ("de,en;q=0.5,fr;q=0.7", None, "fr"),
        ("fr;q=0", None, "en"),
        ("fr", "en", "en"),
        ("fr", "xx", "fr"),
        ("fr;q=x, en;q=0.1", None, "en"),
    ],
)
def test_the_language_is_the_browsers(accepted: str | None, wanted: str | None, spoken: str) -> None:
    """By its preferences, unless one was chosen."""
    assert choose(accepted, wanted) == spoken


@given(st.text(), st.text())
def test_any_wish_is_answered(accepted: str, wanted: str) -> None:
    """Whatever a header holds, some language is spoken."""
    assert choose(accepted, wanted) in LANGUAGES


def test_files_are_kept_as_long_as_they_are_the_same() -> None:
    """Their addresses hold a digest of them, and nothing but them is served."""
    address = address_of("style.css")
    assert re.fullmatch(r"/static/style\.[0-9a-f]{10}\.css", address)
    found = static_file(address)
    assert found is not None
    assert "immutable" in found.headers["Cache-Control"]
    for wrong in ("style.css", "../render.py", "style.0000000000.css", ""):
        assert static_file(f"{STATIC}{wrong}") is None


def test_pages_are_small_and_ask_nobody() -> None:
    """Style and scripts are under 50 kB in all, and name no other host but the namespace of SVG."""
    files = [file.read_text("utf-8") for file in sorted((ROOT / "static").iterdir())]
    assert sum(map(len, files)) < 50_000
    assert set(re.findall(r"https?://[^\"' )]+", "".join(files))) <= {"http://www.w3.org/2000/svg"}
