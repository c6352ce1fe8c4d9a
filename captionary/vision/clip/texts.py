"""Sentences for a CLIP's text tower: templates, and a forward pass without the padding."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import open_clip
import torch

from captionary.schemas.errors import WrongInput

Template: TypeAlias = Callable[[str], str]

TEMPLATES: dict[str, Sequence[Template]] = {
    "80": open_clip.OPENAI_IMAGENET_TEMPLATES,
    "7": open_clip.SIMPLE_IMAGENET_TEMPLATES,
    "plain": (lambda name: f"a photo of a {name}.",),
}

LENGTH_STEP = 4
"""Sentences are cut to a multiple of this: few lengths make few, fuller batches."""


def choose_templates(name: str) -> Sequence[Template]:
    """Return a set of sentence templates by its name.

    Raises:
        WrongInput: there is no such set.
    """
    if name not in TEMPLATES:
        raise WrongInput(f"unknown templates {name!r}; choose one of {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def trimmable_tower(model: Any) -> Any | None:
    """Return a model's text tower if padding does not change its vectors; else None.

    It does not where attention is causal and the vector is read at the end-of-text token. Padding
    behind that token, most of the context, need not be computed then.
    """
    tower = getattr(model, "text", model)
    # Only open_clip's own towers: of others it is not known where they read the vector.
    native = isinstance(tower, open_clip.CLIP | open_clip.transformer.TextTransformer)
    if not native or tower.attn_mask is None or getattr(tower, "cls_emb", None) is not None:
        return None
    pool = tower.text_pool_type if isinstance(tower, open_clip.CLIP) else tower.pool_type
    return tower if pool == "argmax" else None


def sentence_lengths(tokens: torch.Tensor) -> torch.Tensor:
    """Count the tokens that a causal tower must read, rounded up to a multiple of LENGTH_STEP.

    Args:
        tokens: (N, L) int64; the end-of-text token has the largest number of its row.

    Returns:
        (N,) int64, at most L.
    """
    # open_clip finds the end-of-text token so, too: it has the largest number of the vocabulary.
    lengths = tokens.argmax(dim=1) + 1
    rounded = (lengths + LENGTH_STEP - 1) // LENGTH_STEP * LENGTH_STEP
    return rounded.clamp(max=tokens.shape[1])


def trim_padding(tokens: torch.Tensor) -> torch.Tensor:
    """Cut padding that no sentence of a batch needs, (..., L) int64 -> (..., l)."""
    length = int(sentence_lengths(tokens.flatten(0, -2)).max())
    return tokens[..., :length].contiguous()


def encode_trimmed(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Run a causal text tower on sentences without the padding.

    The text encoder of Radford et al. (2021): embedding + position, causal transformer, layer
    norm, the row at the end-of-text token, projection.

    Args:
        tower:  what `trimmable_tower` returned.
        tokens: (N, l) int64, l at most the context length, each row with its end-of-text token.

    Returns:
        (N, D), not normalised, in the tower's precision.
    """
    rows = torch.arange(len(tokens), device=tokens.device)
    return project_text(tower, encode_tokens(tower, tokens)[rows, tokens.argmax(dim=1)])


def encode_tokens(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Encode each token, after the final norm and before projection, (N, l) -> (N, l, width)."""
    length = tokens.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    hidden = tower.token_embedding(tokens).to(dtype) + tower.positional_embedding[:length].to(dtype)
    mask = tower.attn_mask[:length, :length]
    normed: torch.Tensor = tower.ln_final(tower.transformer(hidden, attn_mask=mask))
    return normed


def project_text(tower: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Project into the space that texts share with pictures, (..., width) -> (..., D)."""
    projection = tower.text_projection
    # open_clip has a matrix, or a linear layer where there is a bias.
    if projection is None:
        return hidden
    if isinstance(projection, torch.nn.Module):
        projected: torch.Tensor = projection(hidden)
        return projected
    return torch.matmul(hidden, projection)
