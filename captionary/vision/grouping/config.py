"""Models that have learned to group: what their folder says of it, and how they are loaded."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import open_clip
from safetensors.torch import load_file

from captionary.vision.grouping.pgseg import build_pgseg
from captionary.vision.grouping.stage import Grouping
from captionary.vision.grouping.vilseg import ClusterHead, Clustering

LEARNED_KEY = "captionary_groups"
"""Names, in a model's configuration file, by which method it groups, and how."""

HEAD_FILE = "cluster_head.safetensors"
WEIGHTS_FILE = "open_clip_model.safetensors"

Learned: TypeAlias = Grouping | Clustering
METHODS: Mapping[str, type[Grouping] | type[Clustering]] = {
    "pgseg": Grouping,
    "vilseg": Clustering,
}


def method_of(learned: Learned) -> str:
    """The name of its method."""
    return next(name for name, kind in METHODS.items() if isinstance(learned, kind))


def read_learned(written: Mapping[str, Any]) -> Learned:
    """How a model groups, as a configuration file has it: `{"method": "pgseg", ...}`.

    Raises:
        KeyError, TypeError, ValueError: it says no such thing.
    """
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in dict(written).items()
    }
    return METHODS[settings.pop("method")](**settings)


def written_learned(learned: Learned) -> dict[str, Any]:
    """What `read_learned` reads."""
    return {"method": method_of(learned), **asdict(learned)}


def load_pgseg(
    folder: Path, config: Mapping[str, Any], preprocess: Mapping[str, Any], grouping: Grouping
) -> open_clip.CustomTextCLIP:
    """PGSeg's model of a folder, in float32 on the CPU.

    Raises:
        Exception: the files are damaged, or do not fit the configuration.
    """
    model = build_pgseg(config, grouping)
    model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    open_clip.set_model_preprocess_cfg(model, {**preprocess, "size": model.visual.image_size})
    return model.float()


def load_head(folder: Path, width: int, clustering: Clustering) -> ClusterHead:
    """ViL-Seg's clustering head of a folder, in float32 on the CPU.

    Raises:
        Exception: the file is missing, damaged, or does not fit the configuration.
    """
    head = ClusterHead(width, clustering.clusters)
    head.load_state_dict(load_file(folder / HEAD_FILE))
    return head.float()
