"""Regions that the encoder itself tells apart: its patches grouped by what they look like to it."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import normalize

from captionary.schemas.regions import Region
from captionary.vision.clip.feature_maps import DenseMaps, FeatureMap
from captionary.vision.grouping.em import centred_tokens, farthest_points, spherical_em
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import resized
from captionary.vision.proposers.borders import BORDERS, pieces_of, snapped
from captionary.vision.proposers.layers import regions_of
from captionary.vision.proposers.superpixels import WORKING_SIDE

GROUPS = (4, 8, 16)
KAPPA = 20.0
ITERATIONS = 10
PLACE = 0.2
SAME_GROUP = 0.9
SMALLEST = 0.005


@dataclass(frozen=True, slots=True)
class Clusters:
    """Clusters of a picture's feature map (soft spherical EM), several numbers of them.

    Features are centred on the picture's mean and given their place; groups that come out alike
    are joined; superpixels give them sharp borders, and connected parts become regions. Layer 0
    is the whole picture, layer i the i-th number of groups. No training, no weights of its own.

    Args:
        maps:   feature maps of pictures.
        groups: how many groups each layer starts with.
        place:  weight of a patch's place beside its look.
    """

    maps: DenseMaps
    groups: tuple[int, ...] = GROUPS
    place: float = PLACE

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        grouping = (KAPPA, ITERATIONS, SAME_GROUP, SMALLEST)
        text = repr((self.groups, self.place, grouping, BORDERS, self.maps.fingerprint))
        return f"clusters-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture: the whole, then the regions of each layer."""
        points, grid_hw = placed(self.maps(picture), self.place)
        small = resized(picture.pixels, longest=WORKING_SIDE)
        pieces = pieces_of(small)
        layers = [np.zeros(pieces.shape, np.int32)]
        for count in self.groups:
            shares = joined(*self._grouped(points, count))
            layers.append(snapped(shares.view(*grid_hw, -1), pieces))
        return regions_of(layers, picture.size_hw, smallest=SMALLEST)

    def _grouped(self, points: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = farthest_points(points, count)
        return spherical_em(points, start, iterations=ITERATIONS, kappa=KAPPA)


def placed(features: FeatureMap, weight: float) -> tuple[torch.Tensor, tuple[int, int]]:
    """Features with their place, as unit vectors, (h, w, D) -> (h w, D + 2), and the grid (h, w).

    The look is centred on the picture's mean, for all patches of a picture look much alike.
    """
    height, width, dim = features.shape
    look = centred_tokens(torch.from_numpy(features).reshape(-1, dim))
    rows, columns = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
    place = torch.cartesian_prod(rows, columns)
    return normalize(torch.cat([look, weight * place], dim=1), dim=1), (height, width)


def joined(prototypes: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Add up the shares of prototypes that are alike, directly or by others, (N, K) -> (N, G)."""
    alike = prototypes @ prototypes.T > SAME_GROUP
    for _ in range(len(prototypes)):
        alike = (alike.float() @ alike.float()) > 0
    firsts, group = torch.unique(alike.int().argmax(dim=1), return_inverse=True)
    return torch.zeros(len(shares), len(firsts)).index_add_(1, group, shares)
