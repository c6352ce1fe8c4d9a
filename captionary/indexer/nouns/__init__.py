"""Captions -> nouns: what the words of a caption name that can be seen."""

from captionary.indexer.nouns.caption_text import LONGEST_CAPTION
from captionary.indexer.nouns.compounds import Keep
from captionary.indexer.nouns.doubts import doubts_about, why_nothing_named
from captionary.indexer.nouns.extractor import NounExtractor
from captionary.indexer.nouns.runs import LONGEST_NOUN
from captionary.indexer.nouns.stop_list import read_stop_list

__all__ = [
    "LONGEST_CAPTION",
    "LONGEST_NOUN",
    "Keep",
    "NounExtractor",
    "doubts_about",
    "read_stop_list",
    "why_nothing_named",
]
