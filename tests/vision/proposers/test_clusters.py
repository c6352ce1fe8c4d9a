from collections.abc import Callable

import numpy as np
import pytest
import torch

from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import choose_nouns
from captionary.pictograms.world import World
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.clusters import Clusters, add_positions, merge_similar

MakePicture = Callable[..., LoadedPicture]


def test_layers_are_disjoint_and_start_with_the_whole(
    encoder: ClipEncoder, make_picture: MakePicture
) -> None:
    picture = make_picture(90, 120)
    proposer = Clusters(FeatureMaps(encoder, encoder.input_size_hw[0]))
    regions = proposer.propose(picture)
    assert regions[0].layer == 0
    assert regions[0].mask.all()
    assert len(regions) > 1
    for scale in {region.layer for region in regions}:
        layer = np.array([region.mask for region in regions if region.layer == scale])
        assert layer.sum(axis=0).max() == 1
    again = proposer.propose(picture)
    assert [r.mask.tobytes() for r in regions] == [r.mask.tobytes() for r in again]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (5, 700)])
def test_odd_pictures_have_regions(
    encoder: ClipEncoder, make_picture: MakePicture, size: tuple[int, int]
) -> None:
    regions = Clusters(FeatureMaps(encoder, encoder.input_size_hw[0])).propose(make_picture(*size))
    assert regions
    assert all(region.mask.shape == size for region in regions)


def test_finds_the_objects_of_a_scene() -> None:
    """Their best regions overlap them by more than half, on average."""
    maps = FeatureMaps(ClipEncoder("mini", precision="float32"), 128)
    best = []
    for scene in World(choose_nouns("seen"), 160, seed=0, split="held-out").scenes(6):
        regions = Clusters(maps).propose(LoadedPicture(scene.picture, "scene"))
        for number in np.unique(scene.labels[scene.labels >= len(GROUNDS)]):
            true = scene.labels == number
            best.append(max((r.mask & true).sum() / (r.mask | true).sum() for r in regions))
    assert np.mean(best) > 0.5


def test_positions_distinguish_equal_features() -> None:
    features = np.ones((2, 3, 4), np.float32)
    points, grid_hw = add_positions(features, 0.5)
    assert grid_hw == (2, 3)
    assert points.shape == (6, 6)
    assert (points @ points.T)[0, 5] < (points @ points.T)[0, 1]


def test_similar_clusters_are_merged_in_chains() -> None:
    angles = torch.tensor([0.0, 0.4, 0.8, 2.5])
    prototypes = torch.stack([angles.cos(), angles.sin()], dim=1)
    shares = torch.eye(4)
    assert merge_similar(prototypes, shares).tolist() == [[1, 0], [1, 0], [1, 0], [0, 1]]


def test_fingerprint_follows_the_parameters(encoder: ClipEncoder) -> None:
    maps = FeatureMaps(encoder, 64)
    kinds = [
        Clusters(maps),
        Clusters(maps, counts=(4, 8)),
        Clusters(maps, position_weight=0.1),
        Clusters(FeatureMaps(encoder, 128)),
    ]
    assert len({proposer.fingerprint for proposer in kinds}) == 4
