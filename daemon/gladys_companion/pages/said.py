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
_NESTED = frozenset({"reason", "fact", "rest", "more", "what", "duration"})
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SENTENCES = re.compile(r"(?<=[.!?;])\s+")
_LONGEST = 1_000  # characters of a text that is looked at
_TELLING = 7  # characters of a pattern that are enough to know a sentence by
_WORDS = r"(?:(?![.!?;]\s|:\s[A-Z]).)*?"  # of one sentence


class Piece(Struct, frozen=True):
    """A part of a text; ``known`` whether it is in the language that was asked for."""

    text: str
    known: bool


class _Entry(Struct, frozen=True):
    """A sentence; ``needle`` is in every text that it fits, ``weight`` is how much of it is its own words."""

    pattern: re.Pattern[str]
    says: str
    needle: str
    weight: int
    begins: bool  # with its own words


class Said:
    """Says what the program says in one language."""

    def __init__(self, language: str) -> None:
        self._exact: dict[str, str] = {}
        self._entries: list[_Entry] = []
        self._own = language == "en"
        if not self._own:
            self._read(_file(language))
        self.pieces = lru_cache(maxsize=2_048)(self._pieces)

    def _read(self, sentences: Mapping[str, str]) -> None:
        for sentence, says in sentences.items():
            if _PLACEHOLDER.search(sentence):
                literals = _PLACEHOLDER.split(sentence)[::2]
                weight = sum(map(len, literals))
                self._entries.append(
                    _Entry(_pattern(sentence), says, max(literals, key=len), weight, bool(literals[0]))
                )
            else:
                self._exact[sentence] = says
        self._entries.sort(key=lambda one: (not one.begins, -one.weight))

    def _pieces(self, text: str) -> tuple[Piece, ...]:
        """Return a text in this language, piece by piece; a piece that nobody translated stays English."""
        if self._own or not text or len(text) > _LONGEST:
            return (Piece(text, known=self._own),)
        return tuple(_joined(self._runs(text)))

    def _runs(self, text: str, *, nested: bool = False) -> Iterator[Piece]:
        sentences = _SENTENCES.split(text)
        start = 0
        while start < len(sentences):
            for end in range(len(sentences), start, -1):  # the longest run that is known as a whole
                found = self._whole(" ".join(sentences[start:end]), nested=nested)
                if found is not None:
                    yield Piece(found, known=True)
                    break
            else:
                end = start + 1
                yield Piece(sentences[start], known=False)
            start = end

    def _whole(self, text: str, *, nested: bool) -> str | None:
        exact = self._exact.get(text)
        if exact is not None:
            return exact
        for entry in self._entries:
            found = entry.pattern.fullmatch(text) if entry.needle in text else None
            if found is None:
                continue
            parts = {name: self._part(name, value) for name, value in found.groupdict().items()}
            sentences = [part.known for name, part in parts.items() if _kind(name) in _NESTED]
            telling = entry.weight >= _TELLING or (sentences and all(sentences) and not _SENTENCES.search(text))
            if nested or telling:
                return entry.says.format(**{name: part.text for name, part in parts.items()})
        return None

    def _part(self, name: str, text: str) -> Piece:
        """Return what stands for a placeholder."""
        if _kind(name) not in _NESTED or not text.strip():
            return Piece(text, known=True)
        pieces = tuple(_joined(self._runs(text, nested=True)))
        return Piece(" ".join(piece.text for piece in pieces), known=all(piece.known for piece in pieces))


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
            made += f"(?P<{part}>{_shape(_kind(part))})"
    return re.compile(made, re.DOTALL)


def _kind(placeholder: str) -> str:
    """Return a placeholder without its number, which tells it from another of its kind."""
    return placeholder.rstrip("0123456789")


def _shape(kind: str) -> str:
    if kind == "n":
        return "[0-9]+"
    return ".*?" if kind in _NESTED - {"what"} else _WORDS


def _file(language: str) -> dict[str, str]:
    found: dict[str, str] = tomllib.loads((_LOCALE / f"said.{language}.toml").read_text(encoding="utf-8"))
    return found
