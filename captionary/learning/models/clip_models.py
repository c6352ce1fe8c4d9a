"""CLIP models: built from an architecture, started from other weights, written for use."""

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

from captionary.files.atomic import remove_drafts, write_atomically
from captionary.learning.models.architectures import Architecture
from captionary.learning.models.byte_pairs import MERGES_FILE, encode_merges
from captionary.schemas.errors import WrongInput, one_line
from captionary.vision.clip.files import CONFIG_FILE, EMBED_KEY, TEMPLATES_KEY
from captionary.vision.grouping.config import GROUPING_KEY, WEIGHTS_FILE, serialize_grouping
from captionary.vision.grouping.pgseg import PgsegTower, build_pgseg
from captionary.vision.grouping.pgseg_stage import PgsegConfig


def build_tokenizer(architecture: Architecture) -> SimpleTokenizer:
    """Build the tokenizer: sentences to (N, context length) int64.

    Raises:
        WrongInput: the model's vocabulary is too small for the usual one.
    """
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
    # open_clip's tokenizer reads merges from a file only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MERGES_FILE
        path.write_bytes(encode_merges(architecture.merges))
        return SimpleTokenizer(bpe_path=str(path), context_length=length)


def build_clip(architecture: Architecture, *, seed: int) -> torch.nn.Module:
    """Build a model with random weights, on the CPU; equal seeds give equal weights.

    Raises:
        WrongInput: the configuration is not one of a CLIP.
    """
    config, grouping = dict(architecture.config), architecture.grouping
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    if "timm_model_name" in config["vision_cfg"]:
        # Else open_clip would download weights that are then trained over.
        config["vision_cfg"] = {**config["vision_cfg"], "timm_model_pretrained": False}
    # On the CPU, whatever the device: its random numbers are the same everywhere.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            model: torch.nn.Module = (
                build_pgseg(config, grouping)
                if isinstance(grouping, PgsegConfig)
                else kind(**config)
            )
        except Exception as error:  # wrong values fail anywhere in the layers' constructors
            raise WrongInput(
                f"the model {architecture.name} cannot be built ({one_line(error)}); check its JSON"
            ) from error
    return model


def float16_state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state dict of a module in float16, on the CPU."""
    return {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in module.state_dict().items()
    }


def load_matching_weights(model: torch.nn.Module, clip: torch.nn.Module, *, name: str) -> None:
    """Load the weights of another model of the same widths, where names match.

    From a plain CLIP, PGSeg's tower takes patches, positions, blocks and norms.

    Raises:
        WrongInput: they do not fit.
    """
    state = dict(clip.state_dict())
    if isinstance(model.visual, PgsegTower) and not isinstance(clip.visual, PgsegTower):
        state = _for_pgseg(state, linear=not model.visual.grouping.projection)
    try:
        left = model.load_state_dict(state, strict=False)
    except RuntimeError:  # shapes differ
        left = None
    # Groups and projectors may be missing: a plain CLIP has none. Blocks may not.
    if left is None or left.unexpected_keys or any("blocks." in key for key in left.missing_keys):
        raise WrongInput(
            f"the weights {name} are of other layers than the model; give others, or a --model "
            "whose widths, blocks and vocabulary are theirs"
        )


def _for_pgseg(state: dict[str, torch.Tensor], *, linear: bool) -> dict[str, torch.Tensor]:
    """The state dict of a plain CLIP by the names that PGSeg's model has for the same weights.

    linear: whether the projector of its tower is a matrix, as that of a plain CLIP.
    """
    state = open_clip.model.convert_to_custom_text_state_dict(state)
    positions, projector = "visual.positional_embedding", "visual.proj"
    if positions in state:  # other towers have none, and are refused when they are loaded
        state[positions] = state[positions][1:]  # without that of the class token
    if projector in state and linear:
        state["visual.projector.weight"] = state[projector].T
    return {
        key.replace("visual.transformer.resblocks.", "visual.blocks."): value
        for key, value in state.items()
        if key not in ("visual.class_embedding", projector)
    }


def write_clip(
    folder: Path,
    clip: torch.nn.Module,
    architecture: Architecture,
    parts: Mapping[str, torch.nn.Module] = MappingProxyType({}),
) -> None:
    """Write a model as `local-dir:` loads it, in float16; a kill leaves whole files only.

    Args:
        folder: it exists.
        clip:   built of the architecture.
        parts:  to write beside it, by the names of their files.
    """
    # In float16: half the size, and what trains goes on from the checkpoint, not from here.
    files = {
        **{name: save(float16_state(module)) for name, module in parts.items()},
        WEIGHTS_FILE: save(float16_state(clip)),
        CONFIG_FILE: (json.dumps(_config(architecture), indent=2) + "\n").encode(),
    }
    if architecture.merges is not None:
        files[MERGES_FILE] = encode_merges(architecture.merges)
    # The configuration comes after the weights: a folder is a model only where it has one.
    for name, content in files.items():
        remove_drafts(folder / name)
        write_atomically(folder / name, content)


def _config(architecture: Architecture) -> dict[str, Any]:
    """What stands in the configuration file of a model: open_clip's keys, and our own."""
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
    if architecture.default_embedding is not None:
        config[EMBED_KEY] = architecture.default_embedding
    if architecture.grouping is not None:
        config[GROUPING_KEY] = serialize_grouping(architecture.grouping)
    return config
