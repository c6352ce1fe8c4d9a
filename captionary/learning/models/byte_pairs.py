"""Learning a short byte-pair vocabulary from captions, for open_clip's tokenizer.

Byte-pair encoding (Sennrich et al., 2016): the pair of neighbours that occurs most often becomes
one symbol, again and again. Words start out as their bytes, so every text can be encoded.
"""

import gzip
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import TypeAlias

from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode

Merge: TypeAlias = tuple[str, str]
Word: TypeAlias = tuple[str, ...]

MERGES_FILE = "merges.txt.gz"
WORD_END = "</w>"
BYTE_SYMBOLS = 512
"""Symbols before any merge: every byte, inside of a word and at its end."""
MARKS = 2
"""Symbols for the start and the end of a text."""
MIN_COUNT = 2


def vocabulary_size(merges: Sequence[Merge]) -> int:
    """How many symbols the tokenizer of these merges has."""
    return BYTE_SYMBOLS + len(merges) + MARKS


@cache
def _word_splitter() -> SimpleTokenizer:
    """A tokenizer that is used only to split words: its vocabulary does not matter."""
    return SimpleTokenizer()


def count_words(captions: Iterable[str]) -> Counter[Word]:
    """Count words as open_clip's tokenizer cuts them, as symbols of one byte each."""
    tokenizer = _word_splitter()
    symbols = bytes_to_unicode()
    counts: Counter[str] = Counter()
    for caption in captions:
        # Words first, letters later: a word that occurs a thousand times is split once.
        counts.update(tokenizer.pat.findall(tokenizer.clean_fn(caption)))
    special = {tokenizer.decoder[number] for number in tokenizer.all_special_ids}
    words: Counter[Word] = Counter()
    for text, count in counts.items():
        if text not in special:
            letters = [symbols[byte] for byte in text.encode()]
            words[(*letters[:-1], letters[-1] + WORD_END)] += count
    return words


def learn_merges(captions: Iterable[str], count: int) -> list[Merge]:
    """Learn at most `count` merges, the first to be applied first.

    Of pairs that occur equally often, the first by text is merged. A pair that occurs once only
    is not merged: with few captions the result is shorter.

    The trainer of `tokenizers` does not do instead: it breaks ties by the numbers of symbols, so
    that its merges, and with them the models of a seed, would be others.
    """
    words = _PairCounts(count_words(captions))
    merges: list[Merge] = []
    while len(merges) < count and (best := words.most_frequent()) is not None:
        merges.append(best)
        words.merge(best)
    return merges


class _PairCounts:
    """Words as symbols, with the count of every pair of neighbours, updated by each merge."""

    def __init__(self, counts: Counter[Word]) -> None:
        self._words = list(counts.items())
        self._counts: Counter[Merge] = Counter()
        self._where: defaultdict[Merge, set[int]] = defaultdict(set)
        for number in range(len(self._words)):
            self._count(number, sign=1)
        # An entry has the count of a pair at some time. Outdated ones are dropped when they come
        # up, which is cheaper than to search the heap for them at each merge.
        self._queue = [(-count, pair) for pair, count in self._counts.items()]
        heapq.heapify(self._queue)

    def most_frequent(self) -> Merge | None:
        """The pair to be merged next, if there is one."""
        while self._queue:
            count, pair = self._queue[0]
            if -count == self._counts[pair] >= MIN_COUNT:
                return pair
            heapq.heappop(self._queue)
        return None

    def merge(self, pair: Merge) -> None:
        """Make one symbol of a pair, in all words."""
        changed: set[Merge] = set()
        # Only words that have the pair change; all of their pairs are counted anew.
        for number in self._where.pop(pair):
            changed |= self._count(number, sign=-1)
            word, count = self._words[number]
            self._words[number] = apply_merge(word, pair), count
            changed |= self._count(number, sign=1)
        for other in changed:
            heapq.heappush(self._queue, (-self._counts[other], other))

    def _count(self, number: int, *, sign: int) -> set[Merge]:
        word, count = self._words[number]
        pairs = list(pairwise(word))
        for pair in pairs:
            self._counts[pair] += sign * count
            self._where[pair].add(number)
        return set(pairs)


def apply_merge(word: Word, pair: Merge) -> Word:
    """Join a pair wherever it stands in a word, from the left."""
    symbols: list[str] = []
    position = 0
    while position < len(word):
        if word[position : position + 2] == pair:
            symbols.append("".join(pair))
            position += 2
        else:
            symbols.append(word[position])
            position += 1
    return tuple(symbols)


def encode_merges(merges: Sequence[Merge]) -> bytes:
    """Encode merges as open_clip's tokenizer reads them; equal merges make equal bytes.

    The tokenizer skips the first line, and would read an end of the last line as another merge.
    """
    lines = ["# byte-pair merges", *(" ".join(merge) for merge in merges)]
    # A time of writing would make every run's file another.
    return gzip.compress("\n".join(lines).encode(), mtime=0)
