"""CLIP as two functions: pictures to unit vectors, names to unit vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import open_clip
import torch

from captionary.schemas.arrays import Vectors
from captionary.schemas.vectors import unit
from captionary.vision.clip import conv, vit
from captionary.vision.clip.batch_norm import fold_batch_norms
from captionary.vision.clip.files import (
    clip_digest,
    find_clip,
    load_clip,
    load_cluster_head,
    load_tokenizer,
)
from captionary.vision.clip.last_block import LAST_BLOCKS
from captionary.vision.clip.last_pass import LastPass
from captionary.vision.clip.texts import (
    VectorCache,
    choose_templates,
    encode_trimmed,
    sentence_lengths,
    trimmable_tower,
)
from captionary.vision.grouping.pgseg import PgsegTower
from captionary.vision.grouping.vilseg import patch_features
from captionary.vision.hardware import choose_device, choose_precision

IMAGE_BATCH = {"cpu": 8, "mps": 32, "cuda": 64}
"""Pictures per pass. On a CPU small batches stay in the cache and are faster than large ones."""

TEXT_BATCH = {"cpu": 64, "mps": 128, "cuda": 512}
"""Sentences per pass."""

DEFAULT_TEMPLATES = "80"
NAMES_AT_ONCE = 64
CACHED_NAMES = 20_000


class ClipEncoder:
    """A CLIP of open_clip as image and text encoder.

    A vector does not depend on what else is encoded with it: every pass has the same shape (the
    last batch is padded), so the same kernels run. On one machine it is the same bit for bit.

    Args:
        name: MODEL/TAG (`ViT-B-16/openai`), `local-dir:FOLDER` in open_clip's layout,
            `pgseg:FOLDER`, `vilseg:FOLDER`, or the name of a bundled model (`mini`).
        device: auto, cpu, cuda or mps.
        precision: auto, float32 or bfloat16; auto is bfloat16 where the processor has it.
        templates: the sentences that a name is put in: 80, 7 or plain; None: what the model's
            folder says, or else 80.

    Raises:
        WrongInput: a name is unknown, or the model cannot be found, downloaded or loaded.
        MissingExtra: the model needs a package that is not installed.
    """

    dim: int
    input_size_hw: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    logit_scale: float
    batch_size: int
    precision: str
    fingerprint: str
    embed: str | None
    groups: str | None
    """The proposer of the groups that it has learned to see; None: it has learned none."""

    ways: tuple[str, ...]
    any_size: bool
    patch: int

    def __init__(
        self,
        name: str,
        *,
        device: str = "auto",
        precision: str = "auto",
        templates: str | None = None,
    ) -> None:
        choose_templates(templates or DEFAULT_TEMPLATES)
        self._device = choose_device(device)
        self._dtype = choose_precision(precision, self._device)
        files = find_clip(name)
        self.embed = files.embed
        self.groups = files.groups
        self._only = None if templates else files.templates
        self._templates = templates or files.templates or DEFAULT_TEMPLATES
        choose_templates(self._templates)
        model, head = load_clip(files), load_cluster_head(files)
        self.name = name
        self._describe(model, digest=clip_digest(model, files, head))
        self.dim = int(files.config["embed_dim"])
        self._tokenize = load_tokenizer(files)
        example = torch.rand(1, 3, *self.input_size_hw, generator=torch.Generator().manual_seed(0))
        model.visual = fold_batch_norms(model.visual, example)
        self._look_at_tower(model.visual, example)
        self._model = model.to(device=self._device, dtype=self._dtype)
        self._head = None if head is None else head.to(device=self._device, dtype=self._dtype)
        # Convolutions run several times faster so; other layers do not care.
        self._model.visual.to(memory_format=torch.channels_last)
        self._text_tower = trimmable_tower(self._model)
        self._cache = VectorCache(CACHED_NAMES)
        self._grouped = LastPass(self._look_for_groups)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._device

    def _describe(self, model: open_clip.CLIP, *, digest: str) -> None:
        cfg = open_clip.get_model_preprocess_cfg(model)
        size = cfg["size"]
        height, width = (size, size) if isinstance(size, int) else size
        self.input_size_hw = (int(height), int(width))
        self.mean = _three(cfg["mean"])
        self.std = _three(cfg["std"])
        self.logit_scale = float(model.logit_scale.exp())
        self.batch_size = IMAGE_BATCH[self._device.type]
        self.precision = str(self._dtype).removeprefix("torch.")
        self.fingerprint = f"clip-{digest}-{self.precision}"

    def _look_at_tower(self, visual: Any, example: torch.Tensor) -> None:
        """Find out in which ways regions can be embedded."""
        if isinstance(visual, PgsegTower):
            self._vit, self.any_size, self.patch = False, True, visual.patch_size[0]
            self.ways = ("crop", "dense")
            return
        self._vit = vit.is_plain_vit(visual)
        tokens, stride = vit.has_class_token(visual), conv.dense_stride(visual, example)
        can = {"crop": True, "tokens": tokens, "dense": self._vit or stride is not None}
        self.ways = tuple(way for way, possible in can.items() if possible)
        resizes = stride is not None and not conv.pools_by_attention(visual)
        self.any_size = self._vit or resizes
        self.patch = int(visual.patch_size[0]) if self._vit else stride or 1

    @property
    def attends(self) -> bool:
        """Whether its feature maps come from attention, whose last block can be altered."""
        return self._vit

    @torch.inference_mode()
    def encode_images(self, batch: torch.Tensor) -> Vectors:
        """Encode pictures of the input size, or of another where the encoder takes any.

        Args:
            batch: (N, 3, h, w) float in [0, 1]; normalised here with `mean` and `std`. Sides other
                than the input's must be multiples of `patch`.

        Returns:
            (N, D) float32, unit length.
        """
        usual = tuple(batch.shape[1:]) == (3, *self.input_size_hw)
        whole = batch.ndim == 4 and not any(side % self.patch for side in batch.shape[2:])
        if not usual and not (self.any_size and whole and batch.shape[1] == 3):
            expected = f"(N, 3, {self.input_size_hw[0]}, {self.input_size_hw[1]})"
            raise ValueError(f"encode_images takes {expected}, got {tuple(batch.shape)}")
        passes = []
        for start in range(0, len(batch), self.batch_size):
            part = batch[start : start + self.batch_size]
            ready = self._prepared(_padded(part, self.batch_size))
            if usual or not self._vit:
                vectors = self._model.encode_image(ready)
            else:
                vectors = vit.picture_vector(self._model.visual, ready)
            passes.append(vectors[: len(part)].float().cpu().numpy())
        return unit(np.concatenate(passes)) if passes else self._none()

    @torch.inference_mode()
    def encode_map(self, pixels: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode every patch of one picture of any size.

        Args:
            pixels:     (3, H, W) float in [0, 1]; sides multiples of `patch`.
            last_block: name in LAST_BLOCKS; towers without attention have no use for it.

        Returns:
            (H / patch, W / patch, D) float32 on the CPU, not normalised.
        """
        visual = self._model.visual
        if isinstance(visual, PgsegTower):
            vectors = visual.dense_map(self._grouped(pixels))
        elif self._head is not None and last_block == "plain":
            vectors = self._grouped(pixels) @ visual.proj
        elif self._vit:
            vectors = vit.dense_map(visual, self._prepared(pixels[None]), LAST_BLOCKS[last_block])
        else:
            vectors = conv.dense_map(visual, self._prepared(pixels[None]))
        return vectors[0].float().cpu()

    @torch.inference_mode()
    def group_maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Which group each patch of one picture belongs to, by a model that has learned to group.

        Args:
            pixels: (3, H, W) float in [0, 1]; sides multiples of `patch`.

        Returns:
            (H / patch, W / patch, groups) float32 on the CPU, rows sum to 1; a map for each
            grouping, the coarsest last.
        """
        seen = self._grouped(pixels)
        if self._head is None:
            maps = self._model.visual.group_maps(seen)
        else:
            maps = [self._head(seen).softmax(dim=-1)]
        return [shares[0].float().cpu() for shares in maps]

    def _look_for_groups(self, pixels: torch.Tensor) -> Any:
        """What groups and feature map of one picture, (3, H, W), are made of."""
        batch, visual = self._prepared(pixels[None]), self._model.visual
        return visual.grouped(batch) if self._head is None else patch_features(visual, batch)

    @torch.inference_mode()
    def encode_regions(
        self, pixels: torch.Tensor, coverage: torch.Tensor, *, first_block: int
    ) -> torch.Tensor:
        """Encode regions of one picture of any size, each by a class token of its own.

        Args:
            pixels:   (3, H, W) float in [0, 1]; sides multiples of `patch`.
            coverage: (R, patches) in [0, 1], as `vision.clip.vit.region_tokens`.

        Returns:
            (R, D) float32 on the CPU, not normalised.
        """
        batch, shares = self._prepared(pixels[None]), coverage[None].to(self._device)
        vectors = vit.region_tokens(self._model.visual, batch, shares, first_block=first_block)
        return vectors[0].float().cpu()

    def _prepared(self, batch: torch.Tensor) -> torch.Tensor:
        """Pictures in [0, 1] as the model takes them, (N, 3, H, W)."""
        mean = torch.tensor(self.mean).view(3, 1, 1)
        std = torch.tensor(self.std).view(3, 1, 1)
        scaled = (batch.float() - mean) / std
        if self._device.type == "cuda":
            scaled = scaled.pin_memory()
        return scaled.to(
            self._device, self._dtype, memory_format=torch.channels_last, non_blocking=True
        )

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        """Encode names: each is put in every template, and the sentences' unit vectors averaged.

        Args:
            names:     any words; what was encoded lately is not encoded again.
            templates: 80, 7 or plain; None: those that the encoder was made with. A model whose
                folder names its sentences is asked in no others.

        Returns:
            (N, D) float32, unit length; one row for each name, in order.
        """
        templates = self._only or templates or self._templates
        vectors = {name: self._cache.get((templates, name)) for name in names}
        missing = [name for name, vector in vectors.items() if vector is None]
        for start in range(0, len(missing), NAMES_AT_ONCE):
            part = missing[start : start + NAMES_AT_ONCE]
            for name, vector in zip(part, self._ensemble(part, templates), strict=True):
                self._cache.put((templates, name), vector)
                vectors[name] = vector
        rows = [vectors[name] for name in names]
        return np.stack([row for row in rows if row is not None]) if rows else self._none()

    def _ensemble(self, names: Sequence[str], templates: str) -> Vectors:
        sentences_of = choose_templates(templates)
        sentences = [template(name) for name in names for template in sentences_of]
        each = self._encode_sentences(self._tokenize(sentences))
        return unit(each.reshape(len(names), len(sentences_of), self.dim).mean(axis=1))

    @torch.inference_mode()
    def _encode_sentences(self, tokens: torch.Tensor) -> Vectors:
        """Encode tokens, (N, L) int64, to (N, D) unit rows; sentences of one length together."""
        lengths = torch.full((len(tokens),), tokens.shape[1])
        if self._text_tower is not None:
            lengths = sentence_lengths(tokens)
        size = TEXT_BATCH[self._device.type]
        vectors = np.empty((len(tokens), self.dim), dtype=np.float32)
        for length in sorted(set(lengths.tolist())):
            alike = torch.nonzero(lengths == length).flatten()
            for start in range(0, len(alike), size):
                rows = alike[start : start + size]
                part = _padded(tokens[rows, :length], size).to(self._device)
                vectors[rows.numpy()] = self._run_text(part)[: len(rows)].float().cpu().numpy()
        return unit(vectors)

    def _run_text(self, tokens: torch.Tensor) -> torch.Tensor:
        if self._text_tower is not None:
            return encode_trimmed(self._text_tower, tokens)
        encoded: torch.Tensor = self._model.encode_text(tokens)
        return encoded

    def _none(self) -> Vectors:
        return np.empty((0, self.dim), dtype=np.float32)


def _padded(part: torch.Tensor, size: int) -> torch.Tensor:
    """Fill a batch up to its fixed size by repeating its first row: values that surely work."""
    return torch.cat([part, part[:1].expand(size - len(part), *part.shape[1:])])


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
