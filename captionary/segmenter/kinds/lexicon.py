"""What is a kind of what: the nouns of WordNet that name something visible.

Made by `tools/wordnet.py`, which chooses the sense that captions mean. The file has three blocks,
with a blank line between: for every synset the numbers of those it is a kind of, or "-"; for every
word the synsets it means; and the others it may mean. Lines are split when they are asked for:
the file is read in a few hundredths of a second.
"""

import gzip
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

from captionary.schemas.nouns import forms, without_article

FILE = Path(__file__).with_name("wordnet") / "nouns.txt.gz"

BODY_PART = "body part"
"""Rocks have faces, chairs have legs: a compound need not be a kind of a head like these."""


class Lexicon:
    """Synsets, numbered from 0, and the words that mean them, in normal form.

    text: as the file has it.
    """

    def __init__(self, text: str) -> None:
        parents, meant, others = text.split("\n\n")
        self._parents = parents.split("\n")
        self._meant = dict(line.split("\t") for line in meant.split("\n"))
        self._others = dict(line.split("\t") for line in others.split("\n"))
        self._parts = self.senses(BODY_PART)

    def senses(self, name: str) -> frozenset[int]:
        """The synsets that a name means, in singular or plural; mostly one, or none."""
        return _first(name, self._meant)

    def all_senses(self, name: str) -> frozenset[int]:
        """`senses`, and what else the name may mean."""
        return self.senses(name) | _first(name, self._others)

    def senses_of_compound(self, noun: str) -> frozenset[int]:
        """The synsets of a noun, or if it has none, of the words it ends in: a police dog's, a dog.

        A part of the body makes no kinds: a rock face is no face.
        """
        found = self.senses(noun)
        while not found and " " in noun:
            noun = noun.partition(" ")[2]
            found = self.senses(noun)
            if any(not self._parts.isdisjoint(level) for level in self.levels(found)):
                return frozenset()
        return found

    def levels(self, synsets: Collection[int]) -> Iterator[frozenset[int]]:
        """Some synsets, then what they are kinds of, then what these are, each synset once."""
        level, seen = frozenset(synsets), set(synsets)
        while level:
            yield level
            level = frozenset(up for below in level for up in self._up(below)) - seen
            seen |= level

    def _up(self, synset: int) -> frozenset[int]:
        return _parse_numbers(self._parents[synset])


def _first(name: str, words: Mapping[str, str]) -> frozenset[int]:
    """The synsets of the first of a name's forms that is among the words; maybe none."""
    for form in forms(without_article(name)):
        # WordNet has some in the plural only, as "swimming trunks".
        for word in (form, f"{form}s"):
            if word in words:
                return _parse_numbers(words[word])
    return frozenset()


def _parse_numbers(text: str) -> frozenset[int]:
    return frozenset() if text == "-" else frozenset(map(int, text.split()))


@cache
def wordnet() -> Lexicon:
    """The lexicon that comes with the program, read when it is first needed."""
    return Lexicon(gzip.decompress(FILE.read_bytes()).decode("ascii"))
