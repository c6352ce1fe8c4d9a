"""Encoders made here, of one layer and random weights: no files but the test's own are needed."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from captionary.vision.clip.encoder import ClipEncoder

TEXT = {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
VISION = {"image_size": [32, 48], "patch_size": 16, "width": 32, "head_width": 16, "layers": 1}
MODELS = {
    "vit": {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True},
    "resnet": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
        "text_cfg": TEXT,
    },
    "reads padding": {
        "embed_dim": 24,
        "vision_cfg": VISION,
        "text_cfg": TEXT | {"no_causal_mask": True},
        "custom_text": True,
    },
    "coca": {  # its tower returns more than the picture's vector
        "embed_dim": 24,
        "vision_cfg": VISION
        | {"attentional_pool": True, "attn_pooler_heads": 2}
        | {"output_tokens": True},
        "text_cfg": TEXT | {"embed_cls": True, "output_tokens": True},
        "multimodal_cfg": TEXT | {"attn_pooler_heads": 2},
        "custom_text": True,
    },
}


@pytest.fixture(params=MODELS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder in open_clip's local-dir layout."""
    config = {
        "model_cfg": MODELS[request.param],
        "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(5)
    model = open_clip.create_model(f"local-dir:{tmp_path}")
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    return tmp_path


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vectors_equal_open_clip(folder: Path, precision: str) -> None:
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    encoder = ClipEncoder(
        f"local-dir:{folder}", device="cpu", precision=precision, templates="plain"
    )
    pictures = torch.rand(11, 3, *encoder.input_size_hw)
    colour, spread = (torch.tensor(v).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a photo of a cat."])
    with torch.inference_mode():
        images = model.encode_image((pictures - colour) / spread, normalize=True).numpy()
        texts = model.encode_text(tokens, normalize=True).numpy()
    tolerance = 1e-5 if precision == "float32" else 0.05
    np.testing.assert_allclose(encoder.encode_images(pictures), images, atol=tolerance)
    np.testing.assert_allclose(encoder.encode_texts(["cat"]), texts, atol=tolerance)
    assert encoder.dim == 24
    assert encoder.mean == (0.4, 0.5, 0.6)
