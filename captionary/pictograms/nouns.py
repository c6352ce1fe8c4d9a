"""The words of the pictogram world, read from `nouns.tsv`: names, plurals, synonyms, sprites."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from captionary.schemas.classes import ClassName
from captionary.schemas.errors import WrongInput

NOUNS_FILE = Path(__file__).with_name("nouns.tsv")

Kind: TypeAlias = Literal["seen", "novel", "all"]
"""Which nouns: those that `mini` was trained on, those that it never saw, or both."""


@dataclass(frozen=True, slots=True)
class Word:
    """A noun's word; the plural is empty where it is uncountable ("some corn")."""

    singular: str
    plural: str = ""


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun of the pictogram world.

    words:        its name, then its synonyms.
    novel:        whether `mini` was trained without it.
    code_points:  the characters of the emoji font that picture it, at least one.
    first_sprite: its number on the sheet; the others follow.
    """

    words: tuple[Word, ...]
    novel: bool
    code_points: tuple[int, ...]
    first_sprite: int

    @property
    def name(self) -> str:
        """Its usual name."""
        return self.words[0].singular

    @property
    def class_name(self) -> ClassName:
        """The class that it is in an evaluation: its name with its synonyms."""
        return ClassName(self.name, tuple(word.singular for word in self.words))

    @property
    def sprites(self) -> range:
        """Numbers of its sprites on the sheet."""
        return range(self.first_sprite, self.first_sprite + len(self.code_points))


@cache
def read_nouns() -> tuple[Noun, ...]:
    """All nouns, in the order of the file, which is that of the sprites."""
    text = NOUNS_FILE.read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    nouns: list[Noun] = []
    first = 0
    for name, plural, synonyms, split, points in rows[1:]:
        pairs = (synonym.split("/") for synonym in synonyms.split(", ") if synonym)
        words = (Word(name, plural), *(Word(one, many) for one, many in pairs))
        code_points = tuple(int(point, 16) for point in points.split())
        nouns.append(Noun(words, split == "novel", code_points, first))
        first += len(code_points)
    return tuple(nouns)


def choose_nouns(kind: str) -> tuple[Noun, ...]:
    """The nouns of one kind, in the order of the file.

    Raises:
        WrongInput: there is no such kind.
    """
    if kind not in get_args(Kind):
        raise WrongInput(f"unknown nouns {kind!r}; choose one of {', '.join(get_args(Kind))}")
    return tuple(noun for noun in read_nouns() if kind == "all" or noun.novel == (kind == "novel"))
