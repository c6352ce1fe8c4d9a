"""PGSeg's image tower: a transformer whose tokens are gathered into groups, stage by stage.

After Xu et al. (2022, GroupViT) and Zhang et al. (2023, PGSeg). A stage (vision.grouping.stage)
gives each patch to a group, and the groups become the tokens of the next stage.
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

from captionary.vision.clip.vit import resized_positions
from captionary.vision.grouping.stage import Block, Found, Grouping, Stage


@dataclass(frozen=True, slots=True)
class Grouped:
    """What a pass over N pictures finds out.

    segments:   (N, K, D) the last groups, normed; K of the last grouping.
    present:    (N, K) bool: which of them are segments.
    given:      (N, L, D) the tokens that the last grouping gave away.
    shares:     of each grouping (N, groups, tokens), columns sum to 1: whom a token belongs to.
    tokens:     of each grouping (N, groups, D), group tokens that have seen what they may take.
    prototypes: of each grouping (N, groups, D) unit vectors; empty where there are none.
    grid_hw:    rows and columns of patches.
    """

    segments: torch.Tensor
    present: torch.Tensor
    given: torch.Tensor
    shares: Sequence[torch.Tensor]
    tokens: Sequence[torch.Tensor]
    prototypes: Sequence[torch.Tensor]
    grid_hw: tuple[int, int]


class PgsegTower(nn.Module):
    """Pictures to vectors, and to groups of patches with a vector each.

    Args:
        size_hw: of the pictures that it usually takes; others must have whole patches.
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
        grouping: Grouping,
    ) -> None:
        super().__init__()
        self.image_size, self.patch_size = size_hw, (patch, patch)
        self.grid_size = (size_hw[0] // patch, size_hw[1] // patch)
        self.output_dim, self.grouping = dim, grouping
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        places = self.grid_size[0] * self.grid_size[1]
        self.positional_embedding = nn.Parameter(torch.randn(places, width) * width**-0.5)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        activation = QuickGELU if quick_gelu else nn.GELU
        drops = torch.linspace(0, grouping.drop_path, sum(grouping.depths)).tolist()
        self.blocks = nn.ModuleList(Block(width, heads, activation, drop) for drop in drops)
        self.stages = nn.ModuleList(
            Stage(width, heads, count, before=before, grouping=grouping)
            for before, count in pairwise((0, *grouping.groups))
        )
        self.projector = _projector(width, grouping.projection, dim)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors of pictures, (N, 3, H, W) -> (N, dim), not normalised."""
        return self.picture_vectors(self.grouped(pixels))

    def picture_vectors(self, grouped: Grouped) -> torch.Tensor:
        """The mean segment in the joint space, (N, dim), not normalised."""
        there = grouped.present[..., None].to(grouped.segments.dtype)
        mean = (grouped.segments * there).sum(dim=1) / there.sum(dim=1)
        vectors: torch.Tensor = self.projector(mean)
        return vectors

    def segment_vectors(self, grouped: Grouped) -> torch.Tensor:
        """Each segment in the joint space, (N, K, dim), not normalised."""
        return self._projected(grouped.segments)

    def _projected(self, segments: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.projector(segments.flatten(0, 1))
        return vectors.view(*segments.shape[:2], -1)

    def grouped(self, pixels: torch.Tensor) -> Grouped:
        """Look at pictures, (N, 3, H, W), whose sides are multiples of the patch."""
        patches = self.conv1(pixels)
        grid_hw = (patches.shape[2], patches.shape[3])
        positions = resized_positions(self.positional_embedding, self.grid_size, grid_hw)
        hidden = self.ln_pre(patches.flatten(2).transpose(1, 2) + positions.to(patches.dtype))
        groups: torch.Tensor | None = None
        stages: list[Found] = []
        blocks = iter(self.blocks)
        for stage, depth in zip(self.stages, self.grouping.depths, strict=False):
            hidden, groups, found = stage(islice(blocks, depth), hidden, groups)
            stages.append(found)
        for block in blocks:
            hidden = block(hidden)
        return Grouped(
            self.ln_post(hidden),
            stages[-1].present,
            stages[-1].given,
            [each.shares for each in stages],
            [each.tokens for each in stages],
            [each.prototypes for each in stages if each.prototypes is not None],
            grid_hw,
        )

    def group_maps(self, grouped: Grouped) -> list[torch.Tensor]:
        """Whom each patch belongs to, a map for each grouping, (N, h, w, groups), finest first."""
        maps, total = [], None
        for share in grouped.shares:
            own = share.transpose(1, 2)
            total = own if total is None else total @ own
            maps.append(total.view(len(total), *grouped.grid_hw, -1))
        return maps

    def dense_map(self, grouped: Grouped) -> torch.Tensor:
        """What each patch shows, (N, h, w, dim), unit length.

        With residual it is the vector of the segment that a patch belongs to; without, that of a
        segment of this patch alone: a segment may be of several things.
        """
        if not self.grouping.residual:
            (stage,) = self.stages
            assert isinstance(stage, Stage)
            alone = self.ln_post(stage.grouping_block.alone(grouped.given))
            vectors = normalize(self._projected(alone), dim=-1)
            return vectors.view(len(vectors), *grouped.grid_hw, -1)
        shares = self.group_maps(grouped)[-1]
        vectors = normalize(self.segment_vectors(grouped), dim=-1)
        owner = one_hot(shares.argmax(dim=-1), shares.shape[-1]).to(vectors.dtype)
        return torch.einsum("nhwk,nkd->nhwd", owner, vectors)


def _projector(width: int, hidden: int, dim: int) -> nn.Module:
    if not hidden:
        return nn.Linear(width, dim, bias=False)
    return nn.Sequential(
        nn.Linear(width, hidden, bias=False),
        nn.LayerNorm(hidden),  # not over the batch: pictures and segments go through it by turns
        nn.ReLU(),
        nn.Linear(hidden, dim),
    )


def build_pgseg(config: Mapping[str, Any], grouping: Grouping) -> open_clip.CustomTextCLIP:
    """A CLIP of open_clip with PGSeg's image tower, with random weights.

    Args:
        config: as open_clip's model configurations; of `vision_cfg` it takes `image_size`,
            `patch_size`, `width` and `head_width`.
    """
    vision = config["vision_cfg"]
    size, width = vision["image_size"], vision["width"]
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
