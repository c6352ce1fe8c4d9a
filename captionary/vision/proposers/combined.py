"""Several proposers as one: what one misses, another may find."""

from dataclasses import dataclass

import numpy as np

from captionary.schemas.regions import Region
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.layers import SAME_REGION_IOU, suppress_duplicates
from captionary.vision.proposers.proposer import RegionProposer


@dataclass(frozen=True, slots=True)
class Combined:
    """All regions of some proposers, each with layers of its own.

    A region that an earlier one nearly equals (IoU above SAME_REGION_IOU) is left out: the whole
    picture, which most propose, above all.
    """

    proposers: tuple[RegionProposer, ...]

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        names = "+".join(proposer.fingerprint for proposer in self.proposers)
        return f"{names}-{SAME_REGION_IOU}"

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture: the regions of each proposer, in order.

        Raises:
            UnreadablePicture: as the proposers.
        """
        regions: list[Region] = []
        for proposer in self.proposers:
            first = 1 + max((region.layer for region in regions), default=-1)
            own = proposer.propose(picture)
            regions += [Region(region.mask, first + region.layer) for region in own]
        masks = np.array([region.mask for region in regions])
        # Scores that fall from first to last: of two that are the same, the earlier one stays.
        scores = -np.arange(len(regions), dtype=np.float32)
        kept = suppress_duplicates(masks, scores, same_iou=SAME_REGION_IOU)
        return [regions[index] for index in kept]
