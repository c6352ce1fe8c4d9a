"""Models with a learned grouping: the entry in their configuration file, and their own weights."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import open_clip
from safetensors.torch import load_file

from captionary.vision.grouping.cluster_head import ClusterHead, VilsegConfig
from captionary.vision.grouping.pgseg import build_pgseg
from captionary.vision.grouping.pgseg_stage import PgsegConfig

GROUPING_KEY = "captionary_groups"
"""Key in a model's configuration file: the method by which it groups, and that method's fields."""

HEAD_FILE = "cluster_head.safetensors"
WEIGHTS_FILE = "open_clip_model.safetensors"

GroupingConfig: TypeAlias = PgsegConfig | VilsegConfig
GROUPING_METHODS: Mapping[str, type[PgsegConfig] | type[VilsegConfig]] = {
    "pgseg": PgsegConfig,
    "vilseg": VilsegConfig,
}


def method_name(grouping: GroupingConfig) -> str:
    """Return the name of the method whose configuration it is."""
    return next(name for name, kind in GROUPING_METHODS.items() if isinstance(grouping, kind))


def parse_grouping(entry: Mapping[str, Any]) -> GroupingConfig:
    """Parse the entry of a configuration file: `{"method": "pgseg", ...}`.

    Raises:
        KeyError, TypeError, ValueError: it is not such an entry.
    """
    settings: dict[str, Any] = {
        # JSON has lists only, and the configurations are compared and hashed.
        name: tuple(value) if isinstance(value, list) else value
        for name, value in dict(entry).items()
    }
    return GROUPING_METHODS[settings.pop("method")](**settings)


def serialize_grouping(grouping: GroupingConfig) -> dict[str, Any]:
    """Return the entry that `parse_grouping` reads."""
    return {"method": method_name(grouping), **asdict(grouping)}


def load_pgseg(
    folder: Path, config: Mapping[str, Any], preprocess: Mapping[str, Any], grouping: PgsegConfig
) -> open_clip.CustomTextCLIP:
    """Load PGSeg's model from a folder, in float32 on the CPU.

    Raises:
        Exception: the files are damaged, or do not fit the configuration.
    """
    model = build_pgseg(config, grouping)
    model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    open_clip.set_model_preprocess_cfg(model, {**preprocess, "size": model.visual.image_size})
    return model.float()


def load_head(folder: Path, width: int, clustering: VilsegConfig) -> ClusterHead:
    """Load ViL-Seg's cluster head from a folder, in float32 on the CPU.

    Raises:
        Exception: the file is missing, damaged, or does not fit the configuration.
    """
    head = ClusterHead(width, clustering.clusters)
    head.load_state_dict(load_file(folder / HEAD_FILE))
    return head.float()
