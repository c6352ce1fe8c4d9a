"""Universal Dependencies sentences, read from CoNLL-U."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Word:
    """One token of a sentence.

    tag:      universal part of speech, column 4.
    xtag:     Penn part of speech, column 5.
    head:     position of its head in the sentence, from 0; -1: the root, or out of the sentence.
    space:    whether a blank follows.
    """

    text: str
    lemma: str
    tag: str
    xtag: str
    features: str
    head: int
    relation: str
    space: bool = True

    def number(self) -> str:
        """Grammatical number, "Sing" or "Plur"; empty where it has none."""
        return next((f[7:] for f in self.features.split("|") if f.startswith("Number=")), "")


Sentence = tuple[Word, ...]


def read_treebank(path: Path) -> Iterator[Sentence]:
    """Yield the sentences of a gzipped CoNLL-U file."""
    words: list[Word] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 10 and fields[0].isdigit():
                form, lemma, tag, xtag, features, head, relation = fields[1:8]
                space = "SpaceAfter=No" not in fields[9]
                word = Word(form, lemma, tag, xtag, features, int(head) - 1, relation, space)
                words.append(word)
            elif not line.strip() and words:
                yield tuple(words)
                words = []
    if words:
        yield tuple(words)
