"""Pairs in shards of this machine, however many: listed once, read when they are drawn."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from captionary.cli.progress import bars
from captionary.indexer.readers.shard_index import Listing, listing_of, pair_at
from captionary.learning.data.examples import sentences
from captionary.learning.processes import Processes

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShardPairs:
    """Pairs by number, in flat arrays: 24 bytes each.

    shards: the tar files.
    places: (N, 6) uint32, the number of the shard, then a row of `Places`.
    """

    shards: tuple[Path, ...]
    places: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[str, tuple[str, ...]]:
        """Address of a picture, and its captions.

        Raises:
            UnreadablePicture: the shard is not as it was listed.
        """
        shard, *place = self.places[index].tolist()
        pair = pair_at(self.shards[shard], place)
        return pair.image, sentences(pair.captions)

    def without(self, numbers: NDArray[np.intp]) -> "ShardPairs":
        """All pairs but these."""
        return ShardPairs(self.shards, np.delete(self.places, numbers, axis=0))

    def only(self, numbers: NDArray[np.intp]) -> "ShardPairs":
        """These pairs."""
        return ShardPairs(self.shards, self.places[numbers])


def pairs_in(
    shards: Sequence[str], *, folder: Path, processes: Processes
) -> tuple[ShardPairs, NDArray[np.uint64]]:
    """The pairs of shards in order, and the digest of each, (N,); lists are kept in the folder.

    The processes of a run list a part of the shards each, and meet in the folder. What another has
    listed elsewhere, on a machine that does not share the folder, is listed anew.

    Raises:
        WrongInput: the folder cannot be written to.
    """
    if processes.count > 1:
        _show(shards[processes.rank :: processes.count], folder, processes)
        processes.any(here=False)  # wait for the others
    found = _show(shards, folder, processes)
    left_out = sum(listing.left_out for listing in found)
    if left_out:
        first = next(listing.first for listing in found if listing.left_out)
        LOG.warning("%d pairs left out, first: %s", left_out, first)
    counts = [len(listing.digests) for listing in found]
    places = np.empty((sum(counts), 6), np.uint32)
    places[:, 0] = np.repeat(np.arange(len(found)), counts)
    np.concatenate([listing.places for listing in found], out=places[:, 1:])
    digests = np.concatenate([listing.digests for listing in found])
    return ShardPairs(tuple(map(Path, shards)), places), digests


def _show(shards: Sequence[str], folder: Path, processes: Processes) -> list[Listing]:
    """List shards, with a line of progress in the process that speaks."""
    found = []
    with bars(Console(stderr=True, quiet=not processes.first)) as lines:
        bar = lines.add("listing shards", len(shards))
        for shard in shards:
            found.append(listing_of(shard, folder))
            bar.show(len(found))
    return found
