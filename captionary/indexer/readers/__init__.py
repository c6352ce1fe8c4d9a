"""SOURCE -> pairs: captioned pictures from whatever file or folder they stand in, or in memory."""

from captionary.indexer.readers.in_memory import Pair, to_pairs
from captionary.indexer.readers.source import ACCEPTED, count_pairs, local_shards, read_pairs

__all__ = ["ACCEPTED", "Pair", "count_pairs", "local_shards", "read_pairs", "to_pairs"]
