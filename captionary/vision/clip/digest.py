"""Digests of models, for fingerprints: they follow the content, and no name or place."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import open_clip
import torch

from captionary.vision.clip.files import ClipFiles
from captionary.vision.grouping.cluster_head import ClusterHead

ORIGIN_KEYS = ("timm_model_pretrained", "hf_model_pretrained")
"""Entries of a configuration that only say where first weights came from."""


def clip_digest(model: torch.nn.Module, files: ClipFiles, head: ClusterHead | None = None) -> str:
    """Digest of configuration, preprocessing, vocabulary and every weight: independent of names.

    Args:
        model, files: as `load_clip` and `find_clip` return them.
        head:         the cluster head that the model has beside it.

    Returns:
        12 hexadecimal digits.
    """
    facts: dict[str, Any] = {
        "config": without_keys(files.config, ORIGIN_KEYS),
        "quick_gelu": files.quick_gelu,
    }
    if files.grouping is not None:
        facts["learned"] = asdict(files.grouping)  # stores were written with this key
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    if files.merges is not None:
        digest.update(files.merges.read_bytes())
    preprocess = open_clip.get_model_preprocess_cfg(model)
    digest.update(repr((preprocess["mean"], preprocess["std"], preprocess["size"])).encode())
    update_with_weights(digest, model)
    if head is not None:
        update_with_weights(digest, head)
    return digest.hexdigest()[:12]


def update_with_weights(digest: "hashlib._Hash", model: torch.nn.Module) -> None:
    """Feed every weight and buffer of a model to a digest, with its name, type and shape."""
    # By name: the order of a state dict is that in which a model's code makes its modules.
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def without_keys(config: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A nested configuration without some of its entries, at any depth."""
    return {
        key: without_keys(value, keys) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in keys
    }
