"""The proposer `sam`: all masks that a Segment Anything model predicts for a grid of points.

transformers has a pipeline for this, but it places the points as SAM 1 needs them (5.23): in a
picture that is not square, SAM 2 and 3 would get points in a part only. It also resizes every mask
to the picture's size before it drops most of them, which takes gigabytes.
"""

import hashlib
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from captionary.schemas.regions import Region
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import scaled_size
from captionary.vision.proposers.layers import (
    SAME_REGION_IOU,
    arrange_in_layers,
    suppress_duplicates,
)
from captionary.vision.proposers.sam_files import SamFiles, load_sam, sam_digest

POINTS_AT_ONCE = {"cpu": 16, "mps": 64, "cuda": 64}
"""Points per pass: memory grows with it, by 45 MB a point with SAM 2."""

LARGEST_ASPECT = 100
"""Longer side over shorter: of a longer strip a model sees next to nothing, and SAM 1 fails."""

STABILITY_OFFSET = 1.0
"""Distance in logits of the two thresholds whose masks `stability` compares, from 0."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which of a SAM's masks become regions; by default as SAM 2's own mask generator.

    points_per_side: the grid has this many rows and columns; each point gives up to three masks.
        Half of SAM 2's own: a quarter of the time, and what takes half a percent of the picture is
        still hit unless it is thin.
    min_iou:       smallest IoU that the model itself predicts for a mask.
    min_stability: see `stability`.
    same_iou:      of two masks that overlap more, the one with the worse score is left out.
    min_area:      smallest region, as a share of the picture.
    """

    points_per_side: int = 16
    min_iou: float = 0.8
    min_stability: float = 0.95
    same_iou: float = 0.7
    min_area: float = 0.001


@dataclass(frozen=True, slots=True)
class Candidates:
    """Masks that passed the thresholds.

    logits: (N, 1, l, l) float32, as the model gives them, positive inside.
    masks:  (N, h, w) bool, at a size to compare them at.
    scores: (N,) float32, the IoU that the model predicts.
    """

    logits: torch.Tensor
    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _EncodedPicture:
    """A picture encoded by the image encoder of the model.

    size_hw:    the picture's own size.
    frame_hw:   the size that it has in the model's input, in whose pixels points are given.
    embeddings: output of the image encoder.
    """

    size_hw: tuple[int, int]
    frame_hw: tuple[int, int]
    embeddings: Any


