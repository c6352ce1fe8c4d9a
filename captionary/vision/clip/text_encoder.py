"""The text side of a CLIP: names, put into sentences, to unit vectors."""

import hashlib
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache

from captionary.files.cache import CacheFile
from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.vectors import unit
from captionary.vision.clip.texts import (
    choose_templates,
    encode_trimmed,
    sentence_lengths,
    trimmable_tower,
)
from captionary.vision.hardware import describe_kernels

TEXT_BATCH = {"cpu": 64, "mps": 128, "cuda": 512}
"""Sentences per pass."""

NAMES_AT_ONCE = 128
"""Names whose sentences are encoded before they enter the cache: bounds memory. By 64, a sixth of
what is encoded would be padding (seven sentences a name); by 128, a twelfth."""

CODE_VERSION = 1
"""Raise it when a change of this code changes any bit of a vector: cached ones are stale then."""

CACHED_NAMES = 20_000
"""Vectors that the cache holds: 40 MB of 512 numbers each."""


class ClipTextEncoder:
    """Encodes names by the mean of their sentences' unit vectors; safe between threads.

    Every pass has the same number of sentences of one length, so that a vector does not depend on
    what else is encoded with it.

    Args:
        model:    a CLIP of open_clip, on its device and in its number type.
        tokenize: N sentences to (N, context length) int64.
        dim:      D, length of its vectors.
        cache:    where vectors are kept from run to run; None: nowhere.
        fingerprint: names the model and its number type, for the cache.
    """

    def __init__(
        self,
        model: Any,
        tokenize: Callable[[Sequence[str]], torch.Tensor],
        *,
        dim: int,
        cache: CacheFile | None = None,
        fingerprint: str = "",
    ) -> None:
        self._model = model
        self._tokenize = tokenize
        self._dim = dim
        self._file = cache
        self._fingerprint = fingerprint
        self._device = model.logit_scale.device
        self._batch_size = TEXT_BATCH[self._device.type]
        self._tower = trimmable_tower(model)
        self._cache: LRUCache[tuple[str, str], Vector] = LRUCache(CACHED_NAMES)
        self._lock = Lock()
        self._tokenizer_lock = Lock()

    def encode(self, names: Sequence[str], templates: str) -> Vectors:
        """Encode N names to (N, D) float32, unit length, in order.

        Args:
            names:     any words; what was encoded lately is not encoded again.
            templates: the sentences that a name is put in, a name in TEMPLATES.
        """
        # Encoded outside of the lock: two threads may encode a name twice, to the same vector, but
        # none waits for the other's forward pass.
        with self._lock:
            vectors = {name: self._cache.get((templates, name)) for name in names}
        missing = [name for name, vector in vectors.items() if vector is None]
        for start in range(0, len(missing), NAMES_AT_ONCE):
            part = missing[start : start + NAMES_AT_ONCE]
            for name, vector in zip(part, self._ensemble(part, templates), strict=True):
                vectors[name] = vector
                with self._lock:
                    self._cache[templates, name] = vector
        rows = [vectors[name] for name in names]
        if not rows:
            return np.empty((0, self._dim), dtype=np.float32)
        return np.stack([row for row in rows if row is not None])

    def _ensemble(self, names: Sequence[str], templates: str) -> Vectors:
        sentences_of = choose_templates(templates)
        sentences = [template(name) for name in names for template in sentences_of]
        with self._tokenizer_lock:  # a fast tokenizer refuses to be used by two threads at once
            tokens = self._tokenize(sentences)
        tokens = tokens.reshape(len(names), len(sentences_of), -1)
        if self._file is None:
            return self._encode_sets(tokens)
        keys = self._keys(tokens)
        kept = {
            key: np.frombuffer(value, np.float32)
            for key, value in self._file.read(keys).items()
            if len(value) == 4 * self._dim
        }
        if new := {key: row for row, key in enumerate(keys) if key not in kept}:
            made = dict(zip(new, self._encode_sets(tokens[list(new.values())]), strict=True))
            self._file.write({key: vector.tobytes() for key, vector in made.items()})
            kept |= made
        return np.stack([kept[key] for key in keys])

    def _keys(self, tokens: torch.Tensor) -> list[bytes]:
        """For each name, the digest of all that its vector depends on."""
        # Of the tokens, not of the name: whatever the templates and the tokenizer are.
        kernels = describe_kernels(self._device)
        facts = f"{self._fingerprint} {CODE_VERSION} {kernels} {tuple(tokens.shape[1:])}".encode()
        return [
            hashlib.blake2b(facts + of_name.tobytes(), digest_size=16).digest()
            for of_name in tokens.numpy()
        ]

    def _encode_sets(self, tokens: torch.Tensor) -> Vectors:
        """Encode N names by the tokens of their S sentences, (N, S, L) int64, to (N, D)."""
        each = self._encode_tokens(tokens.flatten(0, 1))
        return unit(each.reshape(*tokens.shape[:2], self._dim).mean(axis=1))

    @torch.inference_mode()
    def _encode_tokens(self, tokens: torch.Tensor) -> Vectors:
        """Encode tokens, (N, L) int64, to (N, D) unit rows; sentences of one length together."""
        # Grouped by length, not padded to the longest of the call: the same kernels run for a
        # sentence whatever it comes with, so that its vector is the same bit for bit.
        lengths = torch.full((len(tokens),), tokens.shape[1])
        if self._tower is not None:
            lengths = sentence_lengths(tokens)
        size = self._batch_size
        vectors = np.empty((len(tokens), self._dim), dtype=np.float32)
        for length in sorted(set(lengths.tolist())):
            of_length = torch.nonzero(lengths == length).flatten()
            for start in range(0, len(of_length), size):
                rows = of_length[start : start + size]
                part = padded_batch(tokens[rows, :length], size).to(self._device)
                vectors[rows.numpy()] = self._forward(part)[: len(rows)].float().cpu().numpy()
        return unit(vectors)

    def _forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if self._tower is not None:
            return encode_trimmed(self._tower, tokens)
        encoded: torch.Tensor = self._model.encode_text(tokens)
        return encoded


def padded_batch(part: torch.Tensor, size: int) -> torch.Tensor:
    """Fill a batch up to its fixed size by repeating its first row: values that surely work."""
    return torch.cat([part, part[:1].expand(size - len(part), *part.shape[1:])])
