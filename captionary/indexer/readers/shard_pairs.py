"""Pairs for training: those of WebDataset shards by number, listed once, read when drawn.

Other SOURCEs are streamed as for the indexer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captionary.indexer.readers.shard_index import list_shard, read_pair_at
from captionary.indexer.readers.source import local_shards, read_pairs
from captionary.schemas.pairs import ImageCaption, PairItem


@dataclass(frozen=True, slots=True)
class ShardPairs:
    """Pairs by number, in flat arrays: 24 bytes each, so that millions fit into every worker.

    shards: the tar files.
    places: (N, 6) uint32, the number of the shard, then a row of `shard_index.Places`.
    """

    shards: tuple[Path, ...]
    places: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> ImageCaption:
        """Read the captions of a pair.

        Raises:
            UnreadablePicture: the shard is not as it was listed.
        """
        shard, *place = self.places[index].tolist()
        return read_pair_at(self.shards[shard], place)

    def select(self, numbers: NDArray[np.intp]) -> "ShardPairs":
        """The pairs of these numbers, in this order."""
        return ShardPairs(self.shards, self.places[numbers])

    def without(self, numbers: NDArray[np.intp]) -> "ShardPairs":
        """All pairs but those of these numbers."""
        return ShardPairs(self.shards, np.delete(self.places, numbers, axis=0))


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What some shards hold.

    pairs:         in the order of the shards.
    digests:       (N,) uint64, of each pair: its picture's name and captions, not where it lies.
    left_out:      how many samples are no pairs.
    first_failure: of these the first, and why.
    """

    pairs: ShardPairs
    digests: NDArray[np.uint64]
    left_out: int
    first_failure: str


def index_shards(
    shards: Sequence[str], *, folder: Path, report: Callable[[int], None] = lambda _: None
) -> ShardIndex:
    """List the pairs of shards, or take their lists from a folder, where these are kept.

    Args:
        report: called with the number of shards that are done.

    Raises:
        WrongInput: the folder cannot be written to.
    """
    listings = []
    for done, shard in enumerate(shards, start=1):
        listings.append(list_shard(shard, folder))
        report(done)
    counts = [len(listing.digests) for listing in listings]
    places = np.empty((sum(counts), 6), np.uint32)
    places[:, 0] = np.repeat(np.arange(len(listings)), counts)
    # Written in place: of many millions of pairs a second copy would be felt.
    np.concatenate([listing.places for listing in listings], out=places[:, 1:])
    return ShardIndex(
        ShardPairs(tuple(map(Path, shards)), places),
        np.concatenate([listing.digests for listing in listings]),
        sum(listing.left_out for listing in listings),
        next((listing.first for listing in listings if listing.left_out), ""),
    )


class SourceReader:
    """The readers as `captionary.learning.data.readers.PairReader` wants them."""

    def read_pairs(self, source: str, *, images: str | None) -> Iterator[PairItem]:
        """Stream the pairs of a SOURCE, as `source.read_pairs`."""
        return read_pairs(source, images=images)

    def local_shards(self, source: str) -> list[str]:
        """The shards of a SOURCE on this machine, as `source.local_shards`."""
        return local_shards(source)

    def index_shards(
        self, shards: Sequence[str], *, folder: Path, report: Callable[[int], None]
    ) -> ShardIndex:
        """List the pairs of shards, as `index_shards`."""
        return index_shards(shards, folder=folder, report=report)