class Sam:
    """Proposes all masks that a Segment Anything model predicts for a grid of points.

    Layer 0 is the whole picture, the masks are in as few further layers as they need not to
    overlap; a pixel may be in none of those. SAM 1, SAM 2 and the tracker of SAM 3 take points. SAM
    1 and 2 (facebook/sam2.1-hiera-tiny, ...) are under Apache-2.0. SAM 3 (facebook/sam3) is under
    the SAM Licence of its own, which the hub asks to accept before it hands out the weights.

    Args:
        files:      where the model is.
        device:     where to run it, in float32.
        thresholds: which masks to take.

    Raises:
        WrongInput: the model cannot be loaded.
    """

    fingerprint: str

    def __init__(
        self, files: SamFiles, *, device: torch.device, thresholds: Thresholds | None = None
    ) -> None:
        self._thresholds = thresholds or Thresholds()
        self._device = device
        self._model, self._processor = load_sam(files, device)
        model = sam_digest(self._model, self._processor, files)
        text = repr((model, astuple(self._thresholds), STABILITY_OFFSET, SAME_REGION_IOU))
        self.fingerprint = f"sam-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @torch.inference_mode()
    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture: the whole, then the masks from large to small."""
        if max(picture.size_hw) > LARGEST_ASPECT * min(picture.size_hw):
            return arrange_in_layers([], picture.size_hw)
        encoded = self._encode(picture)
        candidates = self._find_candidates(encoded)
        chosen = suppress_duplicates(
            candidates.masks, candidates.scores, same_iou=self._thresholds.same_iou
        )
        # One at a time: at the picture's own size logits take four bytes a pixel.
        logits = (candidates.logits[[index]] for index in chosen)
        resized = (self._resize(each, picture.size_hw, encoded)[0] > 0 for each in logits)
        masks = [mask.cpu().numpy() for mask in resized]
        return arrange_in_layers([mask for mask in masks if mask.any()], picture.size_hw)

    def _encode(self, picture: LoadedPicture) -> _EncodedPicture:
        """Run the image encoder, the large part of the model, once for all points."""
        inputs = self._processor(images=Image.fromarray(picture.pixels), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._device)
        # SAM 1 keeps the aspect and pads with zeros; the others squash to a square.
        shapes = inputs.get("reshaped_input_sizes", [pixels.shape[-2:]])
        height, width = (int(side) for side in shapes[0])
        embeddings = self._model.get_image_embeddings(pixels)
        return _EncodedPicture(picture.size_hw, (height, width), embeddings)

    def _find_candidates(self, encoded: _EncodedPicture) -> Candidates:
        points = point_grid(self._thresholds.points_per_side, encoded.frame_hw).to(self._device)
        parts = [
            self._filter(*self._predict(some, encoded), encoded)
            for some in torch.split(points, POINTS_AT_ONCE[self._device.type])
        ]
        return Candidates(
            torch.cat([part.logits for part in parts]),
            np.concatenate([part.masks for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def _predict(
        self, points_xy: torch.Tensor, encoded: _EncodedPicture
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict the masks at P points, (P, 2): logits (3 P, 1, l, l) and scores (3 P,)."""
        prompts = points_xy[None, :, None]
        output = self._model(
            image_embeddings=encoded.embeddings,
            input_points=prompts,
            input_labels=torch.ones(prompts.shape[:3], dtype=torch.int64, device=self._device),
        )
        return output.pred_masks[0].flatten(0, 1)[:, None], output.iou_scores[0].flatten()

    def _filter(
        self, logits: torch.Tensor, scores: torch.Tensor, encoded: _EncodedPicture
    ) -> Candidates:
        """Keep the masks that pass the thresholds and are not nearly the whole picture."""
        limits = self._thresholds
        # By score first: the rest need not be resized.
        confident = scores >= limits.min_iou
        logits, scores = logits[confident], scores[confident]
        # The model's own resolution is enough to compare at, and no more than the picture has.
        longest = min(logits.shape[-1], max(encoded.size_hw))
        resized = self._resize(logits, scaled_size(encoded.size_hw, longest), encoded)
        masks = resized > 0
        area = masks.float().mean(dim=(1, 2))
        good = (stability(resized) >= limits.min_stability) & (area > 0)
        good &= (area >= limits.min_area) & (area <= SAME_REGION_IOU)
        return Candidates(logits[good], masks[good].cpu().numpy(), scores[good].cpu().numpy())

    def _resize(
        self, logits: torch.Tensor, size_hw: tuple[int, int], encoded: _EncodedPicture
    ) -> torch.Tensor:
        """Remove padding and resize logits, (N, 1, l, l) -> (N, h, w)."""
        resized = self._processor.post_process_masks(
            [logits], [size_hw], reshaped_input_sizes=[encoded.frame_hw], binarize=False
        )
        single: torch.Tensor = resized[0][:, 0]
        return single


def point_grid(side: int, size_hw: tuple[int, int]) -> torch.Tensor:
    """Spread side x side points evenly over a picture: (side^2, 2) float32, x and y in pixels."""
    shares = (torch.arange(side, dtype=torch.float32) + 0.5) / side
    rows, columns = torch.meshgrid(shares * size_hw[0], shares * size_hw[1], indexing="ij")
    return torch.stack([columns, rows], dim=-1).reshape(-1, 2)


def stability(logits: torch.Tensor) -> torch.Tensor:
    """Stability score of masks under a change of threshold, (N, h, w) -> (N,), in [0, 1].

    It is the IoU of the mask at STABILITY_OFFSET above the usual threshold with that at as much
    below it (Kirillov et al., Segment Anything, 2023).
    """
    inner = (logits > STABILITY_OFFSET).sum(dim=(1, 2))
    outer = (logits > -STABILITY_OFFSET).sum(dim=(1, 2))
    return inner / outer.clamp(min=1)
