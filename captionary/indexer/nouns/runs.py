"""From a tagged caption to nouns: compounds that are kept, then nouns that follow one another."""

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from spacy.tokens import Doc, Token

from captionary.indexer.nouns.compounds import HYPHENS, Compound
from captionary.indexer.nouns.stop_list import names_nothing, read_stop_list
from captionary.schemas.nouns import spelling

LONGEST_NOUN = 60
LONGEST_COMPOUND = 3
"""Words of a compound, counted from its head backwards, unless it is one that is kept."""

_WITHIN = frozenset("-.'\u2019")
"""Signs that may stand within a word."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A noun within a run of nouns, or a kept compound; `joined`: a hyphen ties it to the last."""

    word: str
    joined: bool
    compound: Compound | None = None


def nouns_of(
    doc: Doc, compounds: Mapping[int, tuple[Compound, int]], left_out: Collection[int]
) -> tuple[str, ...]:
    """The nouns of a caption, in order, none twice.

    Args:
        compounds: those that are kept whole, by their first token, with the token after each.
        left_out:  tokens that teach nothing.
    """
    found = (spelling(noun) for run in _runs(doc, compounds, left_out) for noun in _names(run))
    return tuple(dict.fromkeys(found))


def _runs(
    doc: Doc, compounds: Mapping[int, tuple[Compound, int]], left_out: Collection[int]
) -> Iterator[list[_Part]]:
    """The stretches of nouns that follow one another, or are tied by a hyphen."""
    run: list[_Part] = []
    hyphen = False
    i = 0
    while i < len(doc):
        token = doc[i]
        compound, after = compounds.get(i, (None, i + 1))
        i = after
        # "t-shirt" is three tokens; " - " with a blank before is a dash between words.
        if run and not hyphen and token.text in HYPHENS and not _blank_before(token):
            hyphen = not token.whitespace_
            continue
        part = None if after - 1 in left_out else _part(token, compound, joined=hyphen)
        if part:
            run.append(part)
        elif run:
            yield run
            run = []
        hyphen = False
    if run:
        yield run


def _part(token: Token, compound: Compound | None, *, joined: bool) -> _Part | None:
    if compound:
        return _Part(compound.noun, joined, compound)
    word = _word(token.lemma_ or token.text) if token.pos_ in ("NOUN", "PROPN") else ""
    return _Part(word, joined) if word else None


def _blank_before(token: Token) -> bool:
    return bool(token.nbor(-1).whitespace_)


@lru_cache(maxsize=1 << 16)
def _word(lemma: str) -> str:
    """The lemma in lower case, without signs at its ends; empty if that leaves no word."""
    text = lemma.lower()
    kinds = [unicodedata.category(letter)[0] for letter in text]
    solid = [i for i, kind in enumerate(kinds) if kind in "LMN"]
    if "L" not in kinds or len(text) > LONGEST_NOUN:
        return ""
    first, last = solid[0], solid[-1] + 1
    whole = all(kinds[i] in "LMN" or text[i] in _WITHIN for i in range(first, last))
    return text[first:last] if whole else ""


def _names(run: list[_Part]) -> Iterator[str]:
    """The compound and its head, less the words at both ends that name nothing.

    Of a kept compound that stands before another noun ("hot dog stand") both are given.
    """
    while run and not run[-1].compound and names_nothing(run[-1].word):
        run = run[:-1]
    while run and run[0].word in read_stop_list().leading:
        run = run[1:]
    yield from (part.word for part in run[:-1] if part.compound)
    parts = _last_words(run)
    if len(parts) > 1:
        yield "".join(("-" if part.joined else " ") + part.word for part in parts)[1:]
    if parts and (head := parts[-1]).compound:
        yield head.word
        yield from (word for word in head.compound.heads if not names_nothing(word))
    elif parts and not names_nothing(head.word):
        yield head.word


def _last_words(run: list[_Part]) -> list[_Part]:
    """The last part, with those before it as long as they make no more words than allowed."""
    taken, words = len(run), 0
    while taken and (words == 0 or words + _count(run[taken - 1]) <= LONGEST_COMPOUND):
        taken -= 1
        words += _count(run[taken])
    return run[taken:]


def _count(part: _Part) -> int:
    return len(part.compound.words) if part.compound else 1
