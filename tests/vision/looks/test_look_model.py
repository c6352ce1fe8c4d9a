import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from numpy.testing import assert_allclose
from safetensors.torch import save_file
from torch.nn.functional import pad

from captionary.schemas.errors import WrongInput
from captionary.vision.looks.look_model import LookModel

TRANSFORMER = "vit_small_patch14_reg4_dinov2"
SMALL = {"depth": 3, "embed_dim": 32, "num_heads": 2, "img_size": 56}


def folder_of(path: Path, architecture: str, **arguments: Any) -> str:
    """A model of timm with random weights, in a folder as timm has it."""
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=0, **arguments)
    side = arguments.get("img_size", 64)
    config = {
        "architecture": architecture,
        "num_classes": 0,
        "num_features": model.num_features,
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [3, side, side],
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.25, 0.3],
            "num_classes": 0,
        },
    }
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path / "model.safetensors")
    return f"local-dir:{path}"


def loaded(name: str, block: int | None = None) -> LookModel:
    return LookModel(name, block=block, device="cpu", precision="float32")


@pytest.fixture
def transformer(tmp_path: Path) -> str:
    return folder_of(tmp_path / "vit", TRANSFORMER, **SMALL)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]))
    return ((pixels - mean) / std)[None]


def test_patch_tokens_stand_in_their_places_without_class_token_and_registers(
    transformer: str,
) -> None:
    model = loaded(transformer)
    assert (model.dim, model.patch, model.input_side, model.has_attention) == (32, 14, 56, True)
    plain: Any = timm.create_model(transformer, pretrained=True, dynamic_img_size=True).eval()
    for height, width in ((56, 56), (42, 84)):
        pixels = torch.rand(3, height, width)
        with torch.inference_mode():
            tokens = plain.forward_features(normalised(pixels))[0, plain.num_prefix_tokens :]
        found = model.encode_map(pixels, last_block="plain")
        assert found.shape == (height // 14, width // 14, 32)
        assert_allclose(found.reshape(-1, 32), tokens, atol=1e-5)


def test_a_block_is_taken_where_it_is_named(transformer: str) -> None:
    plain: Any = timm.create_model(transformer, pretrained=True, dynamic_img_size=True).eval()
    pixels = torch.rand(3, 56, 56)
    with torch.inference_mode():
        *_, cells = plain.forward_intermediates(
            normalised(pixels), indices=[1], norm=False, intermediates_only=True
        )
    found = loaded(transformer, 1).encode_map(pixels, last_block="plain")
    assert_allclose(found, cells[0].permute(1, 2, 0), atol=1e-5)
    assert loaded(transformer, 1).fingerprint != loaded(transformer).fingerprint


def test_cells_of_a_convolutional_tower_see_their_own_place() -> None:
    model = loaded("look-lite0")
    assert (model.dim, model.patch, model.has_attention) == (1280, 32, False)
    pixels = torch.full((3, 320, 320), 0.5)
    pixels[:, :64, :64] = torch.rand(3, 64, 64)
    changed = model.encode_map(pixels, last_block="plain")
    blank = model.encode_map(torch.full((3, 320, 320), 0.5), last_block="plain")
    moved = (changed - blank).norm(dim=2)
    assert moved[:2, :2].mean() > 10 * moved[-2:, -2:].mean()


def test_folding_of_norms_changes_nothing() -> None:
    model = loaded("look-lite0")
    from captionary.vision.looks.files import load_vision_model

    pixels = torch.rand(3, 96, 128)
    plain = load_vision_model("look-lite0")
    with torch.inference_mode():
        cells = plain.forward_features(((pixels - 127 / 255) / (128 / 255))[None])[0]
    found = model.encode_map(pixels, last_block="plain")
    assert_allclose(found.permute(2, 0, 1), cells, atol=1e-2 * float(cells.abs().max()))


def test_channels_last_and_padded_maps_are_understood(tmp_path: Path) -> None:
    name = folder_of(
        tmp_path / "convnext", "convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 8, 16)
    )
    model = loaded(name)
    assert (model.dim, model.patch) == (16, 32)
    wide = torch.rand(3, 64, 96)
    assert model.encode_map(wide, last_block="plain").shape == (2, 3, 16)
    assert model.encode_map(pad(wide, (0, 32)), last_block="plain").shape == (2, 4, 16)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("local-dir:nowhere", "does not exist"),
        ("efficientnet_lite9", "near it: "),
        ("mini", "unknown look model"),
    ],
)
def test_what_is_no_model_is_refused(name: str, said: str) -> None:
    with pytest.raises(WrongInput, match=said):
        loaded(name)


def test_what_a_folder_lacks_is_said(transformer: str) -> None:
    folder = Path(transformer.removeprefix("local-dir:"))
    with pytest.raises(WrongInput, match="no block 7"):
        loaded(transformer, 7)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(WrongInput, match="cannot be loaded"):
        loaded(transformer)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WrongInput, match="no weights"):
        loaded(transformer)
    (folder / "config.json").write_text('{"architecture": "resnet_of_mine"}')
    with pytest.raises(WrongInput, match="timm has not"):
        loaded(transformer)
    (folder / "config.json").write_text("[]")
    with pytest.raises(WrongInput, match="not the configuration"):
        loaded(transformer)
    (folder / "config.json").unlink()
    with pytest.raises(WrongInput, match=r"no config\.json"):
        loaded(transformer)


def test_a_model_of_one_size_is_refused(tmp_path: Path) -> None:
    name = folder_of(tmp_path / "mixer", "mixer_s32_224", img_size=64)
    with pytest.raises(WrongInput, match=r"one size only|any size"):
        loaded(name)
