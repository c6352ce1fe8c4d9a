"""Variations of treebank sentences that read like captions, to train the tagger on.

A treebank of web text has few sentences like "A shaggy dog splashes in a muddy stream". These rules
make such sentences out of its own trees and words, never out of captions: present tense for past,
other verbs and nouns, the auxiliary before a participle dropped, a noun phrase for a pronoun, a
noun phrase standing alone, modifiers put before nouns, articles and full stops left out, capitals
removed.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from captionary.schemas.nouns import IRREGULAR
from tools.tagger.treebank import Sentence, Word

PRONOUNS = {"he": "Sing", "she": "Sing", "it": "Sing", "they": "Plur", "we": "Plur"}
COLOURS = (
    "beige", "black", "blond", "blonde", "blue", "brown", "brunette", "cream", "dark", "golden",
    "gray", "green", "grey", "khaki", "light", "maroon", "multicolored", "navy", "orange", "pink",
    "purple", "red", "silver", "tan", "teal", "turquoise", "white", "yellow",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Material:
    """What variations are made of: words of the training split, each lemma once."""

    subjects: dict[str, tuple[Sentence, ...]]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    nouns_in_y: tuple[str, ...]
    plurals: tuple[str, ...]
    adjectives: tuple[str, ...]


def collect_material(sentences: Sequence[Sentence]) -> Material:
    """Collect it; `subjects` are short noun phrases ("the old man") by grammatical number."""
    subjects: dict[str, list[Sentence]] = {"Sing": [], "Plur": []}
    for words in sentences:
        for number, phrase in _find_short_phrases(words):
            subjects[number].append(phrase)
    nouns = _collect_lemmas(sentences, "NOUN")
    return Material(
        subjects={number: tuple(phrases) for number, phrases in subjects.items()},
        verbs=_collect_lemmas(sentences, "VERB"),
        nouns=nouns,
        nouns_in_y=tuple(noun for noun in nouns if noun.endswith(("y", "ie"))),
        plurals=tuple(sorted(IRREGULAR)),
        adjectives=_collect_lemmas(sentences, "ADJ"),
    )


def _collect_lemmas(sentences: Sequence[Sentence], tag: str) -> tuple[str, ...]:
    found = {word.lemma for words in sentences for word in words if word.tag == tag}
    return tuple(sorted(w for w in found if w.isalpha() and w.islower() and 2 < len(w) < 10))


def _find_short_phrases(words: Sentence) -> Iterator[tuple[str, Sentence]]:
    for i, word in enumerate(words):
        if word.tag != "NOUN" or word.relation not in ("nsubj", "obj", "obl"):
            continue
        before = tuple(w for w in words[max(0, i - 3) : i] if w.head == i)
        plain = all(w.relation in ("det", "amod", "compound", "nummod") for w in before)
        if plain and len(before) in (1, 2) and word.number() in ("Sing", "Plur"):
            yield word.number(), tuple(replace(w, head=-1, space=True) for w in (*before, word))


def make_caption_like(words: Sentence, stock: Material, draw: random.Random) -> Sentence:
    """One random variation of a sentence; heads are not kept up to date."""
    if draw.random() < 0.15:
        words = _cut_fragment(words, draw)
    if draw.random() < 0.4:
        words = _drop_auxiliary(words)
    if draw.random() < 0.4:
        words = _replace_subject(words, stock, draw)
    if draw.random() < 0.4:
        words = tuple(_to_present(word) for word in words)
    if draw.random() < 0.3:
        words = tuple(_replace_verb(word, stock, draw) for word in words)
    if draw.random() < 0.2:
        words = tuple(_replace_noun(word, stock, draw) for word in words)
    if draw.random() < 0.25:
        words = _add_modifiers(words, stock, draw)
    if words[0].tag == "DET" and len(words) > 2 and draw.random() < 0.3:
        words = words[1:]
    if words[-1].tag == "PUNCT" and len(words) > 1 and draw.random() < 0.5:
        words = words[:-1]
    return _recase(words, draw)


def to_lower_case(words: Sentence) -> Sentence:
    """The sentence without capitals, as English captions are tagged."""
    return tuple(replace(word, text=word.text.lower()) for word in words)


def _recase(words: Sentence, draw: random.Random) -> Sentence:
    kind = draw.random()
    if kind < 0.6:
        return to_lower_case(words)
    if kind < 0.62:
        return tuple(replace(word, text=word.text.title()) for word in words)
    return words


def _to_present(word: Word) -> Word:
    if word.xtag != "VBD" or not word.lemma.isalpha():
        return word
    xtag = "VBP" if word.number() == "Plur" else "VBZ"
    return replace(word, text=_inflect(word.lemma, xtag), xtag=xtag)


def _replace_verb(word: Word, stock: Material, draw: random.Random) -> Word:
    if word.tag != "VERB" or word.xtag not in ("VBZ", "VBP", "VBG") or draw.random() < 0.3:
        return word
    lemma = draw.choice(stock.verbs)
    return replace(word, text=_inflect(lemma, word.xtag), lemma=lemma)


def _replace_noun(word: Word, stock: Material, draw: random.Random) -> Word:
    if word.tag != "NOUN" or draw.random() < 0.6:
        return word
    if word.number() == "Sing":
        text = draw.choice(stock.nouns)
    elif draw.random() < 0.3:
        text = draw.choice(stock.plurals)
    else:
        text = _inflect(draw.choice(stock.nouns), "VBZ")
    return replace(word, text=text, lemma=text)


def _inflect(lemma: str, xtag: str) -> str:
    """A verb's form by Penn tag (VBZ, VBP, VBG), by spelling; VBZ looks like a noun's plural."""
    known = {("be", "VBP"): "are", ("be", "VBZ"): "is", ("have", "VBZ"): "has"}
    if (lemma, xtag) in known:
        return known[lemma, xtag]
    if xtag == "VBP":
        return lemma
    before_last = lemma[-2:-1]
    if xtag == "VBG":
        if lemma.endswith("e") and before_last not in tuple("eoy"):
            return lemma[:-1] + "ing"
        doubles = len(lemma) < 5 and lemma[-1] in "bdgmnprt" and before_last in tuple("aiou")
        return lemma + (lemma[-1] if doubles and lemma[-3] not in "aeiou" else "") + "ing"
    if lemma.endswith(("s", "x", "z", "ch", "sh", "o")):
        return lemma + "es"
    if lemma.endswith("y") and before_last not in tuple("aeiou"):
        return lemma[:-1] + "ies"
    return lemma + "s"


def _drop_auxiliary(words: Sentence) -> Sentence:
    """Drop forms of "be" that stand right before a participle in -ing."""
    return tuple(
        word
        for i, word in enumerate(words)
        if not (word.lemma == "be" and words[i + 1 : i + 2] and words[i + 1].xtag == "VBG")
    )


def _replace_subject(words: Sentence, stock: Material, draw: random.Random) -> Sentence:
    """Put a noun phrase in place of the first pronoun that is a subject."""
    for i, word in enumerate(words):
        number = PRONOUNS.get(word.text.lower(), "")
        if word.relation == "nsubj" and number and stock.subjects[number]:
            return words[:i] + draw.choice(stock.subjects[number]) + words[i + 1 :]
    return words


def _add_modifiers(words: Sentence, stock: Material, draw: random.Random) -> Sentence:
    """Put a modifier, or two joined by "and", before some nouns that have none."""
    out: list[Word] = []
    for i, word in enumerate(words):
        bare = i == 0 or words[i - 1].tag in ("DET", "NUM", "ADP")
        if word.tag == "NOUN" and bare and draw.random() < 0.4:
            out.append(_draw_modifier(stock, draw))
            if out[-1].tag == "ADJ" and draw.random() < 0.15:
                out.append(Word("and", "and", "CCONJ", "CC", "_", -1, "cc"))
                out.append(_make_adjective(draw.choice(COLOURS)))
        out.append(word)
    return tuple(out)


def _draw_modifier(stock: Material, draw: random.Random) -> Word:
    """A colour, an adjective, one derived from a noun (-y, -ed, -less), or a noun.

    Every other noun ends in -y, so that "city" is told from "grassy" by its being known.
    """
    kind = draw.randrange(4)
    if kind == 0:
        return _make_adjective(draw.choice(COLOURS))
    if kind == 1:
        return _make_adjective(draw.choice(stock.adjectives))
    if kind == 2:
        stem, ending = draw.choice(stock.nouns), draw.choice(("y", "ed", "less"))
        return _make_adjective((stem if ending == "less" else stem.rstrip("ey")) + ending)
    text = draw.choice(draw.choice((stock.nouns, stock.nouns_in_y)))
    return Word(text, text, "NOUN", "NN", "Number=Sing", -1, "compound")


def _make_adjective(text: str) -> Word:
    return Word(text, text, "ADJ", "JJ", "Degree=Pos", -1, "amod")


def _cut_fragment(words: Sentence, draw: random.Random) -> Sentence:
    """A noun with all that depends on it, where that is a stretch of three words or more."""
    nouns = [i for i, word in enumerate(words) if word.tag == "NOUN"]
    if not nouns:
        return words
    top = draw.choice(nouns)
    inside = {top}
    while more := {i for i, word in enumerate(words) if word.head in inside} - inside:
        inside |= more
    first, last = min(inside), max(inside)
    whole = len(inside) == last - first + 1
    while first < top and words[first].tag in ("ADP", "PUNCT", "SCONJ", "CCONJ"):
        first += 1
    return words[first : last + 1] if whole and last - first > 1 else words
