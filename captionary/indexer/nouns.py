"""Captions to nouns: the words that the dictionary is to learn.

A spaCy pipeline gives each token a part of speech and a lemma; the rest is rules on those two.
Proper nouns count as nouns: what a name stands for ("eiffel tower") can be seen as well. English
captions are tagged in lower case, because their capitals tell little (Title Case, ALL CAPS, first
words), so that a noun does not depend on how it was typed.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Token

from captionary.schemas.errors import WrongInput
from captionary.schemas.nouns import spelling

CARRIED = Path(__file__).with_name("tagger")
LONGEST_CAPTION = 4000
"""Characters of a caption that are read; what comes after them is left out."""
LONGEST_NOUN = 60
LONGEST_COMPOUND = 3
"""Words of a compound, counted from its head backwards."""

_AT_ONCE = 512
_UNNEEDED = (
    "parser",
    "ner",
    "senter",
    "sentencizer",
    "entity_linker",
    "entity_ruler",
    "span_ruler",
    "spancat",
    "textcat",
    "textcat_multilabel",
)
_WITHIN = frozenset("-.'\u2019")
"""Signs that may stand within a word."""

_HYPHENS = frozenset("-\u2010\u2011")


@dataclass(frozen=True, slots=True)
class StopList:
    """Words that name nothing one can see.

    words:   dropped alone and as the head of a compound.
    leading: those of them that are dropped before another noun as well.
    kept:    compounds that are nouns in spite of their head.
    """

    words: frozenset[str]
    leading: frozenset[str]
    kept: frozenset[str]


@cache
def read_stop_list() -> StopList:
    """Read `not_visible.txt`, which says by which principle its words were chosen."""
    text = Path(__file__).with_name("not_visible.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    leading = {word for line in lines if line.startswith("<") for word in line[1:].split()}
    plain = {word for line in lines if line[:1] not in ("<", "+") for word in line.split()}
    return StopList(
        words=frozenset(plain | leading),
        leading=frozenset(leading),
        kept=frozenset(line[1:].strip() for line in lines if line.startswith("+")),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A noun within a run of nouns; `joined`: a hyphen ties it to the one before."""

    word: str
    joined: bool


class NounExtractor:
    """Takes the nouns out of captions.

    pipeline: name or folder of an installed spaCy pipeline that sets parts of speech and lemmas;
        None: the English one that comes with the program (`indexer/tagger`).
    remembered: how many different words spaCy may keep; above it the pipeline is loaded afresh,
        which bounds the memory of long runs.

    Raises:
        WrongInput: there is no such pipeline, or it lacks one of the two.
    """

    def __init__(self, pipeline: str | None = None, *, remembered: int = 300_000) -> None:
        self._pipeline = str(CARRIED) if pipeline is None else pipeline
        self._nlp = _load(self._pipeline)
        self._most_words = len(self._nlp.vocab.strings) + remembered
        self._folds_case = self._nlp.lang == "en"

    def nouns(self, captions: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """Yield the nouns of each caption, in order; memory stays flat for any number of captions.

        Nouns are lower-case singular, in order of occurrence, none twice. Nouns in a row are one
        compound, given before its head: "a red fire hydrant" yields ("fire hydrant", "hydrant").
        """
        source = iter(captions)
        while chunk := [self._clean(caption) for caption in islice(source, _AT_ONCE)]:
            yield from [_nouns_of(doc) for doc in self._nlp.pipe(chunk)]
            # Between chunks only: the pipe holds on to the vocabulary of what it works at.
            self._reload_if_full()

    def _reload_if_full(self) -> None:
        """Load afresh when the vocabulary has grown too large: spaCy remembers every word."""
        if len(self._nlp.vocab.strings) > self._most_words:
            self._nlp = _load(self._pipeline)

    def _clean(self, caption: str) -> str:
        # Lone surrogates, as from broken JSON, would stop spaCy.
        text = caption[:LONGEST_CAPTION].encode("utf-8", "replace").decode("utf-8")
        text = " ".join(unicodedata.normalize("NFKC", text).split())
        return text.lower() if self._folds_case else text


def _load(pipeline: str) -> Language:
    try:
        nlp = spacy.load(pipeline, exclude=_UNNEEDED)
    except (ImportError, OSError, ValueError) as error:
        raise WrongInput(
            f"there is no usable spaCy pipeline {pipeline!r}; install it with "
            f"'python -m spacy download {pipeline}', or leave the name out for the carried one"
        ) from error
    probe = nlp("two dogs")
    if not (probe.has_annotation("POS") and probe.has_annotation("LEMMA")):
        raise WrongInput(
            f"the spaCy pipeline {pipeline!r} sets no parts of speech or no lemmas; "
            "use one with a tagger and a lemmatiser, such as en_core_web_sm"
        )
    return nlp


def _nouns_of(doc: Doc) -> tuple[str, ...]:
    found = (spelling(noun) for run in _runs(doc) for noun in _names(run))
    return tuple(dict.fromkeys(found))


def _runs(doc: Doc) -> Iterator[list[_Part]]:
    """The stretches of nouns that follow one another, or are tied by a hyphen."""
    run: list[_Part] = []
    hyphen = False
    for token in doc:
        # "t-shirt" is three tokens; " - " with a blank before is a dash between words.
        if run and not hyphen and token.text in _HYPHENS and not _blank_before(token):
            hyphen = not token.whitespace_
            continue
        if token.pos_ in ("NOUN", "PROPN") and (word := _word(token.lemma_ or token.text)):
            run.append(_Part(word, joined=hyphen))
        elif run:
            yield run
            run = []
        hyphen = False
    if run:
        yield run


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
    """The compound and its head, less the words at both ends that name nothing."""
    while run and not _is_kept(run) and _names_nothing(run[-1].word):
        run = run[:-1]
    while run and run[0].word in read_stop_list().leading:
        run = run[1:]
    parts = run[-LONGEST_COMPOUND:]
    if len(parts) > 1:
        yield "".join(("-" if part.joined else " ") + part.word for part in parts)[1:]
    if parts and not _names_nothing(parts[-1].word):
        yield parts[-1].word


def _is_kept(run: list[_Part]) -> bool:
    return " ".join(part.word for part in run[-2:]) in read_stop_list().kept


def _names_nothing(word: str) -> bool:
    """Whether it is on the stop list, or has fewer than two letters (other scripts: none)."""
    return word in read_stop_list().words or (word.isascii() and sum(map(str.isalpha, word)) < 2)
