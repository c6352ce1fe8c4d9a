"""PGSeg's image tower: a transformer whose tokens are gathered into groups, stage by stage.

After Xu et al. (2022, GroupViT) and Zhang et al. (2023, PGSeg). A stage (`pgseg_stage.py`)
assigns each patch to a group, and the groups become the tokens of the next stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import open_clip
import torch
from open_clip.transformer import QuickGELU
from torch import nn
from torch.nn.functional import normalize, one_hot

from captionary.vision.clip.vit import resize_positions
from captionary.vision.grouping.pgseg_stage import Block, PgsegConfig, Stage, StageOutput


@dataclass(frozen=True, slots=True)
class PgsegOutput:
    """What a forward pass of the tower over N pictures computes.

    segments:         (N, K, D), the groups of the last grouping, after the last layer norm.
    present:          (N, K) bool: which of them have tokens.
    input_tokens:     (N, L, D), the tokens that the last grouping assigned to groups.
    assignments:      of each grouping (N, groups, tokens), columns sum to 1.
    group_tokens:     of each grouping (N, groups, D), after attention to the tokens.
    group_prototypes: of each grouping (N, groups, D) unit vectors; empty where there are none.
    grid_hw:          rows and columns of patches.
    """

    segments: torch.Tensor
    present: torch.Tensor
    input_tokens: torch.Tensor
    assignments: Sequence[torch.Tensor]
    group_tokens: Sequence[torch.Tensor]
    group_prototypes: Sequence[torch.Tensor]
    grid_hw: tuple[int, int]


class PgsegTower(nn.Module):
    """Encodes pictures to vectors, and groups their patches into segments with a vector each.

    Args:
        size_hw: of the pictures that it is trained on; sides of others are multiples of `patch`.
        patch:   side of a patch in pixels.
        width:   of tokens; heads divide it.
        dim:     of the vectors.
    """

    def __init__(
        self,
        *,
        size_hw: tuple[int, int],
        patch: int,
        width: int,
        heads: int,
        dim: int,
        quick_gelu: bool,
        grouping: PgsegConfig,
    ) -> None:
        super().__init__()
        # Names of modules and parameters are keys in weight files, and so cannot change; where
        # there is the same thing in open_clip's transformer, they are those that it has there.
        self.image_size, self.patch_size = size_hw, (patch, patch)
        self.grid_size = (size_hw[0] // patch, size_hw[1] // patch)
        self.output_dim, self.grouping = dim, grouping
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        patches = self.grid_size[0] * self.grid_size[1]
        self.positional_embedding = nn.Parameter(torch.randn(patches, width) * width**-0.5)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        activation = QuickGELU if quick_gelu else nn.GELU
        drops = torch.linspace(0, grouping.drop_path, sum(grouping.depths)).tolist()
        self.blocks = nn.ModuleList(Block(width, heads, activation, drop) for drop in drops)
        self.stages = nn.ModuleList(
            Stage(width, heads, count, before=before, grouping=grouping)
            for before, count in pairwise((0, *grouping.groups))
        )
        self.projector = _build_projector(width, grouping.projection, dim)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode pictures, (N, 3, H, W) -> (N, dim), not normalised."""
        return self.picture_vectors(self.group_patches(pixels))

    def picture_vectors(self, grouped: PgsegOutput) -> torch.Tensor:
        """Project the mean of the segments into the joint space, (N, dim), not normalised."""
        weights = grouped.present[..., None].to(grouped.segments.dtype)
        mean = (grouped.segments * weights).sum(dim=1) / weights.sum(dim=1)
        vectors: torch.Tensor = self.projector(mean)
        return vectors

    def segment_vectors(self, grouped: PgsegOutput) -> torch.Tensor:
        """Project each segment into the joint space, (N, K, dim), not normalised."""
        return self._project_each(grouped.segments)

    def _project_each(self, tokens: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.projector(tokens.flatten(0, 1))
        return vectors.view(*tokens.shape[:2], -1)

    def group_patches(self, pixels: torch.Tensor) -> PgsegOutput:
        """Run the tower on pictures, (N, 3, H, W), whose sides are multiples of the patch."""
        patches = self.conv1(pixels)
        grid_hw = (patches.shape[2], patches.shape[3])
        positions = resize_positions(self.positional_embedding, self.grid_size, grid_hw)
        hidden = self.ln_pre(patches.flatten(2).transpose(1, 2) + positions.to(patches.dtype))
        groups: torch.Tensor | None = None
        outputs: list[StageOutput] = []
        # One iterator over all blocks: each stage takes its own, the last blocks have no stage.
        blocks = iter(self.blocks)
        for stage, depth in zip(self.stages, self.grouping.depths, strict=False):
            hidden, groups, output = stage(islice(blocks, depth), hidden, groups)
            outputs.append(output)
        for block in blocks:
            hidden = block(hidden)
        prototypes = [each.group_prototypes for each in outputs]
        return PgsegOutput(
            segments=self.ln_post(hidden),
            present=outputs[-1].present,
            input_tokens=outputs[-1].input_tokens,
            assignments=[each.assignment for each in outputs],
            group_tokens=[each.group_tokens for each in outputs],
            group_prototypes=[each for each in prototypes if each is not None],
            grid_hw=grid_hw,
        )

    def group_maps(self, grouped: PgsegOutput) -> list[torch.Tensor]:
        """Assign patches to the groups of each grouping, (N, h, w, groups), finest first."""
        maps, total = [], None
        for assignment in grouped.assignments:
            own = assignment.transpose(1, 2)
            # Tokens of a later stage are groups of the one before: assignments multiply.
            total = own if total is None else total @ own
            maps.append(total.view(len(total), *grouped.grid_hw, -1))
        return maps

    def dense_map(self, grouped: PgsegOutput) -> torch.Tensor:
        """Encode each patch, (N, h, w, dim), unit length.

        With residual it is the vector of the segment that a patch is assigned to; without, that of
        a segment of this patch alone, for a segment may hold several things.
        """
        if not self.grouping.residual:
            (stage,) = self.stages
            assert isinstance(stage, Stage)
            alone = self.ln_post(stage.grouping_block.encode_single_tokens(grouped.input_tokens))
            vectors = normalize(self._project_each(alone), dim=-1)
            return vectors.view(len(vectors), *grouped.grid_hw, -1)
        assignment = self.group_maps(grouped)[-1]
        vectors = normalize(self.segment_vectors(grouped), dim=-1)
        owner = one_hot(assignment.argmax(dim=-1), assignment.shape[-1]).to(vectors.dtype)
        return torch.einsum("nhwk,nkd->nhwd", owner, vectors)


def _build_projector(width: int, hidden: int, dim: int) -> nn.Module:
    if not hidden:
        return nn.Linear(width, dim, bias=False)
    return nn.Sequential(
        nn.Linear(width, hidden, bias=False),
        # A layer norm, where the paper has a batch norm: pictures and segments go through the
        # projector by turns, and their statistics differ.
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, dim),
    )


def build_pgseg(config: Mapping[str, Any], grouping: PgsegConfig) -> open_clip.CustomTextCLIP:
    """Build a CLIP of open_clip with PGSeg's image tower, with random weights.

    Args:
        config: as open_clip's model configurations; of `vision_cfg` it takes `image_size`,
            `patch_size`, `width` and `head_width`.
    """
    vision = config["vision_cfg"]
    size, width = vision["image_size"], vision["width"]
    # open_clip builds a tower of its own, which is replaced: without layers that costs nothing.
    clip = open_clip.CustomTextCLIP(**{**config, "vision_cfg": {**vision, "layers": 0}})
    clip.visual = PgsegTower(
        size_hw=(size, size) if isinstance(size, int) else tuple(size),
        patch=vision["patch_size"],
        width=width,
        heads=width // vision.get("head_width", 64),
        dim=config["embed_dim"],
        quick_gelu=bool(config.get("quick_gelu")),
        grouping=grouping,
    )
    return clip
