"""A stage of PGSeg's tower: transformer blocks, group prototypes of the picture, and the grouping.

Group tokens go through the blocks beside the patches; then each patch is assigned to one of them.
Before that the stage's input is clustered (soft k-means on the sphere, without learned weights):
the centres are the picture's group prototypes, and an MLP of them is added to each patch.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import nn
from torch.nn.functional import normalize
from torchvision.ops import StochasticDepth

from captionary.vision.grouping.pgseg_block import (
    GroupingBlock,
    OverTokens,
    build_mlp,
    zero_last_layer,
)
from captionary.vision.grouping.spherical_em import centre_tokens, spherical_em

MIXER_RATIO = 3
"""Hidden units per group token of the MLP that turns one stage's groups into those of the next."""


# The fields are keys in models' configuration files and part of fingerprints: they cannot change.
@dataclass(frozen=True, slots=True)
class PgsegConfig:
    """How PGSeg's tower groups.

    depths:     blocks of each stage.
    groups:     group tokens of each stage but the last, which has none.
    residual:   whether a segment is its group token plus the mean of the tokens assigned to it.
        Else it is that mean alone, and a group without tokens is no segment: only where there is
        one grouping, behind all blocks.
    projection: hidden units of the projector of pictures and segments; 0: it is linear.
    prototypes: whether group prototypes are added to the tokens.
    iterations, kappa: of the EM that finds group prototypes (`spherical_em.py`).
    drop_path:  how often a block is skipped in training, rising to this at the last.
    text_weight: of the loss between segments and nouns, in training.
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
    """A transformer block that is skipped at random in training (stochastic depth)."""

    def __init__(self, width: int, heads: int, activation: type[nn.Module], drop: float) -> None:
        super().__init__(width, heads, act_layer=activation)
        self.drop = StochasticDepth(drop, "row")

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Tokens to tokens, (N, L, D)."""
        hidden = hidden + self.drop(self.attention(self.ln_1(hidden)))
        output: torch.Tensor = hidden + self.drop(self.mlp(self.ln_2(hidden)))
        return output


@dataclass(frozen=True, slots=True)
class StageOutput:
    """What a stage computes beside its segments; the fields are those of `PgsegOutput`."""

    present: torch.Tensor
    input_tokens: torch.Tensor
    assignment: torch.Tensor
    group_tokens: torch.Tensor
    group_prototypes: torch.Tensor | None


class Stage(nn.Module):
    """Blocks with group tokens beside the others, group prototypes, and the grouping.

    Args:
        before: number of groups of the stage before; 0: there is none.
    """

    prototypes: torch.Tensor
    """(G, D): where the EM of every picture starts. Training moves them like a running mean."""

    def __init__(
        self, width: int, heads: int, count: int, *, before: int, grouping: PgsegConfig
    ) -> None:
        super().__init__()
        # The names of these attributes are keys in weight files, and so cannot change: `prototypes`
        # are group prototypes, `told` is the MLP of what is added to the tokens for them,
        # `from_before` makes group tokens of the segments of the stage before.
        first = torch.zeros(count, width) if before else torch.randn(count, width) * 0.02
        self.group_tokens = nn.Parameter(first)
        self.from_before = _build_group_mixer(before, count, width) if before else None
        self.grouping_block = GroupingBlock(width, heads, count, residual=grouping.residual)
        self._iterations, self._kappa = grouping.iterations, grouping.kappa
        self.told: nn.Sequential | None = None
        if grouping.prototypes:
            self.register_buffer("prototypes", normalize(torch.randn(count, width), dim=-1))
            self.told = build_mlp(width, grouping.projection or width, width)
            zero_last_layer(self.told)

    def forward(
        self, blocks: Iterable[nn.Module], tokens: torch.Tensor, groups: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, StageOutput]:
        """Run the blocks, and group.

        Args:
            tokens: (N, L, D).
            groups: group tokens of the stage before, (N, G', D).

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
            # The stage's input is clustered: the blocks' output has mixed with group tokens.
            prototypes, shares = self.find_group_prototypes(tokens)
            patches = patches + self.told((shares @ prototypes).to(patches.dtype))
        segments, present, assignment, attended = self.grouping_block(patches, own)
        return segments, own, StageOutput(present, patches, assignment, attended, prototypes)

    @torch.no_grad()
    def find_group_prototypes(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cluster each picture's tokens: group prototypes (N, G, D), and shares (N, L, G)."""
        start = self.prototypes.float().expand(len(tokens), -1, -1)
        # In float32 also where all else is bfloat16: rounding would add up over the iterations.
        with torch.autocast(tokens.device.type, enabled=False):
            unit = centre_tokens(tokens.float())
            return spherical_em(unit, start, iterations=self._iterations, kappa=self._kappa)


def _build_group_mixer(before: int, count: int, width: int) -> nn.Sequential:
    mixer = build_mlp(before, MIXER_RATIO * before, count)
    return nn.Sequential(nn.LayerNorm(width), OverTokens(mixer))
