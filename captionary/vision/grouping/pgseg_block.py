"""PGSeg's grouping block: it assigns each token to a group, and makes one token of each group.

Shapes: N pictures, L tokens, G groups, width D.
"""

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import nn
from torch.nn.functional import gumbel_softmax, one_hot

INITIAL_SHARPNESS = 45.0
"""Logits per cosine that a grouping block starts with, so that similarity decides, not chance."""


class GroupingBlock(nn.Module):
    """Assigns each token to a group, and makes of each group a token.

    It starts out as grouping by similarity: query, key, value and output are identities and the
    MLP adds nothing, so that a token goes to the group that it is most similar to and a segment is
    the mean of its tokens. From random weights training takes several times as long.

    residual: as of `PgsegConfig`.
    """

    def __init__(self, width: int, heads: int, count: int, *, residual: bool) -> None:
        super().__init__()
        self._residual = residual
        # The names of these attributes are keys in weight files, and so cannot change: `pre_assign`
        # lets group tokens attend to the tokens, `norm_seen` is the norm of what comes out.
        self.norm_tokens, self.norm_groups = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = OverTokens(build_mlp(count, width // 2, count))
        self.norm_mixed, self.norm_seen = nn.LayerNorm(width), nn.LayerNorm(width)
        self.pre_assign = ResidualAttentionBlock(width, heads, is_cross_attention=True)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.norm_out, self.mlp = nn.LayerNorm(width), build_mlp(width, 4 * width, width)
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)
        # After a layer norm rows are sqrt(width) long, and logits are divided by sqrt(width): a
        # factor of sqrt(sharpness) / width^(1/4) on both sides makes a logit sharpness * cosine.
        with torch.no_grad():
            for linear in (self.query, self.key):
                linear.weight *= INITIAL_SHARPNESS**0.5 / width**0.25
        zero_last_layer(self.mlp)

    def forward(
        self, tokens: torch.Tensor, groups: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Group tokens, (N, L, D), by group tokens, (N, G, D).

        Returns:
            Segments (N, G, D); which of them have tokens, (N, G) bool; the soft assignment
            (N, G, L), columns sum to 1; group tokens after attention to the tokens (N, G, D).
        """
        tokens = self.norm_tokens(tokens)
        mixed = self.norm_mixed(self.mixer(self.norm_groups(groups)))
        attended = self.norm_seen(self.pre_assign(mixed, tokens, tokens))
        query, key = self.query(attended), self.key(tokens)
        # Softmax and noise in float32: in bfloat16 the shares of a token would not add up to 1.
        logits = (query @ key.transpose(1, 2)).float() * key.shape[-1] ** -0.5
        assignment = assign(logits, sample=self.training).to(tokens.dtype)
        # With residual the group token is one more member of the mean.
        size, residual = assignment.sum(dim=2, keepdim=True), self._residual
        mean = assignment / (size + 1 if residual else size.clamp_min(1))
        segments = self.out(mean @ self.value(tokens)) + (attended if residual else 0)
        segments = self._add_mlp(segments)
        # The assignment is 0 or 1 but for rounding, so half a token is as good as one.
        present = (size[..., 0] > 0.5) | residual
        return segments, present, logits.softmax(dim=1), attended

    def encode_single_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Make a segment of each token alone, without residual, (N, L, D) -> (N, L, D)."""
        return self._add_mlp(self.out(self.value(self.norm_tokens(tokens))))

    def _add_mlp(self, segments: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = segments + self.mlp(self.norm_out(segments))
        return output


def assign(logits: torch.Tensor, *, sample: bool) -> torch.Tensor:
    """Assign each token to one group, (N, G, L) -> (N, G, L) of 0 and 1.

    sample: draw the group from the softmax over groups (Gumbel, temperature 1; straight-through:
        gradients are those of the soft assignment); else take the likeliest.
    """
    if sample:
        return gumbel_softmax(logits, tau=1, hard=True, dim=1)
    return one_hot(logits.argmax(dim=1), logits.shape[1]).transpose(1, 2).to(logits.dtype)


class OverTokens(nn.Module):
    """Applies a module along the tokens instead of along their features (as in MLP-Mixer)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mix tokens, (N, L, D) -> (N, L', D)."""
        mixed: torch.Tensor = self.module(tokens.transpose(1, 2)).transpose(1, 2)
        return mixed


def build_mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Build two linear layers with a GELU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


def zero_last_layer(layers: nn.Sequential) -> None:
    """Set the last layer to zero, so that layers behind a residual add nothing at first."""
    for parameter in layers[-1].parameters():
        nn.init.zeros_(parameter)
