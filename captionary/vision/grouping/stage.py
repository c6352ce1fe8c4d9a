"""A stage of PGSeg's tower: blocks, the picture's own prototypes, and the grouping.

Group tokens travel with the patches through the blocks; then each patch is given to one of them.
What a picture's own prototypes say of its tokens (non-learnable: soft k-means on the sphere) is
added to them before they are grouped.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import nn
from torch.nn.functional import normalize
from torchvision.ops import StochasticDepth

from captionary.vision.grouping.block import GroupingBlock, OverTokens, multilayer, start_at_zero
from captionary.vision.grouping.em import centred_tokens, spherical_em

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
    iterations, kappa: of the prototypes' EM (vision.grouping.em).
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
        with torch.autocast(tokens.device.type, enabled=False):
            unit = centred_tokens(tokens.float())
            return spherical_em(unit, start, iterations=self._iterations, kappa=self._kappa)


def _from_before(before: int, count: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), OverTokens(multilayer(before, MIXED * before, count)))
