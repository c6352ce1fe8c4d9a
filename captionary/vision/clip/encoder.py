"""CLIP as an encoder: pictures to unit vectors, names to unit vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import open_clip
import torch

from captionary.files.cache import CacheFile
from captionary.schemas.arrays import Vectors
from captionary.schemas.vectors import unit
from captionary.vision.clip.batch_norm import fold_batch_norms
from captionary.vision.clip.digest import clip_digest
from captionary.vision.clip.files import find_clip, load_clip, load_cluster_head, load_tokenizer
from captionary.vision.clip.text_encoder import ClipTextEncoder, padded_batch
from captionary.vision.clip.texts import choose_templates
from captionary.vision.clip.tower import tower_of
from captionary.vision.hardware import choose_device, choose_precision

IMAGE_BATCH = {"cpu": 8, "mps": 32, "cuda": 64}
"""Pictures per pass. On a CPU small batches stay in the cache and are faster than large ones."""

DEFAULT_TEMPLATES = "7"


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
            folder says, or else 7.
        cache: where vectors of texts are kept from run to run; None: nowhere.

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
    default_embedding: str | None
    """How regions are best embedded, where the model's folder says so."""
    default_looks: str | None
    """The look model that goes with it, where the model's folder says so."""
    from_folder: bool
    """Whether it came from a folder here, and not by a name of open_clip."""
    default_proposer: str | None
    """The proposer of the groups that it has learned; None: it has learned none."""

    def __init__(
        self,
        name: str,
        *,
        device: str = "auto",
        precision: str = "auto",
        templates: str | None = None,
        cache: CacheFile | None = None,
    ) -> None:
        choose_templates(templates or DEFAULT_TEMPLATES)
        self.device = choose_device(device)
        self._dtype = choose_precision(precision, self.device)
        files = find_clip(name)
        self.name = name
        self.default_embedding = files.default_embedding
        self.default_looks = files.default_looks
        self.from_folder = files.folder is not None
        self.default_proposer = files.default_proposer
        # A folder's templates hold even where a call names others: a model trained on one kind of
        # sentence knows no other. What the constructor is given comes before the folder.
        self._only_templates = None if templates else files.templates
        self._templates = templates or files.templates or DEFAULT_TEMPLATES
        choose_templates(self._templates)
        # The digest is of the weights as stored: folding and bfloat16 depend on the machine.
        model, head = load_clip(files), load_cluster_head(files)
        self._describe(model, digest=clip_digest(model, files, head))
        self.dim = int(files.config["embed_dim"])
        # Seeded: whether norms can be folded must not depend on chance.
        example = torch.rand(1, 3, *self.input_size_hw, generator=torch.Generator().manual_seed(0))
        model.visual = fold_batch_norms(model.visual, example)
        self.tower = tower_of(model, head, example)
        for module in (model, head):
            if module is not None:
                module.to(device=self.device, dtype=self._dtype)
        # Convolutions run several times faster so; other layers do not care.
        model.visual.to(memory_format=torch.channels_last)
        self._texts = ClipTextEncoder(
            model,
            load_tokenizer(files),
            dim=self.dim,
            cache=cache,
            fingerprint=self.fingerprint,
        )

    def _describe(self, model: Any, *, digest: str) -> None:
        preprocessing = open_clip.get_model_preprocess_cfg(model)
        size = preprocessing["size"]
        height, width = (size, size) if isinstance(size, int) else size
        self.input_size_hw = (int(height), int(width))
        self.mean = _three(preprocessing["mean"])
        self.std = _three(preprocessing["std"])
        self.logit_scale = float(model.logit_scale.exp())
        self.batch_size = IMAGE_BATCH[self.device.type]
        self.precision = str(self._dtype).removeprefix("torch.")
        self.fingerprint = f"clip-{digest}-{self.precision}"

    @property
    def patch(self) -> int:
        """Pixels of a side of a patch of its tower."""
        return self.tower.patch

    @torch.inference_mode()
    def encode_images(self, batch: torch.Tensor) -> Vectors:
        """Encode pictures of the input size, or of another where the tower takes any.

        Args:
            batch: (N, 3, h, w) float in [0, 1]; normalised here with `mean` and `std`. Sides other
                than the input's must be multiples of the tower's `patch`.

        Returns:
            (N, D) float32, unit length.
        """
        usual = tuple(batch.shape[1:]) == (3, *self.input_size_hw)
        whole = batch.ndim == 4 and not any(side % self.tower.patch for side in batch.shape[2:])
        if not usual and not (self.tower.any_size and whole and batch.shape[1] == 3):
            expected = f"(N, 3, {self.input_size_hw[0]}, {self.input_size_hw[1]})"
            raise ValueError(f"encode_images takes {expected}, got {tuple(batch.shape)}")
        passes = []
        for start in range(0, len(batch), self.batch_size):
            part = batch[start : start + self.batch_size]
            normalised = self._normalised(padded_batch(part, self.batch_size))
            vectors = self.tower.picture_vectors(normalised, usual_size=usual)
            passes.append(vectors[: len(part)].float().cpu().numpy())
        return unit(np.concatenate(passes)) if passes else np.empty((0, self.dim), np.float32)

    @torch.inference_mode()
    def encode_map(self, pixels: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode every patch of one picture of any size.

        Args:
            pixels:     (3, H, W) float in [0, 1]; sides multiples of the tower's `patch`.
            last_block: a name in LAST_BLOCKS; towers without attention ignore it.

        Returns:
            (H / patch, W / patch, D) float32 on the CPU, not normalised.
        """
        vectors = self.tower.dense_map(self._normalised(pixels[None]), last_block=last_block)
        return vectors[0].float().cpu()

    @torch.inference_mode()
    def group_maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Assign the patches of one picture to the groups that the model has learned.

        Args:
            pixels: (3, H, W) float in [0, 1]; sides multiples of the tower's `patch`.

        Returns:
            (H / patch, W / patch, groups) float32 on the CPU, rows sum to 1; a map for each
            grouping, the coarsest last.
        """
        maps = self.tower.group_maps(self._normalised(pixels[None]))
        return [shares[0].float().cpu() for shares in maps]

    @torch.inference_mode()
    def encode_regions(self, pixels: torch.Tensor, coverage: torch.Tensor) -> torch.Tensor:
        """Encode regions of one picture of any size, each by a class token of its own.

        Args:
            pixels:   (3, H, W) float in [0, 1]; sides multiples of the tower's `patch`.
            coverage: (R, patches) in [0, 1], as `vit.region_tokens`.

        Returns:
            (R, D) float32 on the CPU, not normalised.
        """
        shares = coverage[None].to(self.device)
        return self.tower.region_tokens(self._normalised(pixels[None]), shares)[0].float().cpu()

    def _normalised(self, batch: torch.Tensor) -> torch.Tensor:
        """Pictures in [0, 1] as the tower takes them, (N, 3, H, W), on the device."""
        mean = torch.tensor(self.mean).view(3, 1, 1)
        std = torch.tensor(self.std).view(3, 1, 1)
        scaled = (batch.float() - mean) / std
        # Copies from pinned memory run beside the computation.
        if self.device.type == "cuda":
            scaled = scaled.pin_memory()
        return scaled.to(
            self.device, self._dtype, memory_format=torch.channels_last, non_blocking=True
        )

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        """Encode names: each is put in every template, and the sentences' unit vectors averaged.

        Args:
            names:     any words; what was encoded lately is not encoded again.
            templates: 80, 7 or plain; None: those that the encoder was made with. A model whose
                folder names its templates is used with no others.

        Returns:
            (N, D) float32, unit length; one row for each name, in order.
        """
        return self._texts.encode(names, self._only_templates or templates or self._templates)


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
