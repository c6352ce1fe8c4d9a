"""PGSeg's image tower: a transformer whose tokens are gathered into groups, stage by stage.

After Xu et al. (2022, GroupViT) and Zhang et al. (2023, PGSeg). Group tokens travel with the
patches through a stage; then each patch is given to one of them, and the groups become the tokens
of the next stage. What a picture's own prototypes say of its tokens (non-learnable: soft k-means
on the sphere) is added to them before they are grouped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import open_clip
import torch
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import nn
from torch.nn.functional import normalize, one_hot
from torchvision.ops import StochasticDepth

from vision.grouping import centred_tokens, spherical_em
from vision.grouping_block import GroupingBlock, OverTokens, multilayer, start_at_zero
from vision.vit import resized_positions

MIXED = 3
"""Hidden units a token where group tokens of one stage are turned into those of the next."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a tower groups.

    depths:     blocks of each stage.
    groups:     group tokens of each stage but the last, which has none.
    residual:   whether a segment is its group token plus the mean of the tokens that it is given.
        Else it is that mean alone, and a group without tokens is no segment: only where there is
        one grouping, behind all blocks.
    projection: hidden units of the projector of pictures and groups; 0: it is linear.
    prototypes: whether the picture's own prototypes are added to its tokens.
    iterations, kappa: of the prototypes' EM (vision.grouping).
    drop_path:  how often a block is skipped in training, rising to this at the last.
    text_weight: of the loss of text prototypes, in training.
    """

    depths: tuple[int, ...] = (6, 3, 3)
    groups: tuple[int, ...] = (64, 8)
    residual: bool = True
    projection: int = 4096
    prototypes: bool = True
    iterations: int = 10
    kappa: float = 20.0
    drop_path: float = 0.1
    text_weight: float = 0.01

    def __post_init__(self) -> None:
        if len(self.depths) != len(self.groups) + 1 or min(self.groups, default=0) < 1:
            raise ValueError(f"{len(self.depths)} depths need one less groups, >= 1 each")
        if not self.residual and (len(self.groups) > 1 or self.depths[-1]):
            raise ValueError("without residual there is one grouping, behind all blocks")


@dataclass(frozen=True, slots=True)
class Grouped:
    """What a pass over N pictures finds out.

    segments:   (N, K, D) the last groups, normed; K of the last grouping.
    present:    (N, K) bool: which of them are segments.
    given:      (N, L, D) the tokens that the last grouping gave away.
    shares:     of each grouping (N, groups, tokens), columns sum to 1: whom a token belongs to.
    tokens:     of each grouping (N, groups, D), group tokens that have seen what they may take.
    prototypes: of each grouping (N, groups, D) unit vectors; empty where there are none.
    """

    segments: torch.Tensor
    present: torch.Tensor
    given: torch.Tensor
    shares: Sequence[torch.Tensor]
    tokens: Sequence[torch.Tensor]
    prototypes: Sequence[torch.Tensor]


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
        positions = resized_positions(
            self.positional_embedding, self.grid_size, self._grid_hw(pixels)
        )
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
        )

    def group_maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Whom each patch belongs to, a map for each grouping, (N, h, w, groups), finest first."""
        return self._maps(self.grouped(pixels), pixels)

    def _maps(self, grouped: Grouped, pixels: torch.Tensor) -> list[torch.Tensor]:
        maps, total = [], None
        for share in grouped.shares:
            own = share.transpose(1, 2)
            total = own if total is None else total @ own
            maps.append(total.view(len(pixels), *self._grid_hw(pixels), -1))
        return maps

    def _grid_hw(self, pixels: torch.Tensor) -> tuple[int, int]:
        return pixels.shape[2] // self.patch_size[0], pixels.shape[3] // self.patch_size[1]

    def dense_map(self, pixels: torch.Tensor) -> torch.Tensor:
        """What each patch shows, (N, h, w, dim), unit length.

        With residual it is the vector of the segment that a patch belongs to; without, that of a
        segment of this patch alone: a segment may be of several things.
        """
        grouped = self.grouped(pixels)
        if not self.grouping.residual:
            (stage,) = self.stages
            assert isinstance(stage, Stage)
            alone = self.ln_post(stage.grouping_block.alone(grouped.given))
            vectors = normalize(self._projected(alone), dim=-1)
            return vectors.view(len(pixels), *self._grid_hw(pixels), -1)
        shares = self._maps(grouped, pixels)[-1]
        vectors = normalize(self.segment_vectors(grouped), dim=-1)
        owner = one_hot(shares.argmax(dim=-1), shares.shape[-1]).to(vectors.dtype)
        return torch.einsum("nhwk,nkd->nhwd", owner, vectors)


