"""How good an encoder is by now: does it find pictures and captions, and name what it sees?"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from captionary.learning.data.batches import Batch, Prepared, loader
from captionary.learning.data.examples import Examples
from captionary.learning.methods.clip import ClipInputs
from captionary.learning.metrics import accuracy, recall
from captionary.vision.clip.texts import choose_templates
from captionary.vision.pictures.resizing import squash_bytes

EVALUATED_AT_ONCE = 256
READ_AT_ONCE = 32
RETRIEVAL = ("image_to_text_1", "text_to_image_1", "image_to_text_5", "text_to_image_5")


class Encoders(Protocol):
    """A module that encodes pictures and sentences alike; it lives on one device."""

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


class Recognition:
    """Measures retrieval among held-out examples, and naming of labelled pictures.

    Args:
        inputs:   as in training.
        held_out: examples to retrieve, with a caption of each; None: retrieval is not measured.
        labelled: pictures to name; None: naming is not measured.
        workers:  processes that read the held-out examples, now.
    """

    def __init__(
        self,
        inputs: ClipInputs,
        *,
        held_out: Examples | None = None,
        labelled: LabelledPictures | None = None,
        workers: int = 0,
    ) -> None:
        self._inputs, self._labelled = inputs, labelled
        self._pairs = None if held_out is None else _all_of(held_out, inputs, workers)

    @property
    def measures(self) -> tuple[str, ...]:
        """Recall at 1 and 5 in both directions, and accuracy of naming."""
        return (RETRIEVAL if self._pairs else ()) + (("accuracy",) if self._labelled else ())

    def figures(self, module: Encoders) -> Mapping[str, float]:
        """Measure a module, on the device where it is; values in [0, 1]."""
        figures = []
        if self._pairs:
            pictures, tokens = self._pairs
            texts, text_of = torch.unique(tokens, dim=0, return_inverse=True)
            scores = _scores(module, pictures, texts)
            figures += [share for at in (1, 5) for share in recall(scores, text_of, at=at)]
        if self._labelled:
            figures.append(self._accuracy(module, self._labelled))
        return dict(zip(self.measures, figures, strict=True))

    def _accuracy(self, module: Encoders, labelled: LabelledPictures) -> float:
        (template,) = choose_templates("plain")
        tokens = self._inputs.tokenizer([template(name) for name in labelled.names])
        size_hw = self._inputs.size_hw
        pictures = [squash_bytes(item, size_hw=size_hw) for item in labelled.pictures]
        scores = _scores(module, torch.stack(pictures), tokens)
        return accuracy(scores, torch.tensor(labelled.targets))


def _scores(module: Encoders, pictures: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Cosines of I pictures with T sentences, (I, T), on the CPU."""
    device = next(module.parameters()).device
    images = _encoded(module.encode_pictures, pictures, device)
    return images @ _encoded(module.encode_tokens, tokens, device).T


def _encoded(
    encode: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Encode in parts: (N, ...) to (N, D), on the CPU."""
    size = EVALUATED_AT_ONCE
    parts = (inputs[start : start + size] for start in range(0, len(inputs), size))
    return torch.cat([encode(part.to(device)).cpu() for part in parts])


def _all_of(examples: Examples, inputs: ClipInputs, workers: int) -> Batch:
    """All examples, whole, with a caption each, as one batch; always the same."""
    data = Prepared(examples, replace(inputs, least=1.0, masked=0.0, trimmable=False), seed=0)
    draws = [(number, 0) for number in range(len(examples))]
    parts = [draws[start : start + READ_AT_ONCE] for start in range(0, len(draws), READ_AT_ONCE)]
    batches = list(loader(data, parts, data.inputs.together, workers=workers))
    return inputs.together([pair for batch in batches for pair in zip(*batch, strict=True)])
