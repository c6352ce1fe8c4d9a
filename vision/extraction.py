"""A picture's regions with their vectors: the one path that indexing and segmenting share.

Prototypes cancel the domain shift of masked crops only if stored and asked regions were made in
exactly the same way, so both services go through here, and the fingerprint says which way it was.
"""

from dataclasses import dataclass

import numpy as np

from schemas.regions import Region, RegionTable
from vision.embedders import RegionEmbedder
from vision.pictures import LoadedPicture
from vision.proposers import RegionProposer

CODE_VERSION = 1
"""Raise it when a change of this package's code changes any region or vector."""


@dataclass(frozen=True, slots=True)
class RegionExtractor:
    """Cuts pictures into regions and embeds them."""

    proposer: RegionProposer
    embedder: RegionEmbedder

    @property
    def fingerprint(self) -> str:
        """Names everything that regions and vectors depend on."""
        return f"{self.proposer.fingerprint}+{self.embedder.fingerprint}+v{CODE_VERSION}"

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self.embedder.dim

    def extract(self, picture: LoadedPicture) -> tuple[list[Region], RegionTable]:
        """Cut and embed one picture; row i of the table is region i. There is at least one.

        Raises:
            UnreadablePicture: the proposer needs something of this picture that is missing.
        """
        regions = self.proposer.propose(picture)
        table = RegionTable(
            vectors=self.embedder.embed(picture, regions),
            boxes_xyxy=np.array([region.box_xyxy for region in regions], dtype=np.int32),
            areas=np.array([region.area for region in regions], dtype=np.float32),
        )
        return regions, table
