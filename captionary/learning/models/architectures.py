"""Architectures of CLIP: read from configurations, and given a vocabulary."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import open_clip
import torch

from captionary.learning.models.byte_pairs import MERGES_FILE, Merge, learn_merges, vocabulary_size
from captionary.schemas.errors import WrongInput, one_line
from captionary.vision.clip.files import EMBED_KEY, ClipFiles, load_tokenizer
from captionary.vision.grouping.cluster_head import VilsegConfig
from captionary.vision.grouping.config import (
    GROUPING_KEY,
    GroupingConfig,
    parse_grouping,
    serialize_grouping,
)

CONFIGS = Path(__file__).with_name("configs")
MEAN = STD = (0.5, 0.5, 0.5)
UNSUPPORTED = {"multimodal_cfg", "init_logit_bias", "hf_model_name", "hf_tokenizer_name"}
MERGES = 2000
"""Merges that are learned by default."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Layers and vocabulary of a model.

    name:   as the user named it.
    config: as open_clip's model configurations; its `text_cfg` has no `vocab_size` where a
        vocabulary is still to be learned.
    merges: the vocabulary; None: that of open_clip.
    mean, std: of each colour, in [0, 1]: how pictures are normalised for it.
    templates: sentences that class names are put in; None: the encoder's default. A model
        trained from nothing knows none of those that were made for photographs.
    default_embedding: how regions are best embedded by it; None: as by others.
    grouping:  how it learns to group patches; None: it does not.
    """

    name: str
    config: Mapping[str, Any]
    merges: tuple[Merge, ...] | None = None
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    templates: str | None = "plain"
    default_embedding: str | None = None
    grouping: GroupingConfig | None = None

    @property
    def input_size_hw(self) -> tuple[int, int]:
        """Height and width of its input, in pixels."""
        size = self.config["vision_cfg"].get("image_size", 224)
        height, width = (size, size) if isinstance(size, int) else size
        return int(height), int(width)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that differ where architectures do."""
        # Models that do not group have the digest that they had before any did.
        grouping = [] if self.grouping is None else [serialize_grouping(self.grouping)]
        text = json.dumps([self.config, self.merges, *grouping], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def read_architecture(name: str) -> Architecture:
    """Read the architecture of a name: `mini`, a name of open_clip, or a JSON file.

    Beside the configuration of a CLIP a file may have `captionary_groups` (parse_grouping) and
    `captionary_embed`.

    Raises:
        WrongInput: there is none, or it is none that can be trained here.
    """
    own = CONFIGS / f"{name}.json"
    if name.endswith(".json") or own.is_file():
        config, grouping, embedding = _read_json(Path(name) if name.endswith(".json") else own)
    else:
        grouping = embedding = None
        known = name.replace("/", "-")
        config = {}
        if known in open_clip.list_models():  # other names open_clip takes for addresses
            config = open_clip.get_model_config(known) or {}
    if not config:
        raise WrongInput(
            f"unknown model {name!r}; give mini, an architecture of open_clip (ViT-B-32) or a "
            "JSON file"
        )
    _validate(name, config, grouping)
    return Architecture(name, config, default_embedding=embedding, grouping=grouping)


def architecture_of_model(name: str, files: ClipFiles, clip: torch.nn.Module) -> Architecture:
    """The architecture of an existing model, to go on from.

    Args:
        name: as the user named it.
        files, clip: as `captionary.vision.clip.files` finds and loads them.

    Raises:
        WrongInput: it is none that can be trained here, or its vocabulary does not fit.
    """
    config, text = dict(files.config), dict(files.config["text_cfg"])
    _validate(name, config, files.grouping)
    # Of released models open_clip knows it by the name of their weights, which the new ones lack.
    config["quick_gelu"] = files.quick_gelu or bool(config.get("quick_gelu"))
    merges = None if files.merges is None else tuple(load_tokenizer(files).bpe_ranks)
    if merges is not None:
        config["text_cfg"] = {**text, "tokenizer_kwargs": {"bpe_path": MERGES_FILE}}
    own = open_clip.get_model_preprocess_cfg(clip)
    mean, std = tuple(own["mean"]), tuple(own["std"])
    return Architecture(
        name, config, merges, mean, std, files.templates, files.default_embedding, files.grouping
    )


def _validate(name: str, config: Mapping[str, Any], grouping: GroupingConfig | None) -> None:
    if UNSUPPORTED & {*config, *config["text_cfg"]}:
        raise WrongInput(f"the model {name} is no plain CLIP and cannot be trained; choose another")
    size = config["vision_cfg"].get("image_size", 224)
    sides = size if isinstance(size, list | tuple) and len(size) == 2 else (size,)
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise WrongInput(
            f"the model {name} has image_size {size!r}; give one or two sides in pixels"
        )
    if isinstance(grouping, VilsegConfig) and config["vision_cfg"].get("pool_type") != "avg":
        raise WrongInput(
            f"the model {name} clusters patches, whose mean has to be the picture's vector; "
            'give it "pool_type": "avg"'
        )


def _read_json(path: Path) -> tuple[Mapping[str, Any], GroupingConfig | None, str | None]:
    """Read the file of an architecture, or of a whole model but for its own vocabulary."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        config = dict(written.get("model_cfg", written))
        groups = config.pop(GROUPING_KEY, written.get(GROUPING_KEY))
        embedding = config.pop(EMBED_KEY, written.get(EMBED_KEY))
        text = dict(config["text_cfg"])
        # A model of our own names its vocabulary here; what is built of its layers learns another.
        if text.pop("tokenizer_kwargs", None):
            text.pop("vocab_size", None)
        config = {**config, "vision_cfg": dict(config["vision_cfg"]), "text_cfg": text}
        return config, None if groups is None else parse_grouping(groups), embedding
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongInput(
            f"cannot read the architecture {path} ({one_line(error)}); give a JSON file like "
            "those of open_clip"
        ) from error


def take_text_settings(architecture: Architecture, other: Architecture) -> Architecture:
    """The architecture with text tower and pixel statistics of another, to load its weights."""
    own = {"text_cfg": other.config["text_cfg"], "quick_gelu": other.config["quick_gelu"]}
    return replace(
        architecture,
        config={**architecture.config, **own},
        merges=other.merges,
        mean=other.mean,
        std=other.std,
        templates=other.templates,
    )


def add_vocabulary(
    architecture: Architecture, captions: Iterable[str], merges: int | None
) -> Architecture:
    """The architecture with a vocabulary: open_clip's, or one learned from captions.

    Args:
        architecture: as read.
        captions:     read only where a vocabulary is to be learned.
        merges:       how many to learn at most; None: MERGES where it has no vocabulary.
    """
    config, text = architecture.config, architecture.config["text_cfg"]
    if merges is None and "vocab_size" in text:
        return architecture
    learned = tuple(learn_merges(captions, MERGES if merges is None else merges))
    own = {"vocab_size": vocabulary_size(learned), "tokenizer_kwargs": {"bpe_path": MERGES_FILE}}
    return replace(architecture, config={**config, "text_cfg": {**text, **own}}, merges=learned)
