"""The proposer `clusters`: patches of a picture clustered by the encoder's features."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import normalize

from captionary.schemas.regions import Region
from captionary.vision.clip.feature_maps import FeatureMap, FeatureMaps
from captionary.vision.grouping.spherical_em import centre_tokens, farthest_points, spherical_em
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import resize_picture
from captionary.vision.proposers.borders import (
    BORDER_SETTINGS,
    cut_superpixels,
    snap_to_superpixels,
)
from captionary.vision.proposers.layers import build_regions
from captionary.vision.proposers.superpixels import WORKING_SIDE

COUNTS = (4, 8, 16)
"""Clusters that the EM of each layer starts with."""

KAPPA = 20.0
"""Concentration of the EM."""

ITERATIONS = 10
POSITION_WEIGHT = 0.2
SAME_CLUSTER = 0.9
"""Clusters whose centres have a larger cosine are merged."""

MIN_REGION = 0.005
"""Smallest region, as a share of the picture."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Clusters of a picture's feature map (soft spherical EM), several numbers of them.

    Features are centred on the picture's mean and extended by the patch's position; similar
    clusters are merged; superpixels give them sharp borders, and connected parts become regions.
    Layer 0 is the whole picture, layer i the i-th number of clusters. It has no weights of its own.

    Args:
        maps:            feature maps of pictures.
        counts:          how many clusters each layer starts with.
        position_weight: weight of a patch's position beside its features.
    """

    maps: FeatureMaps
    counts: tuple[int, ...] = COUNTS
    position_weight: float = POSITION_WEIGHT

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        em = (KAPPA, ITERATIONS, SAME_CLUSTER, MIN_REGION)
        facts = (self.counts, self.position_weight, em, BORDER_SETTINGS, self.maps.fingerprint)
        text = repr(facts)
        return f"clusters-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture: the whole, then the regions of each layer."""
        points, grid_hw = add_positions(self.maps(picture), self.position_weight)
        # Superpixels are cut once, and give borders to the clusters of all layers.
        small = resize_picture(picture.pixels, longest=WORKING_SIDE)
        superpixels = cut_superpixels(small)
        layers = [np.zeros(superpixels.shape, np.int32)]
        for count in self.counts:
            assignment = merge_similar(*self._cluster(points, count)).view(*grid_hw, -1)
            layers.append(snap_to_superpixels(assignment, superpixels))
        return build_regions(layers, picture.size_hw, smallest=MIN_REGION)

    def _cluster(self, points: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = farthest_points(points, count)
        return spherical_em(points, start, iterations=ITERATIONS, kappa=KAPPA)


def add_positions(features: FeatureMap, weight: float) -> tuple[torch.Tensor, tuple[int, int]]:
    """Centre features and append positions, (h, w, D) -> (h w, D + 2), and the grid (h, w).

    Rows are unit vectors; positions are in (-1, 1) before they are weighted.
    """
    height, width, dim = features.shape
    centred = centre_tokens(torch.from_numpy(features).reshape(-1, dim))
    rows, columns = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
    positions = torch.cartesian_prod(rows, columns)
    return normalize(torch.cat([centred, weight * positions], dim=1), dim=1), (height, width)


def merge_similar(centres: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
    """Merge clusters with similar centres, directly or in a chain: assignment (N, K) -> (N, G)."""
    linked = centres @ centres.T > SAME_CLUSTER
    # Squaring the matrix of links closes chains; the first link of a row then names its component.
    for _ in range(len(centres)):
        linked = (linked.float() @ linked.float()) > 0
    firsts, component = torch.unique(linked.int().argmax(dim=1), return_inverse=True)
    return torch.zeros(len(assignment), len(firsts)).index_add_(1, component, assignment)
