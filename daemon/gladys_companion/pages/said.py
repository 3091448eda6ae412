"""The program's own sentences in another language: what doctor, drivers, presence and errors say in English.

They are made where things happen, and are English in logs, in the API and on the command line. A page shows them in
its reader's language by ``locale/said.fr.toml``, whose keys are the English sentences with ``{placeholders}``.
``{n}`` stands for a number. What stands in for ``{reason}`` and the like is a sentence of its own, and translated too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

__all__ = ["Piece", "Said"]

_LOCALE = Path(__file__).with_name("locale")
_NESTED = frozenset({"reason", "fact", "rest", "more", "what"})
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SENTENCES = re.compile(r"(?<=[.!?;])\s+")
_LONGEST = 4_000  # characters of a text that is looked at


class Piece(Struct, frozen=True):
    """A part of a text; ``known`` whether it is in the language that was asked for."""

    text: str
    known: bool


class _Entry(Struct, frozen=True):
    pattern: re.Pattern[str]
    says: str
    weight: int


class Said:
    """Says what the program says in one language."""

    def __init__(self, language: str, sentences: Mapping[str, str] | None = None) -> None:
        self._exact: dict[str, str] = {}
        self._entries: list[_Entry] = []
        self._own = language == "en" and sentences is None
        if not self._own:
            self._read(sentences if sentences is not None else _file(language))
        self.pieces = lru_cache(maxsize=2_048)(self._pieces)

    def _read(self, sentences: Mapping[str, str]) -> None:
        for sentence, says in sentences.items():
            if _PLACEHOLDER.search(sentence):
                literal = _PLACEHOLDER.sub("", sentence)
                self._entries.append(_Entry(_pattern(sentence), says, len(literal)))
            else:
                self._exact[sentence] = says
        self._entries.sort(key=lambda one: -one.weight)

    def _pieces(self, text: str) -> tuple[Piece, ...]:
        """Return a text in this language, piece by piece; a piece that nobody translated stays English."""
        if self._own or not text or len(text) > _LONGEST:
            return (Piece(text, known=self._own),)
        return tuple(_joined(self._runs(text)))

    def _runs(self, text: str) -> Iterator[Piece]:
        sentences = _SENTENCES.split(text)
        start = 0
        while start < len(sentences):
            for end in range(len(sentences), start, -1):  # the longest run that is known as a whole
                found = self._whole(" ".join(sentences[start:end]))
                if found is not None:
                    yield Piece(found, known=True)
                    break
            else:
                end = start + 1
                yield Piece(sentences[start], known=False)
            start = end

    def _whole(self, text: str) -> str | None:
        exact = self._exact.get(text)
        if exact is not None:
            return exact
        for entry in self._entries:
            found = entry.pattern.fullmatch(text)
            if found is not None:
                values = {
                    name: self._nested(value) if name.rstrip("0123456789") in _NESTED else value
                    for name, value in found.groupdict().items()
                }
                return entry.says.format(**values)
        return None

    def _nested(self, text: str) -> str:
        return " ".join(piece.text for piece in _joined(self._runs(text))) if text.strip() else text


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Put neighbours of one language together."""
    last: Piece | None = None
    for piece in pieces:
        if last is not None and last.known == piece.known:
            last = Piece(f"{last.text} {piece.text}", known=last.known)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(sentence)
    made, seen = "", set[str]()
    for place, part in enumerate(parts):
        if place % 2 == 0:
            made += re.escape(part)
        elif part in seen:
            made += f"(?P={part})"
        else:
            seen.add(part)
            made += f"(?P<{part}>{r'[0-9]+' if part.rstrip('0123456789') == 'n' else '.*?'})"
    return re.compile(made, re.DOTALL)


def _file(language: str) -> dict[str, str]:
    found: dict[str, str] = tomllib.loads((_LOCALE / f"said.{language}.toml").read_text(encoding="utf-8"))
    return found
