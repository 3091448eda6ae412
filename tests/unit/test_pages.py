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
from gladys_companion.pages.said import Piece, Said
from gladys_companion.pages.static import address_of
from gladys_companion.web.dashboard import SPANS, STATES
from gladys_companion.web.doctor import examine
from gladys_companion.web.page import DONE
from gladys_companion.web.settings import CHANGEABLE
from gladys_companion.web.vitals import LinkStatus, MdnsStatus, Status
from tests.sentences import sentences as source_sentences

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


SHOWN = (  # where sentences are made that pages show; what only programs, or the command line, are told is English
    "app/daemon",
    "discovery/",
    "dispatch",
    "drivers/",
    "gateway/_names",
    "gateway/accounts",
    "gateway/add_phone",
    "gateway/admin_",
    "gateway/admins",
    "gateway/onboarding",
    "gladys_api/",
    "inline/target",
    "link/loop",
    "link/session",
    "mqtt/",
    "pages/passwords",
    "pages/tries",
    "plugins",
    "presence/",
    "protocol/fields",
    "protocol/owntracks",
    "protocol/trackers",
    "resolve",
    "signals",
    "sinks/",
    "store/files",
    "store/journal",
    "store/lanes",
    "store/people",
    "store/registry",
    "store/settlement",
    "store/writer",
    "web/changes",
    "web/dashboard",
    "web/doctor",
    "web/page",
    "web/phone_pages",
    "web/service",
    "web/settings.py",
    "web/visitors",
)
NOT_SAID = {  # names of products, and SQL
    "Elgato Light Strip",
    "Elgato Light Strip Pro",
    "gladys_user = ? AND origin != 'gladys'",
}


def test_the_programs_own_sentences_are_there_in_french() -> None:
    """Of every sentence in the source that a page may show, each part."""
    french = Said("fr")
    found = {sentence for _, sentence in source_sentences(*SHOWN)}
    assert len(found) > 500
    missing = {one for one in found if not all(piece.known for piece in french.pieces(one))}
    assert missing == NOT_SAID


@pytest.mark.parametrize(
    ("english", "french"),
    [
        (
            "home since 18:02: 6 m from home (radius 100 m) for 3 min, accuracy 12 m",
            "à la maison depuis 18:02 : à 6 m de la maison (rayon 100 m) depuis 3 min, précision 12 m",
        ),
        (
            "The database in /x answers: 1 event, 2 devices. 3 events wait for an id nobody knows.",
            (
                "La base de données dans /x répond : 1 événement, 2 appareils. 3 événements attendent pour un"
                " identifiant que personne ne connaît."
            ),
        ),
        (
            "Not connected to https://g.example. the connection was lost (no close frame)",
            "Pas connecté à https://g.example. la connexion a été perdue (no close frame)",
        ),
        ("wled: It did not open within 5 s.", "wled : Il ne s'est pas ouvert en 5 s."),
        (
            "Gladys can not be told: The broker at b:1 is away.",
            "Gladys ne peut pas être informé : Le broker à b:1 est absent.",
        ),
        (
            "The gateway's last heartbeat came 5 minutes ago.",
            "Le dernier battement de cœur de la passerelle date de 5 minutes.",
        ),
    ],
)
def test_what_a_sentence_shows_is_translated_too(english: str, french: str) -> None:
    """A reason within a sentence, a number with its noun, sentences in a row."""
    assert Said("fr").pieces(english) == (Piece(french, known=True),)


def test_what_nobody_translated_stays_english() -> None:
    """It stands where it stood, marked, among what is French."""
    pieces = Said("fr").pieces("It is not JSON. Computer says no. Lamp ended the connection.")
    assert [(piece.text, piece.known) for piece in pieces] == [
        ("Ce n'est pas du JSON.", True),
        ("Computer says no.", False),
        ("Lamp a coupé la connexion.", True),
    ]
    assert Said("en").pieces("Computer says no.") == (Piece("Computer says no.", known=True),)


@given(st.text() | st.text("ab of. {}:,7 "))
def test_any_text_is_said(text: str) -> None:
    """Nothing that a device or a phone says breaks a page; what is not known is not changed."""
    for piece in Said("fr").pieces(text):
        assert piece.known or piece.text in " ".join(text.split()) or piece.text == text
