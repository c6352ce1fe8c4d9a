"""Of tiny SAMs with random weights, saved and loaded as those that people use."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.plan import parse_proposer
from captionary.vision.proposers.sam import Sam, Thresholds, point_grid, stability
from captionary.vision.proposers.sam_files import find_sam

hf = pytest.importorskip("transformers", reason="needs captionary[sam]")

from tests.vision.proposers.tiny_sams import (  # noqa: E402
    publish_sam2,
    publish_sam3,
    save_sam1,
    save_sam2,
    save_sam3,
)

CPU = torch.device("cpu")
ANY = Thresholds(points_per_side=4, min_iou=-100, min_stability=0)
"""Lets almost all masks through: random weights make no good ones."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models, to be read only."""
    folder = tmp_path_factory.mktemp("models")
    save_sam1(folder / "sam1")
    save_sam2(folder / "sam2")
    save_sam3(folder / "sam3")
    publish_sam2(folder / "sam2", folder / "sam2_published")
    publish_sam3(folder / "sam3", folder / "sam3_published")
    return folder


@pytest.fixture(scope="module", params=["sam1", "sam2", "sam3", "sam2_published", "sam3_published"])
def folder(request: pytest.FixtureRequest, models: Path) -> Path:
    return models / str(request.param)


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """A SAM 2 to be spoilt."""
    return Path(shutil.copytree(models / "sam2", tmp_path / "copied"))


def sam(folder: Path, thresholds: Thresholds = ANY) -> Sam:
    return Sam(find_sam(str(folder)), device=CPU, thresholds=thresholds)


def noise(height: int, width: int, seed: int = 0) -> LoadedPicture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels.setflags(write=False)  # as those of a picture from a file
    return LoadedPicture(pixels, "noise")


def masks_of(proposer: Sam, picture: LoadedPicture) -> list[bytes]:
    return [region.mask.tobytes() for region in proposer.propose(picture)]


def test_regions_of_a_picture(folder: Path) -> None:
    picture = noise(60, 90)
    regions = sam(folder).propose(picture)
    assert len(regions) > 5
    assert regions[0].mask.all()
    assert regions[0].layer == 0
    for region in regions:
        assert region.mask.shape == (60, 90)
        assert region.mask.dtype == np.bool_
    for region in regions[1:]:
        assert ANY.min_area / 2 < region.area < 0.97
    for scale in {region.layer for region in regions}:
        layer = np.array([region.mask for region in regions if region.layer == scale])
        assert layer.sum(axis=0).max() == 1


def test_the_same_each_time_and_from_several_threads(folder: Path) -> None:
    proposer, pictures = sam(folder), [noise(20, 30, seed) for seed in range(2)]
    expected = [masks_of(proposer, picture) for picture in pictures]
    assert [masks_of(sam(folder), picture) for picture in pictures] == expected
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda it: masks_of(proposer, it), 2 * pictures)) == 2 * expected


@pytest.mark.parametrize("size", [(12, 16), (16, 5)])
@pytest.mark.parametrize("name", ["sam1", "sam2", "sam3"])
def test_masks_equal_those_of_the_library_at_the_same_points(
    models: Path, name: str, size: tuple[int, int]
) -> None:
    picture = noise(*size)
    regions = sam(models / name, Thresholds(4, -100, 0, same_iou=1, min_area=0)).propose(picture)
    processor = hf.AutoProcessor.from_pretrained(models / name)
    points = [[point] for point in point_grid(4, size).tolist()]
    inputs = processor(images=picture.pixels.copy(), input_points=[points], return_tensors="pt")
    expected = masks_of_library(models / name, processor, inputs)
    wanted = [mask for mask in expected if 0 < mask.mean() <= 0.95]
    assert sorted(region.mask.tobytes() for region in regions[1:]) == sorted(
        mask.tobytes() for mask in wanted
    )


def masks_of_library(folder: Path, processor: Any, inputs: Any) -> np.ndarray:
    """(N, H, W) bool: all masks, by what transformers' manual says for single points."""
    model = hf.AutoModelForMaskGeneration.from_pretrained(folder)
    sizes = {key: inputs.pop(key) for key in [*inputs] if key.endswith("sizes")}
    with torch.inference_mode():
        logits = model(**inputs).pred_masks
    masks = processor.post_process_masks(logits, *sizes.values())[0]
    return np.asarray(masks.flatten(0, 1).numpy())


