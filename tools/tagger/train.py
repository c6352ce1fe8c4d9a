"""Train the carried tagger: `python -m tools.tagger.train TREEBANK OUT`.

TREEBANK is a folder with the gzipped splits of Universal Dependencies English EWT. A small
convolutional network over hashed word features (no pretrained vectors) predicts the universal part
of speech; nouns get their singular from tables (`plurals.py`). Trained on `train`, chosen on `dev`,
reported on `test`, with the treebank's own tokens.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.lookups import Lookups
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam, fix_random_seed

from tools.tagger.plurals import lemma_tables
from tools.tagger.treebank import Sentence, read_treebank
from tools.tagger.variations import Material, collect_material, make_caption_like, to_lower_case

WIDTH = 96
NETWORK: dict[str, Any] = {
    "@architectures": "spacy.Tagger.v2",
    "tok2vec": {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": {
            "@architectures": "spacy.MultiHashEmbed.v2",
            "width": WIDTH,
            "attrs": ["LOWER", "PREFIX", "SUFFIX", "SHAPE"],
            "rows": [5000, 750, 2500, 750],
            "include_static_vectors": False,
        },
        "encode": {
            "@architectures": "spacy.MaxoutWindowEncoder.v2",
            "width": WIDTH,
            "depth": 3,
            "window_size": 1,
            "maxout_pieces": 2,
        },
    },
}

CARD = {
    "name": "captionary_tagger",
    "version": "1.0.0",
    "description": "Parts of speech, and singulars of nouns, for English captions",
    "license": "CC BY-SA 4.0",
    "sources": [
        {
            "name": "Universal Dependencies English Web Treebank",
            "url": "https://github.com/UniversalDependencies/UD_English-EWT",
            "license": "CC BY-SA 4.0",
        }
    ],
    "spacy_version": ">=3.8.0,<4.0.0",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """How well a tagger does on a split, each in [0, 1].

    accuracy:       of universal parts of speech, over all tokens.
    noun_f1:        of the tag NOUN.
    any_noun_f1:    of NOUN and PROPN taken as one tag, which is what nouns are taken from.
    lemma_accuracy: share of the split's NOUN tokens that get its lemma, case ignored.
    """

    accuracy: float
    noun_f1: float
    any_noun_f1: float
    lemma_accuracy: float


def measure(nlp: Language, sentences: Sequence[Sentence]) -> Figures:
    """Tag and lemmatise sentences, given as tokens, and compare."""
    right = total = lemmas = nouns = 0
    tags: list[tuple[str, str]] = []
    docs = nlp.pipe(_doc(nlp, words) for words in sentences)
    for doc, words in zip(docs, sentences, strict=True):
        for token, word in zip(doc, words, strict=True):
            tags.append((token.pos_, word.tag))
            right += token.pos_ == word.tag
            total += 1
            if word.tag == "NOUN":
                nouns += 1
                lemmas += token.lemma_.lower() == word.lemma.lower()
    return Figures(
        accuracy=right / total,
        noun_f1=_f1(tags, {"NOUN"}),
        any_noun_f1=_f1(tags, {"NOUN", "PROPN"}),
        lemma_accuracy=lemmas / nouns,
    )


def _f1(tags: Sequence[tuple[str, str]], wanted: set[str]) -> float:
    both = sum(found in wanted and true in wanted for found, true in tags)
    return 2 * both / sum((found in wanted) + (true in wanted) for found, true in tags)


def _doc(nlp: Language, words: Sentence) -> Doc:
    return Doc(nlp.vocab, [word.text for word in words], [word.space for word in words])


def _example(nlp: Language, words: Sentence) -> Example:
    text, spaces = [word.text for word in words], [word.space for word in words]
    truth = Doc(nlp.vocab, text, spaces, pos=[word.tag for word in words])
    return Example(_doc(nlp, words), truth)


def make_blank_tagger(sentences: Sequence[Sentence]) -> Language:
    """An untrained tagger with the lemmatiser's tables of these sentences."""
    nlp = spacy.blank("en", meta=CARD)
    nlp.add_pipe("morphologizer", config={"model": NETWORK, "overwrite": True})
    lemmatizer = nlp.add_pipe("lemmatizer", config={"mode": "rule"})
    lookups = Lookups()
    nouns = ((w.text, w.lemma) for words in sentences for w in words if w.tag == "NOUN")
    for name, table in lemma_tables(nouns).items():
        lookups.add_table(name, table)
    lemmatizer.initialize(lookups=lookups)  # type: ignore[attr-defined]
    examples = [_example(nlp, words) for words in sentences]
    nlp.get_pipe("morphologizer").initialize(lambda: examples, nlp=nlp)  # type: ignore[attr-defined]
    return nlp


def _make_batches(
    sentences: Sequence[Sentence], stock: Material, draw: random.Random
) -> Iterator[list[Sentence]]:
    """Every sentence once, varied and in random order, in batches of about 1,000 words."""
    batch: list[Sentence] = []
    for words in draw.sample(sentences, len(sentences)):
        batch.append(make_caption_like(words, stock, draw))
        if sum(map(len, batch)) >= 1000:
            yield batch
            batch = []
    if batch:
        yield batch


def train(
    sentences: Sequence[Sentence], dev: Sequence[Sentence], *, epochs: int, seed: int
) -> Language:
    """Train a tagger, and return it as it was after its best epoch on `dev` in lower case."""
    fix_random_seed(seed)
    draw = random.Random(seed)
    nlp, stock = make_blank_tagger(sentences), collect_material(sentences)
    tagger: Any = nlp.get_pipe("morphologizer")
    optimizer = Adam(learn_rate=0.002, L2=0.01, grad_clip=1.0, use_averages=True)
    steps = epochs * sum(map(len, sentences)) // 1000
    best, weights, step = 0.0, b"", 0
    quiet_dev = [to_lower_case(words) for words in dev]
    for epoch in range(epochs):
        for batch in _make_batches(sentences, stock, draw):
            optimizer.learn_rate = 0.002 * max(0.02, min(1.0, step / 100) * (1 - step / steps))
            step += 1
            tagger.update([_example(nlp, words) for words in batch], drop=0.15, sgd=optimizer)
        with nlp.use_params(optimizer.averages):
            figures = measure(nlp, quiet_dev)
            if (score := figures.accuracy + figures.any_noun_f1) > best:
                best, weights = score, tagger.model.to_bytes()
        print(f"epoch {epoch + 1}: {figures}", flush=True)
    tagger.model.from_bytes(weights)
    return nlp


def main() -> None:
    """Train, save, and print the figures on the test split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("treebank", type=Path, help="folder with en_ewt-ud-*.conllu.gz")
    parser.add_argument("out", type=Path, help="folder for the pipeline")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    split = {
        name: list(read_treebank(options.treebank / f"en_ewt-ud-{name}.conllu.gz"))
        for name in ("train", "dev", "test")
    }
    nlp = train(split["train"], split["dev"], epochs=options.epochs, seed=options.seed)
    nlp.to_disk(options.out)
    figures = {
        "test": measure(nlp, split["test"]),
        "test in lower case": measure(nlp, [to_lower_case(words) for words in split["test"]]),
    }
    for name, value in figures.items():
        print(name, value)
    print(json.dumps({"seconds": round(time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
