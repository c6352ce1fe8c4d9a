"""A vision model of timm as an encoder of maps: a vector for every patch or cell of a picture.

CLIP knows words; a model that was trained on pictures alone is the better judge of whether two
regions look alike (FreeDA, Barsellotti et al., 2024; CorrCLIP, Zhang et al., 2025).
"""

import hashlib
import math

import torch
from timm.data.config import resolve_model_data_config

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.batch_norm import fold_batch_norms
from captionary.vision.clip.digest import update_with_weights
from captionary.vision.hardware import choose_device, choose_precision
from captionary.vision.looks.files import load_vision_model


class LookModel:
    """A vision model that encodes patches of pictures of any size.

    Vision transformers give their patch tokens (class token and registers are left out, positions
    are interpolated), convolutional towers the cells of a map.

    Args:
        name:      as `load_vision_model`.
        block:     of a transformer the block, of other towers the stage whose map is taken, counted
            from 0 as timm does; None: what the model itself ends with.
        device:    auto, cpu, cuda or mps.
        precision: auto, float32 or bfloat16.

    Raises:
        WrongInput: the model cannot be loaded, has no such block, no map, or takes one size only.
    """

    dim: int
    patch: int
    """Pixels of a side of a patch or cell; sides of pictures are multiples of it."""
    input_side: int
    """Side in pixels of the pictures that it was trained on."""
    has_attention: bool
    fingerprint: str

    def __init__(
        self, name: str, *, block: int | None = None, device: str = "auto", precision: str = "auto"
    ) -> None:
        self.name = name
        self._block = block
        self._device = choose_device(device)
        self._dtype = choose_precision(precision, self._device)
        model = load_vision_model(name)
        facts = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
        self._mean, self._std = (torch.tensor(facts[key]).view(3, 1, 1) for key in ("mean", "std"))
        self.input_side = int(facts["input_size"][-1])
        self._prefix = int(getattr(model, "num_prefix_tokens", 0))
        self.has_attention = hasattr(model, "blocks") and hasattr(model, "patch_embed")
        digest = hashlib.sha256(repr((facts["mean"], facts["std"], block)).encode())
        update_with_weights(digest, model)
        self._model = model
        self._learn_shape()
        precision = str(self._dtype).removeprefix("torch.")
        self.fingerprint = f"looks-{digest.hexdigest()[:12]}-{precision}"
        # Seeded: whether norms can be folded must not depend on chance.
        example = torch.rand(
            1, 3, self.input_side, self.input_side, generator=torch.Generator().manual_seed(0)
        )
        if block is None:
            self._model = fold_batch_norms(model, example)
        self._model.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def _learn_shape(self) -> None:
        """Find the size of a patch and of its vector, and whether the model takes any size."""
        side = self.input_side
        trial = torch.zeros(1, 3, side, side)
        try:
            cells = self._map(trial)
            self.dim, self.patch = cells.shape[1], _stride(side / cells.shape[2])
            wide = self._map(torch.zeros(1, 3, 4 * self.patch, 6 * self.patch))
        except (IndexError, AssertionError) as error:
            raise WrongInput(
                f"the look model {self.name} has no block {self._block}, or takes pictures of one "
                f"size only ({error}); choose another"
            ) from error
        except (RuntimeError, ValueError, AttributeError) as error:
            raise WrongInput(
                f"the look model {self.name} has no map of pictures of any size; choose another"
            ) from error
        if tuple(wide.shape[2:]) != (4, 6):
            raise WrongInput(f"the look model {self.name} has no map of its patches")

    def _map(self, pictures: torch.Tensor) -> torch.Tensor:
        """Normalised pictures, (N, 3, H, W), to (N, D, h, w)."""
        if self._block is not None:
            maps: list[torch.Tensor] = self._model.forward_intermediates(
                pictures, indices=[self._block], output_fmt="NCHW", intermediates_only=True
            )
            return maps[0]
        cells: torch.Tensor = self._model.forward_features(pictures)
        if cells.ndim == 3:
            return self._grid(cells[:, self._prefix :], pictures)
        # Some towers (Swin) have their channels last.
        last = cells.shape[1] != self._model.num_features
        return cells.permute(0, 3, 1, 2) if last else cells

    def _grid(self, tokens: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        """Put tokens, (N, h w, D), in their places, (N, D, h, w)."""
        height, width = pictures.shape[2:]
        stride = round(math.sqrt(height * width / tokens.shape[1]))
        return tokens.transpose(1, 2).reshape(len(tokens), -1, height // stride, width // stride)

    @torch.inference_mode()
    def encode_map(self, pixels: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode every patch of one picture.

        Args:
            pixels:     (3, H, W) float in [0, 1]; sides multiples of `patch`.
            last_block: ignored; it is CLIP's that is altered.

        Returns:
            (H / patch, W / patch, D) float32 on the CPU, not normalised.
        """
        del last_block
        picture = ((pixels - self._mean) / self._std)[None]
        cells = self._map(picture.to(self._device, self._dtype, memory_format=torch.channels_last))
        return cells[0].permute(1, 2, 0).float().cpu()


def _stride(pixels: float) -> int:
    """Pixels of a side of a cell; of towers that pad their maps, where it is no whole number."""
    return int(pixels) if pixels.is_integer() else int(2 ** round(math.log2(pixels)))
