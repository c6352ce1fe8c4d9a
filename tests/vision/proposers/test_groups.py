from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps
from captionary.vision.clip.tower import CropTower
from captionary.vision.embedding.embedders import PooledFeatures
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import squash
from captionary.vision.proposers.clusters import Clusters
from captionary.vision.proposers.combined import Combined
from captionary.vision.proposers.groups import Groups
from captionary.vision.proposers.plan import SEPARATOR, default_proposer, parse_proposer
from captionary.vision.proposers.superpixels import Superpixels
from tests.learning.grouping_models import METHODS, write_small

MakePicture = Callable[..., LoadedPicture]
LOAD = partial(ClipEncoder, device="cpu", precision="float32")


@pytest.fixture(scope="module", params=METHODS)
def name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a proposer with random weights."""
    folder = tmp_path_factory.mktemp("model") / "a+b"
    write_small(folder, METHODS[request.param])
    return f"{request.param}:{folder}"


@pytest.fixture(scope="module")
def own(name: str) -> ClipEncoder:
    return ClipEncoder(name, device="cpu", precision="float32", templates="plain")


@pytest.fixture(scope="module")
def maps(own: ClipEncoder) -> FeatureMaps:
    return FeatureMaps(own, 16, None, "plain")


@pytest.fixture(scope="module")
def plain() -> ClipEncoder:
    """An encoder that has not learned to group."""
    return ClipEncoder("mini", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def other(plain: ClipEncoder) -> FeatureMaps:
    return FeatureMaps(plain, 64)


def test_layers_are_disjoint_and_start_with_the_whole(
    name: str, own: ClipEncoder, make_picture: MakePicture
) -> None:
    proposer, layers = Groups(own), 3 if name.startswith("pgseg") else 2
    counts = []
    for seed in range(3):
        picture = make_picture(90, 120, seed)
        regions = proposer.propose(picture)
        assert regions[0].layer == 0
        assert regions[0].mask.all()
        assert {region.layer for region in regions} <= {*range(layers)}
        assert len({region.mask.tobytes() for region in regions}) == len(regions)
        for scale in range(layers):
            layer = [region.mask for region in regions if region.layer == scale]
            assert np.sum(layer, axis=0).max() <= 1
        again = proposer.propose(picture)
        assert [r.mask.tobytes() for r in regions] == [r.mask.tobytes() for r in again]
        counts.append(len(regions))
    assert max(counts) > 1


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (5, 700)])
def test_odd_pictures_have_regions(
    own: ClipEncoder, make_picture: MakePicture, size: tuple[int, int]
) -> None:
    regions = Groups(own).propose(make_picture(*size))

    assert regions
    assert all(region.mask.shape == size for region in regions)


def test_plain_picture_has_one_region(own: ClipEncoder) -> None:
    """Its patches differ by their places, but superpixels find no borders."""
    pixels = np.full((60, 80, 3), 7, np.uint8)

    assert len(Groups(own).propose(LoadedPicture(pixels, "plain"))) == 1


@pytest.fixture
def passes(own: ClipEncoder) -> Iterator[list[torch.Size]]:
    """Sizes of the pictures of each forward pass of the encoder, as they happen."""
    sizes: list[torch.Size] = []
    assert isinstance(own.tower, CropTower)
    first = own.tower.visual.conv1
    hook = first.register_forward_hook(
        lambda _layer, inputs, _output: sizes.append(inputs[0].shape)
    )
    yield sizes
    hook.remove()


def test_a_picture_is_encoded_once(
    own: ClipEncoder, passes: list[torch.Size], make_picture: MakePicture
) -> None:
    """Its groups and its feature map are of one pass."""
    extractor = RegionExtractor(Groups(own), PooledFeatures(FeatureMaps(own, 32, None, "plain")))
    pictures = [make_picture(90, 120, seed) for seed in range(2)]
    cut = [extractor.extract(pictures[number]) for number in (0, 1, 0)]

    assert passes == [(1, 3, 32, 44)] * 3
    assert np.array_equal(cut[0].table.vectors, cut[2].table.vectors)
    assert not np.array_equal(cut[0].table.vectors[0], cut[1].table.vectors[0])
    frame = squash(pictures[0].pixels, size_hw=(32, 44))
    alone = own.encode_map(torch.zeros(3, 8, 8), last_block="plain")  # the picture is forgotten
    assert alone.shape[:2] == (2, 2)
    again = own.encode_map(frame, last_block="plain"), own.group_maps(frame)[-1]
    own.group_maps(torch.zeros(3, 8, 8))
    turned = own.group_maps(frame)[-1], own.encode_map(frame, last_block="plain")
    assert all(torch.equal(*pair) for pair in zip(again, turned[::-1], strict=True))


def test_the_cached_picture_is_that_of_the_thread(
    own: ClipEncoder, passes: list[torch.Size]
) -> None:
    """Each thread keeps the groups of its own last picture, whatever others encode meanwhile."""
    first, other = (torch.full((3, 8, 8 * times), 0.5) for times in (1, 2))
    before = own.group_maps(first)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(own.group_maps, other).result(timeout=60)

    after = own.group_maps(first)

    assert passes == [(1, *first.shape), (1, *other.shape)]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_the_encoder_is_shared_where_it_is_the_same(
    name: str, own: ClipEncoder, maps: FeatureMaps, plain: ClipEncoder, other: FeatureMaps
) -> None:
    proposer = parse_proposer(name).build(own, maps, LOAD)
    assert isinstance(proposer, Groups)
    assert proposer.encoder is own

    elsewhere = parse_proposer(name).build(plain, other, LOAD)
    assert isinstance(elsewhere, Groups)
    assert elsewhere.encoder is not other.encoder
    assert elsewhere.encoder.precision == "float32"
    assert elsewhere.fingerprint == proposer.fingerprint


def test_a_folder_is_the_same_by_any_path(
    name: str, own: ClipEncoder, maps: FeatureMaps, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, _, folder = name.partition(":")
    monkeypatch.chdir(Path(folder).parent)

    proposer = parse_proposer(f"{method}:{Path(folder).name}").build(own, maps, LOAD)

    assert isinstance(proposer, Groups)
    assert proposer.encoder is own


def test_groups_combine_with_other_proposers(
    name: str, own: ClipEncoder, maps: FeatureMaps, make_picture: MakePicture
) -> None:
    text = f"superpixels+{name}+clusters"
    assert SEPARATOR.split(text) == ["superpixels", name, "clusters"]
    proposer = parse_proposer(text).build(own, maps, LOAD)
    assert proposer == Combined((Superpixels(), Groups(own), Clusters(maps)))

    picture = make_picture(60, 80)
    regions = proposer.propose(picture)

    assert regions[0].mask.all()
    for number, region in enumerate(regions):
        for earlier in regions[:number]:
            both = (region.mask & earlier.mask).sum()
            assert both <= 0.95 * (region.mask | earlier.mask).sum()
            assert not both or region.layer != earlier.layer
    assert len(regions) >= len(Superpixels().propose(picture))


def test_groups_of_two_models_combine(
    tmp_path: Path, plain: ClipEncoder, other: FeatureMaps
) -> None:
    for method, learned in METHODS.items():
        write_small(tmp_path / method, learned)
    text = f"pgseg:{tmp_path}/pgseg+vilseg:{tmp_path}/vilseg"

    proposer = parse_proposer(text).build(plain, other, LOAD)

    assert isinstance(proposer, Combined)
    assert SEPARATOR.split(text) == [f"{method}:{tmp_path}/{method}" for method in METHODS]
    assert len({part.fingerprint for part in proposer.proposers}) == 2


def test_an_encoder_with_groups_proposes_them_by_default(
    name: str, own: ClipEncoder, plain: ClipEncoder
) -> None:
    assert str(default_proposer(own)) == name
    assert str(default_proposer(plain)) == "superpixels+clusters"


def test_fingerprint_is_of_the_weights(tmp_path: Path, name: str, own: ClipEncoder) -> None:
    method = name.partition(":")[0]
    before = Groups(own).fingerprint
    assert before.startswith("groups-")

    write_small(tmp_path, METHODS[method], seed=1)

    other = ClipEncoder(f"{method}:{tmp_path}", device="cpu", precision="float32")
    assert Groups(other).fingerprint != before


def test_fingerprint_is_of_the_head(tmp_path: Path) -> None:
    fingerprints = set()
    for seed in range(2):
        write_small(tmp_path, METHODS["vilseg"], head_seed=seed)
        encoder = ClipEncoder(f"vilseg:{tmp_path}", device="cpu", precision="float32")
        fingerprints.add(Groups(encoder).fingerprint)

    assert len(fingerprints) == 2


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_raised_before_an_encoder_is_loaded(method: str, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="does not exist"):
        parse_proposer(f"superpixels+{method}:{tmp_path}/none")
    with pytest.raises(WrongInput, match="unknown proposer"):
        parse_proposer(f"{method}:")
    write_small(tmp_path, None)
    with pytest.raises(WrongInput, match=f"is no model of {method}; train one with"):
        parse_proposer(f"{method}:{tmp_path}")
