"""Captions to nouns: the words that the dictionary is to learn.

A spaCy pipeline gives each token a part of speech and a lemma; the rest is rules on those two.
Proper nouns count as nouns: what a name stands for ("eiffel tower") can be seen as well. English
captions are tagged in lower case, because their capitals tell little (Title Case, ALL CAPS, first
words), so that a noun does not depend on how it was typed.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import spacy
from cachetools import LRUCache, cachedmethod
from spacy.language import Language
from spacy.tokens import Doc

from captionary.indexer.nouns.caption_text import clean_caption
from captionary.indexer.nouns.compounds import CompoundFinder, Keep, listed_compounds, read_kept
from captionary.indexer.nouns.language import LanguageCheck
from captionary.indexer.nouns.negation import negated
from captionary.indexer.nouns.runs import nouns_of
from captionary.schemas.errors import WrongInput
from captionary.schemas.nouns import spelling, without_article

CARRIED = Path(__file__).parents[1] / "tagger"

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


class NounExtractor:
    """Takes the nouns out of captions.

    pipeline: name or folder of an installed spaCy pipeline that sets parts of speech and lemmas;
        None: the English one that comes with the program (`indexer/tagger`).
    keep: compounds that are one noun each, besides those of `compounds.txt`.
    remembered: how many different words spaCy may keep; above it the pipeline is loaded afresh,
        which bounds the memory of long runs.

    Raises:
        WrongInput: there is no such pipeline, or it lacks one of the two; or as `read_kept`.
    """

    def __init__(
        self, pipeline: str | None = None, *, keep: Keep = (), remembered: int = 300_000
    ) -> None:
        self._keep = read_kept(keep)
        self._pipeline = str(CARRIED) if pipeline is None else pipeline
        self._load()
        self._most_words = len(self._nlp.vocab.strings) + remembered
        self.language = LanguageCheck(self._nlp.lang or "", _nouns_known_to(self._nlp))
        """What captions are compared with; those in a script that it cannot read have no nouns."""

    def _load(self) -> None:
        self._nlp = _load(self._pipeline)
        self._english = self._nlp.lang == "en"
        self._singulars: LRUCache[str, str] = LRUCache(1 << 14)
        self._compounds = CompoundFinder(
            (*self._keep, *(listed_compounds() if self._english else ())),
            tokenize=self._nlp.make_doc,
            singular=self._singular,
        )

    def nouns(self, captions: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """Yield the nouns of each caption, in order; memory stays flat for any number of captions.

        Nouns are lower-case singular, in order of occurrence, none twice. Nouns in a row are one
        compound, given before its head: "a red fire hydrant" yields ("fire hydrant", "hydrant").
        What an English caption says is not there is left out.
        """
        source = iter(captions)
        while chunk := [self._clean(caption) for caption in islice(source, _AT_ONCE)]:
            yield from [self._nouns_of(doc) for doc in self._nlp.pipe(chunk)]
            # Between chunks only: the pipe holds on to the vocabulary of what it works at.
            if len(self._nlp.vocab.strings) > self._most_words:
                self._load()  # spaCy remembers every word

    def name(self, noun: str) -> str:
        """A noun that someone wrote, as captions give it: in the singular, spelled alike."""
        *before, last = spelling(without_article(noun)).split() or [noun]
        return " ".join([*before, self._singular(last)])

    def _nouns_of(self, doc: Doc) -> tuple[str, ...]:
        compounds = self._compounds.find(doc)
        for start, (_, after) in compounds.items():
            for token in doc[start:after]:
                token.pos_ = "NOUN"  # whatever the tagger thinks of it
        return nouns_of(doc, compounds, negated(doc) if self._english else ())

    def _clean(self, caption: str) -> str:
        text = self.language.readable(clean_caption(caption))
        return text.lower() if self._english else text

    @cachedmethod(lambda self: self._singulars)
    def _singular(self, word: str) -> str:
        """The lemma that the pipeline gives a word in lower case if it is a noun."""
        doc = Doc(self._nlp.vocab, words=[word], pos=["NOUN"])
        if "lemmatizer" in self._nlp.pipe_names:
            doc = self._nlp.get_pipe("lemmatizer")(doc)
        return doc[0].lemma_.lower() or word


def _nouns_known_to(nlp: Language) -> frozenset[str]:
    """The nouns in the tables of a pipeline's lemmatizer, if it has such."""
    has_lemmatizer = "lemmatizer" in nlp.pipe_names
    lookups = getattr(nlp.get_pipe("lemmatizer"), "lookups", None) if has_lemmatizer else None
    if lookups is None:
        return frozenset()
    tables = [name for name in ("lemma_index", "lemma_exc") if lookups.has_table(name)]
    return frozenset(word for name in tables for word in lookups.get_table(name).get("noun", ()))


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
