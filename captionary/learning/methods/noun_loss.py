"""A caption's nouns: contrastive loss between them and the segments of its picture.

PGSeg's prototypes of texts are a caption's nouns here. Among the nouns of one caption only, as in
the paper, segments learn to differ but not what they are; among those of all captions of a batch
they learn both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch.nn.functional import log_softmax

from captionary.learning.methods.prototype_loss import LARGE, good_matches, match_one_to_one
from captionary.vision.clip.texts import choose_templates

(SENTENCE,) = choose_templates("plain")


@dataclass(frozen=True)
class NounTokenizer:
    """Tokenises the nouns of a caption, each in the sentence that classes are asked for in.

    extract_nouns: caption to its nouns; those beyond `max_nouns` are left out.
    """

    tokenizer: SimpleTokenizer
    extract_nouns: Callable[[str], Sequence[str]]
    max_nouns: int

    def tokenize(self, caption: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Sentences, (max_nouns, L) int64, and which rows of these are nouns, (max_nouns,) bool."""
        names = list(self.extract_nouns(caption))[: self.max_nouns]
        tokens = torch.zeros(self.max_nouns, self.tokenizer.context_length, dtype=torch.int64)
        if names:
            tokens[: len(names)] = self.tokenizer([SENTENCE(name) for name in names])
        return tokens, torch.arange(self.max_nouns) < len(names)


@torch.no_grad()
def encode_nouns(
    encode: Callable[[torch.Tensor], torch.Tensor], nouns: torch.Tensor, is_noun: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode each different noun of a batch once.

    Args:
        encode:  (U, l) tokens to (U, D).
        nouns:   (N, M, l) tokens.
        is_noun: (N, M) bool, which of them are nouns and not padding.

    Returns:
        Vectors (U, D), U >= 1, and for each noun which of them is its own, (N, M) int64.
    """
    vector_of = torch.zeros(is_noun.shape, dtype=torch.int64, device=nouns.device)
    # Without any noun one row of padding is encoded: shapes stay, and the loss is 0 all the same.
    if not is_noun.any():
        return encode(nouns[:1, 0]), vector_of
    different, vector_of[is_noun] = torch.unique(nouns[is_noun], dim=0, return_inverse=True)
    return encode(different), vector_of


def noun_loss(
    segments: torch.Tensor,
    vectors: torch.Tensor,
    vector_of: torch.Tensor,
    is_noun: torch.Tensor,
    *,
    scale: torch.Tensor,
    present: torch.Tensor | None = None,
) -> torch.Tensor:
    """Contrastive loss between nouns and segments: a scalar.

    Nouns of a caption are matched to segments of its picture, one to one, such that they are most
    similar in sum; a match no better than others is left out (prototype_loss). A matched segment is
    to find its noun among all of the batch, and the noun its segment among those of the picture
    that are present.

    Args:
        segments:  (N, G, D), unit length; G >= M.
        vectors:   (U, D), unit length, of the different nouns of the batch.
        vector_of: (N, M) int64, which of them a noun is.
        is_noun:   (N, M) bool, which are nouns and not padding.
        scale:     what cosines are multiplied by, a scalar.
        present:   (N, G) bool, which segments have any patch; None: all.
    """
    cosine = segments @ vectors.T
    absent = torch.zeros_like(cosine[..., :1], dtype=torch.bool)
    if present is not None:
        absent = ~present[..., None]
        cosine = _least_where_absent(cosine, absent)
    own = cosine.gather(2, vector_of[:, None].expand(-1, segments.shape[1], -1))
    segment = match_one_to_one(own.masked_fill(~is_noun[:, None], -torch.inf))
    good = good_matches(own.detach(), segment) & is_noun
    matched = cosine.gather(1, segment[..., None].expand(*segment.shape, len(vectors)))
    to_nouns = log_softmax(scale * matched, dim=2).gather(2, vector_of[..., None])[..., 0]
    among = (scale * own).masked_fill(absent, -LARGE)  # -inf would make gradients nan
    to_segments = log_softmax(among, dim=1).gather(1, segment[:, None])[:, 0]
    losses = -(to_nouns + to_segments) / 2
    return torch.where(good, losses, 0).sum() / good.sum().clamp_min(1)


def _least_where_absent(cosine: torch.Tensor, absent: torch.Tensor) -> torch.Tensor:
    """Make absent segments as little similar as the least present one, (N, G, U).

    Where a noun is matched to one for want of others, `good_matches` then leaves the match out.
    """
    least = cosine.masked_fill(absent, torch.inf).amin(dim=1, keepdim=True)
    return torch.where(absent, least.detach(), cosine)