def test_published_layouts_hold_the_same_model(models: Path) -> None:
    picture = noise(30, 40)
    for name in ("sam2", "sam3"):
        published = sam(models / f"{name}_published")
        assert masks_of(published, picture) == masks_of(sam(models / name), picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (300, 1), (3, 40)])
def test_odd_pictures_have_regions(models: Path, size: tuple[int, int]) -> None:
    for name in ("sam1", "sam2", "sam3"):
        regions = sam(models / name).propose(noise(*size))
        assert regions[0].mask.all()
        assert all(region.mask.shape == size for region in regions)


def test_thresholds_leave_masks_out(models: Path) -> None:
    picture = noise(30, 40)

    def count(**changed: float) -> int:
        limits = {"min_iou": -100.0, "min_stability": 0.0, "same_iou": 1.0, "min_area": 0.0}
        return len(sam(models / "sam2", Thresholds(4, **{**limits, **changed})).propose(picture))

    everything = count()
    assert everything > 20
    assert count(min_iou=100) == 1
    for stricter in ({"min_iou": 0.3}, {"same_iou": 0.6}, {"min_area": 0.4}):
        assert 1 < count(**stricter) < everything
    assert count(min_stability=0.99) < everything


def test_fingerprint_follows_the_model_and_the_thresholds(models: Path, copied: Path) -> None:
    base = sam(models / "sam2").fingerprint
    assert base.startswith("sam-")
    assert sam(copied).fingerprint == base
    assert sam(copied, Thresholds(points_per_side=5)).fingerprint != base
    weights = load_file(copied / "model.safetensors")
    weights["no_memory_embedding"] += 1e-3
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert sam(copied).fingerprint != base


def test_fingerprint_follows_the_preprocessing(models: Path, copied: Path) -> None:
    processor = copied / "processor_config.json"
    processor.write_text(processor.read_text().replace("0.485", "0.5"))
    assert sam(copied).fingerprint != sam(models / "sam2").fingerprint


def test_loading_is_silent(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = hf.utils.logging.get_verbosity()
    sam(models / "sam3_published").propose(noise(20, 20))
    assert capfd.readouterr() == ("", "")
    assert hf.utils.logging.get_verbosity() == before
    assert hf.utils.logging.is_progress_bar_enabled()


def error_message(folder: Path) -> str:
    with pytest.raises(WrongInput) as caught:
        sam(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_weights(copied: Path) -> None:
    file = copied / "model.safetensors"
    weights = load_file(file)
    lacking = {name: weight for name, weight in weights.items() if "iou_token" not in name}
    save_file(lacking, file, {"format": "pt"})
    assert "lacks 1 of the model's weights, mask_decoder.iou_token" in error_message(copied)
    weights["mask_decoder.iou_token.weight"] = torch.zeros(1, 16)
    save_file(weights, file, {"format": "pt"})
    assert "cannot be loaded" in error_message(copied)
    file.write_bytes(file.read_bytes()[:10_000])
    assert "cannot be loaded" in error_message(copied)


def test_damaged_configuration(copied: Path) -> None:
    config = copied / "config.json"
    config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": "many"'))
    assert "cannot be loaded" in error_message(copied)


def test_parse_proposer(models: Path) -> None:
    encoder = ClipEncoder("mini", device="cpu", precision="float32")
    proposer = parse_proposer(f"sam:{models / 'sam2'}").build(
        encoder, FeatureMaps(encoder, 64), ClipEncoder
    )
    assert isinstance(proposer, Sam)
    assert proposer.fingerprint == sam(models / "sam2", Thresholds()).fingerprint


def test_grid_is_even_over_the_whole_frame() -> None:
    points = point_grid(4, (8, 80))
    assert points.shape == (16, 2)
    assert sorted(set(points[:, 0].tolist())) == [10, 30, 50, 70]
    assert sorted(set(points[:, 1].tolist())) == [1, 3, 5, 7]
    assert len({tuple(point) for point in points.tolist()}) == 16


def test_stability_is_the_overlap_of_two_thresholds() -> None:
    logits = torch.randn(5, 6, 7, generator=torch.Generator().manual_seed(0)) * 2
    logits[4] = -9
    expected = [
        float(((row > 1) & (row > -1)).sum()) / max(1, int(((row > 1) | (row > -1)).sum()))
        for row in logits
    ]
    assert stability(logits).tolist() == pytest.approx(expected)
    assert stability(logits)[4] == 0
