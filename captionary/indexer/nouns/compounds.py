"""Compounds that are one noun whatever the tagger thinks of their words: "stop sign", "hot dog"."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

from spacy.tokens import Doc, Token

from captionary.indexer.nouns.stop_list import read_stop_list
from captionary.schemas.errors import WrongInput, one_line

Keep: TypeAlias = str | PathLike[str] | Iterable[str]
"""A file with a compound a line, or compounds; one that ends in "*" is no kind of its last word."""

HYPHENS = frozenset("-\u2010\u2011")
NO_KIND = "*"
_BLANKS = str.maketrans(dict.fromkeys((NO_KIND, "_", *HYPHENS), " "))
LONGEST_KEPT = 8
"""Words of a compound that is kept, at most."""

_ALSO_VERBS = frozenset(("stop", "stand", "lift", "ride", "walk", "cover", "hold", "paddle"))
"""Heads that a caption's verb may be as well: "a bus stops", "the music stands"."""
_MANY = frozenset(("some", "several", "many", "few", "these", "those", "all"))
_LINKS = frozenset(("of", "and"))


@dataclass(frozen=True, slots=True)
class Compound:
    """A compound that is kept whole.

    noun:  the noun that it becomes, in the singular, with blanks for hyphens.
    heads: what else it is, by its last word: ("hydrant",); of "bow and arrow" both.
    words: what captions have for it: the last, and one before "of" or "and", in the singular.
    """

    noun: str
    heads: tuple[str, ...]
    words: tuple[str, ...]


@cache
def listed_compounds() -> tuple[str, ...]:
    """The compounds of `compounds.txt` and those that the stop list keeps, marks included."""
    text = Path(__file__).with_name("compounds.txt").read_text(encoding="utf-8")
    return (*_lines(text), *sorted(read_stop_list().kept))


def read_kept(keep: Keep) -> tuple[str, ...]:
    """The compounds that a user names, marks included.

    Raises:
        WrongInput: the file cannot be read, or a line of it is no compound.
    """
    where = "what is to be kept"
    if isinstance(keep, str | PathLike):
        where = fspath(keep)
        try:
            names = _lines(Path(where).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            reason = "it is not UTF-8" if isinstance(error, UnicodeError) else one_line(error)
            raise WrongInput(
                f"cannot read {where}: {reason}; give a text file with a compound a line"
            ) from error
    else:
        names = tuple(keep)
    for name in names:
        words = _split(name)
        if not 0 < len(words) <= LONGEST_KEPT or not any(map(str.isalpha, name)):
            raise WrongInput(
                f"{where} has {name[:60]!r}; write one compound a line, of {LONGEST_KEPT} words "
                "at most"
            )
    return names


def _lines(text: str) -> tuple[str, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _split(name: str) -> list[str]:
    return name.translate(_BLANKS).split()


class CompoundFinder:
    """Finds compounds in captions, in the singular and in the plural, hyphens or none between.

    names:    compounds, in any case, blanks or underscores between their words.
    tokenize: splits them as captions are split.
    singular: of a word in lower case.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        tokenize: Callable[[str], Doc],
        singular: Callable[[str], str],
    ) -> None:
        self._singular = singular
        self._by_first: dict[str, list[Compound]] = {}
        for name in names:
            compound = self._parse(name, tokenize)
            self._by_first.setdefault(compound.words[0], []).append(compound)
        for compounds in self._by_first.values():
            compounds.sort(key=lambda compound: -len(compound.words))  # the longest wins
        self._plural_first = {
            compound.words[0]
            for compounds in self._by_first.values()
            for compound in compounds
            if len(compound.words) == 1 or compound.words[1] in _LINKS
        }

    def _parse(self, name: str, tokenize: Callable[[str], Doc]) -> Compound:
        text = " ".join(_split(name.lower()))
        written = [token.text for token in tokenize(text)]
        words = tuple(
            self._singular(word) if _inflects(written, i) else word
            for i, word in enumerate(written)
        )
        if "of" in words:  # "chest of drawers"
            return Compound(text, (), words)
        noun = text.removesuffix(written[-1]) + words[-1]
        heads = (*(word for word, after in pairwise(words) if after == "and"), words[-1])
        is_kind = len(words) > 1 and NO_KIND not in name
        return Compound(noun, heads if is_kind else (), words)

    def find(self, doc: Doc) -> dict[int, tuple[Compound, int]]:
        """The compounds of a caption by their first token, each with the token after its last.

        They do not overlap; of those that begin at the same word the longest is found.
        """
        found = {}
        i = 0
        while i < len(doc):
            match = self._match_at(doc, i)
            if match:
                found[i] = match
            i = match[1] if match else i + 1
        return found

    def _match_at(self, doc: Doc, start: int) -> tuple[Compound, int] | None:
        first = doc[start].lower_
        if first not in self._by_first:
            first = self._singular(first) if self._plural_first else first
            if first not in self._plural_first:
                return None
        for compound in self._by_first[first]:
            if end := self._end_of(compound, doc, start):
                return compound, end
        return None

    def _end_of(self, compound: Compound, doc: Doc, start: int) -> int:
        """The token after a compound that begins at `start`; 0 where it does not."""
        i = start
        for place, word in enumerate(compound.words):
            if place and i < len(doc) and _is_tied(doc[i]):
                i += 1
            if i == len(doc):
                return 0
            text = doc[i].lower_
            if text != word and not (_inflects(compound.words, place) and self._is_of(text, word)):
                return 0
            is_head = place == len(compound.words) - 1
            verb = is_head and word in _ALSO_VERBS and doc[i].pos_ == "VERB"
            if verb and not _counted(doc[start]):
                return 0
            i += 1
        return i

    def _is_of(self, text: str, word: str) -> bool:
        """Whether a word of a caption is the plural of one of a compound, "glasses" of "glass"."""
        return text in (f"{word}s", f"{word}es") or self._singular(text) == word


def _inflects(words: "list[str] | tuple[str, ...]", place: int) -> bool:
    """Whether a word of a compound has a plural there: the last, the "chest" of "of drawers"."""
    return place == len(words) - 1 or words[place + 1] in _LINKS


def _counted(token: Token) -> bool:
    """Whether a number of things is said before it: "two bus stops"."""
    return token.i > 0 and (token.nbor(-1).pos_ == "NUM" or token.nbor(-1).lower_ in _MANY)


def _is_tied(token: Token) -> bool:
    """Whether it is a hyphen within a word, not a dash between words."""
    return token.text in HYPHENS and not token.whitespace_ and not token.nbor(-1).whitespace_
