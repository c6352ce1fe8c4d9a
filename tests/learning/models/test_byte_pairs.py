import gzip
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from captionary.learning.models.byte_pairs import (
    Merge,
    apply_merge,
    count_words,
    encode_merges,
    learn_merges,
    vocabulary_size,
)

CAPTIONS = [
    "A dog runs after the ball on the grass.",
    "Two dogs are running; the grass is green!",
    "the children's red ball, 2022",
    "Über den Straßen: 犬が走る",
]


def tokenizer_of(merges: Sequence[Merge], folder: Path) -> SimpleTokenizer:
    path = folder / "merges.txt.gz"
    path.write_bytes(encode_merges(merges))
    return SimpleTokenizer(bpe_path=str(path), context_length=16)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> SimpleTokenizer:
    return tokenizer_of(learn_merges(CAPTIONS * 2, 60), tmp_path_factory.mktemp("merges"))


def learn_merges_plainly(captions: Sequence[str], count: int) -> list[Merge]:
    """The same as learn_merges, with all pairs counted anew for every merge."""
    words = dict(count_words(captions))
    merges: list[Merge] = []
    for _ in range(count):
        pairs: Counter[Merge] = Counter()
        for word, occurrences in words.items():
            for pair in pairwise(word):
                pairs[pair] += occurrences
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        merges.append(best)
        words = {apply_merge(word, best): occurrences for word, occurrences in words.items()}
    return merges


@given(st.lists(st.text(alphabet="abc ", max_size=20), max_size=8), st.integers(0, 12))
def test_equals_a_plain_loop(captions: list[str], count: int) -> None:
    assert learn_merges(captions, count) == learn_merges_plainly(captions, count)


def test_real_captions_equal_a_plain_loop() -> None:
    assert learn_merges(CAPTIONS * 2, 80) == learn_merges_plainly(CAPTIONS * 2, 80)


def test_the_most_frequent_pair_comes_first_and_ties_go_by_text() -> None:
    assert learn_merges(["ab ab ab cd cd ef"], 9) == [("a", "b</w>"), ("c", "d</w>")]
    assert learn_merges(["dc dc ba ba"], 1) == [("b", "a</w>")]
    assert learn_merges([], 5) == []


def test_frequent_words_become_one_symbol(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(learn_merges(["the dog", "the cat"] * 5, 100), tmp_path)

    assert [len(tokenizer.encode(text)) for text in ("the dog", "The CAT", "dxt")] == [2, 2, 3]


def test_the_vocabulary_has_every_byte_the_merges_and_two_marks(tmp_path: Path) -> None:
    merges = learn_merges(CAPTIONS * 2, 30)
    tokenizer = tokenizer_of(merges, tmp_path)

    assert len(merges) == 30
    assert tokenizer.vocab_size == vocabulary_size(merges) == tokenizer.eot_token_id + 1
    assert tokenizer_of([], tmp_path).vocab_size == vocabulary_size([]) == 514


@settings(max_examples=300)
@given(st.text(max_size=40))
def test_every_text_comes_back(tokenizer: SimpleTokenizer, text: str) -> None:
    clean = tokenizer.clean_fn(text)
    words = tokenizer.pat.findall(clean)

    decoded = tokenizer.decode(tokenizer.encode(text))

    assert "".join(decoded.split(" ")) == "".join(words) == "".join(clean.split())


def test_equal_merges_make_equal_bytes() -> None:
    merges = learn_merges(CAPTIONS, 20)

    assert encode_merges(merges) == encode_merges(list(merges))
    assert gzip.decompress(encode_merges(merges)).decode().split("\n")[1:] == [
        " ".join(pair) for pair in merges
    ]
