"""The tools that the carried tagger was trained with."""

import random
from pathlib import Path

import spacy
from spacy.lookups import Lookups
from spacy.tokens import Doc

from tools.tagger.plurals import lemma_tables
from tools.tagger.train import measure
from tools.tagger.treebank import read_treebank
from tools.tagger.variations import collect_material, make_caption_like, to_lower_case


def test_the_carried_tagger_on_the_test_split(shared: Path) -> None:
    path = shared / "data" / "ud_ewt" / "en_ewt-ud-test.conllu.gz"
    sentences = list(read_treebank(path))[:600]
    nlp = spacy.load(Path(__file__).parents[2] / "captionary" / "indexer" / "tagger")
    figures = measure(nlp, sentences)
    assert figures.accuracy > 0.92
    assert figures.any_noun_f1 > 0.93
    assert figures.lemma_accuracy > 0.95
    assert measure(nlp, [to_lower_case(words) for words in sentences]).accuracy > 0.91


def test_the_treebank_is_read_whole_and_varied_soundly(shared: Path) -> None:
    sentences = list(read_treebank(shared / "data" / "ud_ewt" / "en_ewt-ud-dev.conllu.gz"))
    assert len(sentences) == 2001
    stock, draw = collect_material(sentences), random.Random(0)
    for words in sentences:
        varied = make_caption_like(words, stock, draw)
        assert varied
        assert all(word.text and word.tag.isupper() for word in varied)


def test_lemma_tables_learn_irregular_words_of_the_treebank() -> None:
    tables = lemma_tables([("chess", "chess"), ("gas", "gas"), ("gas", "gas"), ("cats", "cat")])
    nlp = spacy.blank("en")
    lookups = Lookups()
    for name, table in tables.items():
        lookups.add_table(name, table)
    lemmatizer = nlp.add_pipe("lemmatizer", config={"mode": "rule"})
    lemmatizer.initialize(lookups=lookups)  # type: ignore[attr-defined]
    words = ["chess", "gas", "cats", "zyls", "women", "pants"]
    doc = nlp.get_pipe("lemmatizer")(Doc(nlp.vocab, words, pos=["NOUN"] * len(words)))
    assert [token.lemma_ for token in doc] == ["chess", "gas", "cat", "zyl", "woman", "pants"]
