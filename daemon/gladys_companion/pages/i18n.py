"""What pages say, in the languages that they speak: plain files of sentences, one for each language."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

__all__ = ["LANGUAGES", "Translator", "choose", "sentences"]

LANGUAGES = ("en", "fr")
_LOCALE = Path(__file__).with_name("locale")
_MOST_WISHES = 20


@cache
def sentences(language: str) -> dict[str, str]:
    """Return all sentences of a language, by key."""
    found: dict[str, str] = tomllib.loads((_LOCALE / f"{language}.toml").read_text(encoding="utf-8"))
    return found


def choose(accept_language: str | None, wanted: str | None = None) -> str:
    """Return the language to speak: the one that was asked for, else the browser's first that is spoken here."""
    if wanted in LANGUAGES:
        return wanted
    wishes = []
    for place, wish in enumerate((accept_language or "").split(",")[:_MOST_WISHES]):
        name, _, weight = wish.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            quality = 0.0
        wishes.append((-quality, place, name.strip().lower().partition("-")[0]))
    return next((name for quality, _, name in sorted(wishes) if name in LANGUAGES and quality < 0), LANGUAGES[0])


class Translator:
    """Says things in one language; a template calls it with a key and the values of its placeholders."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._sentences = sentences(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a sentence with its values.

        Raises:
            KeyError: there is no such sentence, or a value is missing.
        """
        sentence = self._sentences[key]
        return sentence.format(**values) if values else sentence