class Block(ResidualAttentionBlock):  # type: ignore[misc]
    """A transformer block that is now and then skipped in training."""

    def __init__(self, width: int, heads: int, activation: type[nn.Module], drop: float) -> None:
        super().__init__(width, heads, act_layer=activation)
        self.drop = StochasticDepth(drop, "row")

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Tokens to tokens, (N, L, D)."""
        hidden = hidden + self.drop(self.attention(self.ln_1(hidden)))
        output: torch.Tensor = hidden + self.drop(self.mlp(self.ln_2(hidden)))
        return output


@dataclass(frozen=True, slots=True)
class Found:
    """What a stage finds out: as `Grouped`, for one grouping."""

    present: torch.Tensor
    given: torch.Tensor
    shares: torch.Tensor
    tokens: torch.Tensor
    prototypes: torch.Tensor | None


class Stage(nn.Module):
    """Group tokens beside others, prototypes, and the grouping.

    Args:
        before: groups of the stage before; 0: there is none.
    """

    prototypes: torch.Tensor

    def __init__(
        self, width: int, heads: int, count: int, *, before: int, grouping: Grouping
    ) -> None:
        super().__init__()
        first = torch.zeros(count, width) if before else torch.randn(count, width) * 0.02
        self.group_tokens = nn.Parameter(first)
        self.from_before = _from_before(before, count, width) if before else None
        self.grouping_block = GroupingBlock(width, heads, count, residual=grouping.residual)
        self._iterations, self._kappa = grouping.iterations, grouping.kappa
        self.told: nn.Sequential | None = None
        if grouping.prototypes:
            self.register_buffer("prototypes", normalize(torch.randn(count, width), dim=-1))
            self.told = multilayer(width, grouping.projection or width, width)
            start_at_zero(self.told)

    def forward(
        self, blocks: Iterable[nn.Module], tokens: torch.Tensor, groups: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, Found]:
        """Look through some blocks, and group.

        Args:
            tokens: (N, L, D).
            groups: those of the stage before, (N, G', D).

        Returns:
            Segments (N, G, D), the tokens of the next stage; group tokens (N, G, D); the rest.
        """
        own = self.group_tokens.expand(len(tokens), -1, -1)
        if self.from_before is not None and groups is not None:
            own = own + self.from_before(groups)
        count = tokens.shape[1]
        hidden = torch.cat([tokens, own.to(tokens.dtype)], dim=1)
        for block in blocks:
            hidden = block(hidden)
        prototypes = None
        patches, own = hidden[:, :count], hidden[:, count:]
        if self.told is not None:
            prototypes, shares = self.own_prototypes(tokens)
            patches = patches + self.told((shares @ prototypes).to(patches.dtype))
        segments, present, soft, seen = self.grouping_block(patches, own)
        return segments, own, Found(present, patches, soft, seen, prototypes)

    @torch.no_grad()
    def own_prototypes(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Prototypes of each picture's tokens, (N, G, D), and the tokens' shares, (N, L, G)."""
        start = self.prototypes.float().expand(len(tokens), -1, -1)
        return spherical_em(
            centred_tokens(tokens.float()), start, iterations=self._iterations, kappa=self._kappa
        )


def _projector(width: int, hidden: int, dim: int) -> nn.Module:
    if not hidden:
        return nn.Linear(width, dim, bias=False)
    return nn.Sequential(
        nn.Linear(width, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, dim),
    )


def _from_before(before: int, count: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), OverTokens(multilayer(before, MIXED * before, count)))


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
