"""Models of an architecture: built, started from the weights of another, written for use."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save

from captionary.files.atomic import write_atomically
from captionary.learning.models.architectures import Architecture
from captionary.learning.models.byte_pairs import MERGES_FILE, merges_file
from captionary.schemas.errors import WrongInput, one_line
from captionary.vision.clip.files import CONFIG_FILE, EMBED_KEY, TEMPLATES_KEY
from captionary.vision.grouping.config import LEARNED_KEY, WEIGHTS_FILE, written_learned
from captionary.vision.grouping.pgseg import PgsegTower, build_pgseg
from captionary.vision.grouping.stage import Grouping


def build_tokenizer(architecture: Architecture) -> SimpleTokenizer:
    """The tokenizer: sentences to (N, context length) int64."""
    length = architecture.config["text_cfg"].get("context_length", 77)
    if architecture.merges is None:
        tokenizer = SimpleTokenizer(context_length=length)
        size = architecture.config["text_cfg"].get("vocab_size", tokenizer.vocab_size)
        if size < tokenizer.vocab_size:
            raise WrongInput(
                f"the model {architecture.name} has vocab_size {size}, too few for the usual "
                f"vocabulary of {tokenizer.vocab_size}; leave it out of the JSON, or use --merges"
            )
        return tokenizer
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MERGES_FILE
        path.write_bytes(merges_file(architecture.merges))
        return SimpleTokenizer(bpe_path=str(path), context_length=length)


def build_clip(architecture: Architecture, *, seed: int) -> torch.nn.Module:
    """A model with random weights, on the CPU; equal seeds give equal weights.

    Raises:
        WrongInput: the configuration is not one of a CLIP.
    """
    config, learned = dict(architecture.config), architecture.learned
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    if "timm_model_name" in config["vision_cfg"]:
        config["vision_cfg"] = {**config["vision_cfg"], "timm_model_pretrained": False}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            model: torch.nn.Module = (
                build_pgseg(config, learned) if isinstance(learned, Grouping) else kind(**config)
            )
        except Exception as error:  # wrong values fail anywhere in the layers' constructors
            raise WrongInput(
                f"the model {architecture.name} cannot be built ({one_line(error)}); check its JSON"
            ) from error
    return model


def halved(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Its weights in float16, on the CPU."""
    return {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in module.state_dict().items()
    }


def take_weights(model: torch.nn.Module, clip: torch.nn.Module, *, name: str) -> None:
    """Start a model from another of the same widths: all weights that it has, too.

    Of a plain CLIP, PGSeg's tower takes patches, positions, blocks and norms.

    Raises:
        WrongInput: they do not fit.
    """
    state = dict(clip.state_dict())
    if isinstance(model.visual, PgsegTower) and not isinstance(clip.visual, PgsegTower):
        state = open_clip.model.convert_to_custom_text_state_dict(state)
        places, projector = "visual.positional_embedding", "visual.proj"
        if places in state:  # other towers have none, and are refused below
            state[places] = state[places][1:]  # without that of the class token
        if projector in state and not model.visual.grouping.projection:
            state["visual.projector.weight"] = state[projector].T
        state = {
            key.replace("visual.transformer.resblocks.", "visual.blocks."): value
            for key, value in state.items()
            if key not in ("visual.class_embedding", projector)
        }
    try:
        left = model.load_state_dict(state, strict=False)
    except RuntimeError:
        left = None
    if left is None or left.unexpected_keys or any("blocks." in key for key in left.missing_keys):
        raise WrongInput(
            f"the weights {name} are of other layers than the model; give others, or a --model "
            "whose widths, blocks and vocabulary are theirs"
        )


def write_clip(
    folder: Path,
    clip: torch.nn.Module,
    architecture: Architecture,
    beside: Mapping[str, torch.nn.Module] = MappingProxyType({}),
) -> None:
    """Write a model as `local-dir:` loads it, in float16; a kill leaves whole files only.

    Args:
        folder: it exists.
        clip:   built of the architecture.
        beside: other parts, by the names of their files.
    """
    config: dict[str, Any] = {
        "model_cfg": architecture.config,
        "preprocess_cfg": {
            "mean": architecture.mean,
            "std": architecture.std,
            "interpolation": "bicubic",
            "resize_mode": "squash",
        },
    }
    if architecture.templates is not None:
        config[TEMPLATES_KEY] = architecture.templates
    if architecture.embed is not None:
        config[EMBED_KEY] = architecture.embed
    if architecture.learned is not None:
        config[LEARNED_KEY] = written_learned(architecture.learned)
    files = {
        **{name: save(halved(module)) for name, module in beside.items()},
        WEIGHTS_FILE: save(halved(clip)),
        CONFIG_FILE: (json.dumps(config, indent=2) + "\n").encode(),
    }
    if architecture.merges is not None:
        files[MERGES_FILE] = merges_file(architecture.merges)
    for name, content in files.items():
        write_atomically(folder / name, content)
