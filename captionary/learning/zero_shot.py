"""Zero-shot evaluation of an encoder: retrieval of pictures and captions, and classification."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from captionary.learning.data.batches import Batch, PreparedExamples, build_loader
from captionary.learning.data.examples import Examples
from captionary.learning.methods.clip import ClipPreprocessor
from captionary.learning.metrics import accuracy, recall
from captionary.vision.clip.texts import choose_templates
from captionary.vision.pictures.resizing import squash_bytes

ENCODE_BATCH = 256
READ_BATCH = 32
RETRIEVAL = ("image_to_text_1", "text_to_image_1", "image_to_text_5", "text_to_image_5")


class DualEncoder(Protocol):
    """A module that encodes pictures and sentences into one space; it lives on one device."""

    def encode_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode (N, 3, h, w) uint8 to (N, D) float32, unit length."""
        ...

    def encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode (N, l) int64 to (N, D) float32, unit length."""
        ...

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Its weights, at least one."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """Pictures of one thing each.

    pictures: (N, h, w, 3) uint8, of any one size.
    targets:  (N,) int64, indices into `names`.
    """

    pictures: NDArray[np.uint8]
    targets: NDArray[np.int64]
    names: tuple[str, ...]


class ZeroShotEvaluation:
    """Evaluates retrieval among held-out examples, and classification of labelled pictures.

    Args:
        preprocessor: as in training.
        held_out:     examples to retrieve, with a caption of each; None: no retrieval.
        labelled:     pictures to classify; None: no classification.
        workers:      processes that read the held-out examples, now.
    """

    def __init__(
        self,
        preprocessor: ClipPreprocessor,
        *,
        held_out: Examples | None = None,
        labelled: LabelledPictures | None = None,
        workers: int = 0,
    ) -> None:
        self._preprocessor, self._labelled = preprocessor, labelled
        self._pairs = None if held_out is None else _prepare_all(held_out, preprocessor, workers)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Recall at 1 and 5 in both directions, and accuracy of classification."""
        return (RETRIEVAL if self._pairs else ()) + (("accuracy",) if self._labelled else ())

    def evaluate(self, module: DualEncoder) -> Mapping[str, float]:
        """Evaluate a module, on the device where it is; values in [0, 1]."""
        values = []
        if self._pairs:
            pictures, tokens = self._pairs
            # Captions that are equal are one text: any of their pictures is then the right one.
            texts, text_of = torch.unique(tokens, dim=0, return_inverse=True)
            scores = _cosines(module, pictures, texts)
            values += [share for at in (1, 5) for share in recall(scores, text_of, at=at)]
        if self._labelled:
            values.append(self._accuracy(module, self._labelled))
        return dict(zip(self.metric_names, values, strict=True))

    def _accuracy(self, module: DualEncoder, labelled: LabelledPictures) -> float:
        # One sentence for a name: a model trained from nothing knows no ensemble for photographs.
        (template,) = choose_templates("plain")
        tokens = self._preprocessor.tokenizer([template(name) for name in labelled.names])
        size_hw = self._preprocessor.size_hw
        pictures = [squash_bytes(item, size_hw=size_hw) for item in labelled.pictures]
        scores = _cosines(module, torch.stack(pictures), tokens)
        return accuracy(scores, torch.tensor(labelled.targets))


def _cosines(module: DualEncoder, pictures: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Cosines of I pictures with T sentences, (I, T), on the CPU."""
    device = next(module.parameters()).device
    images = _encode_batched(module.encode_pictures, pictures, device)
    return images @ _encode_batched(module.encode_tokens, tokens, device).T


def _encode_batched(
    encode: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Encode in batches: (N, ...) to (N, D), on the CPU."""
    size = ENCODE_BATCH
    parts = (inputs[start : start + size] for start in range(0, len(inputs), size))
    return torch.cat([encode(part.to(device)).cpu() for part in parts])


def _prepare_all(examples: Examples, preprocessor: ClipPreprocessor, workers: int) -> Batch:
    """All examples, whole, with a caption each, as one batch; always the same."""
    # Trimmed to the longest caption of a part, the parts' tokens would not fit one another.
    whole = replace(preprocessor, min_area=1.0, masked=0.0, trimmable=False)
    data = PreparedExamples(examples, whole, seed=0)
    draws = [(number, 0) for number in range(len(examples))]
    parts = [draws[start : start + READ_BATCH] for start in range(0, len(draws), READ_BATCH)]
    batches = list(build_loader(data, parts, whole.collate, workers=workers))
    return preprocessor.collate([pair for batch in batches for pair in zip(*batch, strict=True)])
