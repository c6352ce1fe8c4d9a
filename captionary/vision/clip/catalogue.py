"""The models that `captionary models` recommends, as data, and the names of all others.

Sizes are those of the weights in float32: open_clip's own parameter counts times four bytes.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClipModel:
    """What to know of a model before downloading it.

    name:     as given to `--encoder`: MODEL/TAG of open_clip, or the name of a bundled model.
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
        ClipModel(DEFAULT_ENCODER, 512, "MIT", 598, "photographs; the default"),
        ClipModel("ViT-B-32/laion2b_s34b_b79k", 512, "MIT", 605, "speed: a quarter of the work"),
        ClipModel("ViT-B-16/datacomp_xl_s13b_b90k", 512, "MIT", 598, "photographs, newer data"),
        ClipModel("ViT-L-14/openai", 768, "MIT", 1710, "quality, on a GPU"),
        ClipModel("ViT-L-14/datacomp_xl_s13b_b90k", 768, "MIT", 1710, "quality, newer data"),
        ClipModel("mini", 192, "Apache-2.0", 9, "drawn pictograms only; comes with it"),
        ClipModel("pgseg-mini", 192, "Apache-2.0", 11, "the same; groups as PGSeg has learned it"),
        ClipModel("vilseg-mini", 192, "Apache-2.0", 9, "the same; groups as ViL-Seg has"),
    )
}

GROUPING_MODELS = ("pgseg-mini", "vilseg-mini")
"""Those of them that have learned to group patches: they are encoders and proposers."""

BUNDLED = {
    name: Path(__file__).parents[1] / "bundled" / name for name in ("mini", *GROUPING_MODELS)
}
"""Models that come with the program, by name: folders in open_clip's local-dir layout."""


def all_model_names() -> list[str]:
    """List every MODEL/TAG that open_clip can load."""
    import open_clip  # takes seconds, and the list above does without it

    return [f"{model}/{tag}" for model, tag in open_clip.list_pretrained()]
