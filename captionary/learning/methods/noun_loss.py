"""A caption's nouns: each is to find a segment of its picture, and that segment to find it.

PGSeg's prototypes of texts are a caption's nouns here. Among the nouns of one caption only, as in
the paper, segments learn to differ but not what they are; among those of all captions of a batch
they learn both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch.nn.functional import log_softmax

from captionary.learning.methods.prototype_loss import FAR, kept_matches, matches
from captionary.vision.clip.texts import choose_templates

(SENTENCE,) = choose_templates("plain")


@dataclass(frozen=True)
class NounTokens:
    """The nouns of a caption as tokens, each in the sentence that classes are asked in.

    nouns: the nouns of a caption; what is more than `most` is left out.
    """

    tokenizer: SimpleTokenizer
    nouns: Callable[[str], Sequence[str]]
    most: int

    def one(self, caption: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Sentences, (most, L) int64, and which rows of these are nouns, (most,) bool."""
        names = list(self.nouns(caption))[: self.most]
        tokens = torch.zeros(self.most, self.tokenizer.context_length, dtype=torch.int64)
        if names:
            tokens[: len(names)] = self.tokenizer([SENTENCE(name) for name in names])
        return tokens, torch.arange(self.most) < len(names)


@torch.no_grad()
def encode_nouns(
    encode: Callable[[torch.Tensor], torch.Tensor], nouns: torch.Tensor, there: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode each different noun of a batch once.

    Args:
        encode: (U, l) tokens to (U, D).
        nouns:  (N, M, l) tokens; there: (N, M) bool, which of them are nouns.

    Returns:
        Vectors (U, D), U >= 1, and for each noun which of them is its own, (N, M) int64.
    """
    which = torch.zeros(there.shape, dtype=torch.int64, device=nouns.device)
    if not there.any():
        return encode(nouns[:1, 0]), which
    different, which[there] = torch.unique(nouns[there], dim=0, return_inverse=True)
    return encode(different), which


def noun_loss(
    segments: torch.Tensor,
    vectors: torch.Tensor,
    which: torch.Tensor,
    there: torch.Tensor,
    *,
    scale: torch.Tensor,
    present: torch.Tensor | None = None,
) -> torch.Tensor:
    """How badly nouns and segments find one another: a scalar.

    Nouns of a caption take segments of its picture, one to one, such that they are most alike in
    all; a match no better than others is left out (prototype_loss). A segment taken is to
    find its noun among all of the batch, and the noun its segment among those of the picture that
    are there.

    Args:
        segments: (N, G, D), unit length; G >= M.
        vectors:  (U, D), unit length, of the different nouns of the batch.
        which:    (N, M) int64, which of them a noun is.
        there:    (N, M) bool, which nouns there are.
        scale:    what cosines are multiplied by, a scalar.
        present:  (N, G) bool, which segments there are; None: all.
    """
    cosine = segments @ vectors.T
    absent = torch.zeros_like(cosine[..., :1], dtype=torch.bool)
    if present is not None:
        absent = ~present[..., None]
        # As little alike as any that is there: such a match is left out.
        least = cosine.masked_fill(absent, torch.inf).amin(dim=1, keepdim=True)
        cosine = torch.where(absent, least.detach(), cosine)
    own = cosine.gather(2, which[:, None].expand(-1, segments.shape[1], -1))
    segment = matches(own.masked_fill(~there[:, None], -torch.inf))
    kept = kept_matches(own.detach(), segment) & there
    taken = cosine.gather(1, segment[..., None].expand(*segment.shape, len(vectors)))
    to_nouns = log_softmax(scale * taken, dim=2).gather(2, which[..., None])[..., 0]
    among = (scale * own).masked_fill(absent, -FAR)  # finite, or gradients would be no numbers
    to_segments = log_softmax(among, dim=1).gather(1, segment[:, None])[:, 0]
    losses = -(to_nouns + to_segments) / 2
    return torch.where(kept, losses, 0).sum() / kept.sum().clamp_min(1)
