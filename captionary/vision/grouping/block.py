"""PGSeg's grouping block: tokens are given to groups, and each group becomes a token."""

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import nn
from torch.nn.functional import gumbel_softmax, one_hot

SHARPNESS = 45.0
"""Logits per cosine that a grouping block starts with, so that likeness decides, not chance."""


class GroupingBlock(nn.Module):
    """Gives each token to a group, and makes of each group a token.

    It starts as what it is to become: tokens go to the group that they are most alike, and a
    segment is their mean. From random layers it takes several times as long.

    residual: as of `Grouping`.
    """

    def __init__(self, width: int, heads: int, count: int, *, residual: bool) -> None:
        super().__init__()
        self._residual = residual
        self.norm_tokens, self.norm_groups = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = OverTokens(multilayer(count, width // 2, count))
        self.norm_mixed, self.norm_seen = nn.LayerNorm(width), nn.LayerNorm(width)
        self.pre_assign = ResidualAttentionBlock(width, heads, is_cross_attention=True)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.norm_out, self.mlp = nn.LayerNorm(width), multilayer(width, 4 * width, width)
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)
        with torch.no_grad():  # both are of rows as long as the root of the width
            for linear in (self.query, self.key):
                linear.weight *= SHARPNESS**0.5 / width**0.25
        start_at_zero(self.mlp)

    def forward(
        self, tokens: torch.Tensor, groups: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Group tokens, (N, L, D) and (N, G, D).

        Returns:
            Segments (N, G, D); which of them are, (N, G) bool; shares (N, G, L); group tokens after
            they saw the tokens (N, G, D).
        """
        tokens = self.norm_tokens(tokens)
        mixed = self.norm_mixed(self.mixer(self.norm_groups(groups)))
        seen = self.norm_seen(self.pre_assign(mixed, tokens, tokens))
        query, key = self.query(seen), self.key(tokens)
        logits = (query @ key.transpose(1, 2)).float() * key.shape[-1] ** -0.5
        given = assigned(logits, drawn=self.training).to(tokens.dtype)
        size, own = given.sum(dim=2, keepdim=True), self._residual
        mean = given / (size + 1 if own else size.clamp_min(1))
        segments = self.out(mean @ self.value(tokens)) + (seen if own else 0)
        segments = self._finished(segments)
        present = (size[..., 0] > 0.5) | own  # 0 and 1 are so but for rounding
        return segments, present, logits.softmax(dim=1), seen

    def alone(self, tokens: torch.Tensor) -> torch.Tensor:
        """Segments of one token each, without residual, (N, L, D) -> (N, L, D)."""
        return self._finished(self.out(self.value(self.norm_tokens(tokens))))

    def _finished(self, segments: torch.Tensor) -> torch.Tensor:
        finished: torch.Tensor = segments + self.mlp(self.norm_out(segments))
        return finished


def assigned(logits: torch.Tensor, *, drawn: bool) -> torch.Tensor:
    """Each token to one group, (N, G, L) -> (N, G, L) of 0 and 1.

    drawn: by chance, as the softmax over groups has it (Gumbel, temperature 1), whose gradient
        goes through unchanged; else to the likeliest.
    """
    if drawn:
        return gumbel_softmax(logits, tau=1, hard=True, dim=1)
    return one_hot(logits.argmax(dim=1), logits.shape[1]).transpose(1, 2).to(logits.dtype)


class OverTokens(nn.Module):
    """Applies a module along the tokens instead of along their features."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mix tokens, (N, L, D) -> (N, L', D)."""
        mixed: torch.Tensor = self.module(tokens.transpose(1, 2)).transpose(1, 2)
        return mixed


def multilayer(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two linear layers with a GELU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


def start_at_zero(layers: nn.Sequential) -> None:
    """Let what layers add to a residual be nothing at first."""
    for parameter in layers[-1].parameters():
        nn.init.zeros_(parameter)
