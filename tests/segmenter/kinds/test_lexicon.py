"""The carried lexicon, and the tool that makes it."""

import gzip
from importlib.resources import files

from captionary.schemas.nouns import normal_form
from captionary.segmenter.kinds.lexicon import FILE, Lexicon, wordnet


def test_the_carried_file_is_small_and_keeps_its_licence() -> None:
    folder = files("captionary.segmenter.kinds") / "wordnet"
    assert FILE.stat().st_size < 1_000_000
    assert "Princeton University" in (folder / "LICENSE.txt").read_text(encoding="ascii")


def test_words_stand_in_normal_form_and_lines_above_exist() -> None:
    parents, meant, others = gzip.decompress(FILE.read_bytes()).decode("ascii").split("\n\n")
    count = len(parents.split("\n"))
    for block in (meant, others):
        words = [line.split("\t") for line in block.split("\n")]
        assert all(normal_form(word) == word for word, _ in words)
        assert all(int(number) < count for _, numbers in words for number in numbers.split())
    ups = [] if not parents else [line for line in parents.split("\n") if line != "-"]
    assert all(int(number) < count for line in ups for number in line.split())


def test_nothing_is_above_itself() -> None:
    lexicon = wordnet()
    for name in ("man", "puppy", "carrot", "skyscraper"):
        levels = list(lexicon.levels(lexicon.senses(name)))
        assert sum(map(len, levels)) == len(frozenset().union(*levels))


def test_a_small_lexicon() -> None:
    """0: body part, 1: face, 2: animal, 3: dog, 4: a machine."""
    lexicon = Lexicon("-\n0\n-\n2\n-\n\nanimal\t2\nbody part\t0\ndog\t3\nface\t1\n\ndog\t4")

    assert lexicon.senses("Dogs") == {3}
    assert lexicon.all_senses("dog") == {3, 4}
    assert lexicon.senses_of_compound("big police dog") == {3}
    assert lexicon.senses_of_compound("rock face") == lexicon.senses("cliff") == set()
    assert list(lexicon.levels({3})) == [{3}, {2}]
