"""Text side of CLIP: template ensembles, a short-sentence text forward, and a cache of vectors."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Any, TypeAlias

import open_clip
import torch

from captionary.schemas.arrays import Vector
from captionary.schemas.errors import WrongInput

Template: TypeAlias = Callable[[str], str]

TEMPLATES: dict[str, Sequence[Template]] = {
    "80": open_clip.OPENAI_IMAGENET_TEMPLATES,
    "7": open_clip.SIMPLE_IMAGENET_TEMPLATES,
    "plain": (lambda name: f"a photo of a {name}.",),
}

LENGTH_STEP = 4


def choose_templates(name: str) -> Sequence[Template]:
    """Find a set of sentence templates by its name.

    Raises:
        WrongInput: there is no such set.
    """
    if name not in TEMPLATES:
        raise WrongInput(f"unknown templates {name!r}; choose one of {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def trimmable_tower(model: Any) -> Any | None:
    """The model's text tower if a sentence's vector is independent of what follows its end.

    So it is where attention is causal and the vector is read at the end-of-text token. Padding
    behind that token, most of the context, need not be computed then.
    """
    tower = getattr(model, "text", model)
    native = isinstance(tower, open_clip.CLIP | open_clip.transformer.TextTransformer)
    if not native or tower.attn_mask is None or getattr(tower, "cls_emb", None) is not None:
        return None
    pool = tower.text_pool_type if isinstance(tower, open_clip.CLIP) else tower.pool_type
    return tower if pool == "argmax" else None


def sentence_lengths(tokens: torch.Tensor) -> torch.Tensor:
    """Columns that a causal tower must read, rounded up to a multiple of LENGTH_STEP.

    Args:
        tokens: (N, L) int64; the end-of-text token has the largest number of its row.

    Returns:
        (N,) int64, at most L.
    """
    lengths = tokens.argmax(dim=1) + 1
    rounded = (lengths + LENGTH_STEP - 1) // LENGTH_STEP * LENGTH_STEP
    return rounded.clamp(max=tokens.shape[1])


def trimmed(tokens: torch.Tensor) -> torch.Tensor:
    """Sentences as a causal tower must read them, (..., L) int64 -> (..., l)."""
    length = int(sentence_lengths(tokens.flatten(0, -2)).max())
    return tokens[..., :length].contiguous()


def encode_trimmed(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Run a causal text tower on the first columns only.

    The text encoder of Radford et al. (2021): embedding + position, causal transformer, layer
    norm, the row at the end-of-text token, projection.

    Args:
        tower: what `trimmable_tower` answered.
        tokens: (N, l) int64, l at most the context length, each row with its end-of-text token.

    Returns:
        (N, D), not normalised, in the tower's precision.
    """
    rows = torch.arange(len(tokens), device=tokens.device)
    return project_text(tower, hidden_tokens(tower, tokens)[rows, tokens.argmax(dim=1)])


def hidden_tokens(tower: Any, tokens: torch.Tensor) -> torch.Tensor:
    """What `encode_trimmed` knows of every token before it projects, (N, l) -> (N, l, width)."""
    length = tokens.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    hidden = tower.token_embedding(tokens).to(dtype) + tower.positional_embedding[:length].to(dtype)
    mask = tower.attn_mask[:length, :length]
    normed: torch.Tensor = tower.ln_final(tower.transformer(hidden, attn_mask=mask))
    return normed


def project_text(tower: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Into the space that texts share with pictures, (..., width) -> (..., D)."""
    projection = tower.text_projection
    if projection is None:
        return hidden
    if isinstance(projection, torch.nn.Module):
        projected: torch.Tensor = projection(hidden)
        return projected
    return torch.matmul(hidden, projection)


class VectorCache:
    """The vectors of the names asked for last, at most `capacity`. Safe between threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[Hashable, Vector] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, name: Hashable) -> Vector | None:
        """The vector of a name, if it is still held."""
        with self._lock:
            if name in self._vectors:
                self._vectors.move_to_end(name)
            return self._vectors.get(name)

    def put(self, name: Hashable, vector: Vector) -> None:
        """Hold a vector, dropping the one that was not asked for longest."""
        with self._lock:
            self._vectors[name] = vector
            self._vectors.move_to_end(name)
            while len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)
