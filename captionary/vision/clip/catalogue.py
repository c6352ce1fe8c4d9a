"""The models that `captionary models` recommends, as data, and the names of all others.

Sizes are those of the weights in float32: open_clip's own parameter counts times four bytes.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What to know of a model before downloading it.

    name:     as given to `--encoder`: MODEL/TAG of open_clip, or the name of a bundled model; of
        look models as given to `--looks`: of timm, or bundled.
    dim:      length of its vectors.
    licence:  of the weights.
    size_mb:  of the weights in float32, in millions of bytes.
    good_for: when to choose it.
    """

    name: str
    dim: int
    licence: str
    size_mb: int
    good_for: str


DEFAULT_ENCODER = "ViT-B-16/openai"

# Data, so that `captionary models` prints it without loading torch or open_clip.
CATALOGUE = {
    model.name: model
    for model in (
        ModelCard(DEFAULT_ENCODER, 512, "MIT", 598, "photographs; the default"),
        ModelCard("ViT-B-32/laion2b_s34b_b79k", 512, "MIT", 605, "speed: a quarter of the work"),
        ModelCard("ViT-B-16/datacomp_xl_s13b_b90k", 512, "MIT", 598, "photographs, newer data"),
        ModelCard("ViT-L-14/openai", 768, "MIT", 1710, "quality, on a GPU"),
        ModelCard("ViT-L-14/datacomp_xl_s13b_b90k", 768, "MIT", 1710, "quality, newer data"),
        ModelCard("mini", 192, "Apache-2.0", 9, "drawn pictograms only; comes with it"),
        ModelCard("pgseg-mini", 192, "Apache-2.0", 11, "the same; groups as PGSeg has learned it"),
        ModelCard("vilseg-mini", 192, "Apache-2.0", 9, "the same; groups as ViL-Seg has"),
    )
}

DEFAULT_LOOKS = "look-lite0"

# Names of timm, for `--looks`.
LOOK_MODELS = {
    model.name: model
    for model in (
        ModelCard(DEFAULT_LOOKS, 1280, "Apache-2.0", 14, "the default; comes with it"),
        ModelCard(
            "tf_efficientnet_lite2.in1k",
            1280,
            "Apache-2.0",
            19,
            "on a CPU, no better",
        ),
        ModelCard("vit_small_patch14_reg4_dinov2.lvd142m", 384, "Apache-2.0", 88, "on a GPU"),
        ModelCard("vit_base_patch14_reg4_dinov2.lvd142m", 768, "Apache-2.0", 346, "quality"),
        ModelCard("vit_small_patch16_dinov3.lvd1689m", 384, "DINOv3 licence", 86, "newer data"),
        ModelCard("convnext_tiny.dinov3_lvd1689m", 768, "DINOv3 licence", 111, "the same"),
        ModelCard(
            "vit_base_patch16_radio_v3.c_radio", 768, "NVIDIA Open Model", 346, "several teachers"
        ),
    )
}
"""Vision models that tell which regions look alike (vision.looks)."""

GROUPING_MODELS = ("pgseg-mini", "vilseg-mini")
"""Those of them that have learned to group patches: they are encoders and proposers."""

BUNDLED_FOLDER = Path(__file__).parents[1] / "bundled"

BUNDLED = {name: BUNDLED_FOLDER / name for name in ("mini", *GROUPING_MODELS)}
"""Models that come with the program, by name: folders in open_clip's local-dir layout."""

BUNDLED_LOOKS = {DEFAULT_LOOKS: BUNDLED_FOLDER / DEFAULT_LOOKS}
"""Look models that come with it: folders in timm's local-dir layout."""


def all_model_names() -> list[str]:
    """List every MODEL/TAG that open_clip can load."""
    import open_clip  # takes seconds, and the list above does without it

    return [f"{model}/{tag}" for model, tag in open_clip.list_pretrained()]
