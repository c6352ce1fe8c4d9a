"""Architectures of CLIP: read, and given a vocabulary."""

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
from captionary.vision.grouping.config import LEARNED_KEY, Learned, read_learned, written_learned
from captionary.vision.grouping.vilseg import Clustering

CONFIGS = Path(__file__).with_name("configs")
MEAN = STD = (0.5, 0.5, 0.5)
UNSUPPORTED = {"multimodal_cfg", "init_logit_bias", "hf_model_name", "hf_tokenizer_name"}
MERGES = 2000
"""Merges that are learned unless told."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What is built: layers and vocabulary.

    name:   as it was given.
    config: as open_clip's model configurations; its `text_cfg` has no `vocab_size` where a
        vocabulary is still to be learned.
    merges: the vocabulary; None: that of open_clip.
    mean, std: of each colour, in [0, 1]: how pictures are normalised for it.
    templates: the sentences that it is to be asked in; None: the encoder's usual ones. A model
        trained from nothing knows none of those that were made for photographs.
    embed:     how regions are best embedded by it; None: as by any other.
    learned:   how it groups by itself; None: it does not.
    """

    name: str
    config: Mapping[str, Any]
    merges: tuple[Merge, ...] | None = None
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    templates: str | None = "plain"
    embed: str | None = None
    learned: Learned | None = None

    @property
    def input_size_hw(self) -> tuple[int, int]:
        """Height and width of the pictures that it takes."""
        size = self.config["vision_cfg"].get("image_size", 224)
        height, width = (size, size) if isinstance(size, int) else size
        return int(height), int(width)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that differ where architectures do."""
        learned = [] if self.learned is None else [written_learned(self.learned)]
        text = json.dumps([self.config, self.merges, *learned], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def read_architecture(name: str) -> Architecture:
    """The architecture of a name: `mini`, a name of open_clip, or a JSON file.

    Beside the configuration of a CLIP a file may have `captionary_groups` (read_learned) and
    `captionary_embed`.

    Raises:
        WrongInput: there is none, or it is none that can be trained here.
    """
    own = CONFIGS / f"{name}.json"
    if name.endswith(".json") or own.is_file():
        config, learned, embed = _read_json(Path(name) if name.endswith(".json") else own)
    else:
        learned = embed = None
        known = name.replace("/", "-")
        config = {}
        if known in open_clip.list_models():  # other names it takes for addresses
            config = open_clip.get_model_config(known) or {}
    if not config:
        raise WrongInput(
            f"unknown model {name!r}; give mini, an architecture of open_clip (ViT-B-32) or a "
            "JSON file"
        )
    _check(name, config, learned)
    return Architecture(name, config, embed=embed, learned=learned)


def architecture_of(name: str, files: ClipFiles, clip: torch.nn.Module) -> Architecture:
    """The architecture of a model that is there already, to go on from.

    Args:
        name: as it was given.
        files, clip: as found and loaded (vision.clip.files).

    Raises:
        WrongInput: it is none that can be trained here, or its vocabulary does not fit.
    """
    config, text = dict(files.config), dict(files.config["text_cfg"])
    _check(name, config, files.learned)
    config["quick_gelu"] = files.quick_gelu or bool(config.get("quick_gelu"))
    merges = None if files.merges is None else tuple(load_tokenizer(files).bpe_ranks)
    if merges is not None:
        config["text_cfg"] = {**text, "tokenizer_kwargs": {"bpe_path": MERGES_FILE}}
    own = open_clip.get_model_preprocess_cfg(clip)
    mean, std = tuple(own["mean"]), tuple(own["std"])
    return Architecture(
        name, config, merges, mean, std, files.templates, files.embed, files.learned
    )


def _check(name: str, config: Mapping[str, Any], learned: Learned | None) -> None:
    if UNSUPPORTED & {*config, *config["text_cfg"]}:
        raise WrongInput(f"the model {name} is no plain CLIP and cannot be trained; choose another")
    size = config["vision_cfg"].get("image_size", 224)
    sides = size if isinstance(size, list | tuple) and len(size) == 2 else (size,)
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise WrongInput(
            f"the model {name} has image_size {size!r}; give one or two sides in pixels"
        )
    if isinstance(learned, Clustering) and config["vision_cfg"].get("pool_type") != "avg":
        raise WrongInput(
            f"the model {name} clusters patches, whose mean has to be the picture's vector; "
            'give it "pool_type": "avg"'
        )


def _read_json(path: Path) -> tuple[Mapping[str, Any], Learned | None, str | None]:
    """An architecture's file, or that of a whole model, without the vocabulary of its own."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        config = dict(written.get("model_cfg", written))
        groups = config.pop(LEARNED_KEY, written.get(LEARNED_KEY))
        embed = config.pop(EMBED_KEY, written.get(EMBED_KEY))
        text = dict(config["text_cfg"])
        if text.pop("tokenizer_kwargs", None):
            text.pop("vocab_size", None)
        config = {**config, "vision_cfg": dict(config["vision_cfg"]), "text_cfg": text}
        return config, None if groups is None else read_learned(groups), embed
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongInput(
            f"cannot read the architecture {path} ({one_line(error)}); give a JSON file like "
            "those of open_clip"
        ) from error


def like(architecture: Architecture, other: Architecture) -> Architecture:
    """The architecture with what another says of texts and colours, to take its weights."""
    own = {"text_cfg": other.config["text_cfg"], "quick_gelu": other.config["quick_gelu"]}
    return replace(
        architecture,
        config={**architecture.config, **own},
        merges=other.merges,
        mean=other.mean,
        std=other.std,
        templates=other.templates,
    )


def with_vocabulary(
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
