"""The words that name nothing one can see, as `not_visible.txt` lists them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path


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


def names_nothing(word: str) -> bool:
    """Whether it is on the list, or has fewer than two letters (other scripts: none)."""
    return word in read_stop_list().words or (word.isascii() and sum(map(str.isalpha, word)) < 2)
