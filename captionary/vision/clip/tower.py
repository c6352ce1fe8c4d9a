"""The image towers of CLIPs, whatever they are built of, behind one protocol.

A tower takes normalised pictures on its device and in its number type. What it can do depends on
its kind: `tower_of` finds out which kind a model's tower is.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeAlias

import torch
from torch import nn

from captionary.vision.clip import conv, vit
from captionary.vision.clip.last_block import LAST_BLOCKS
from captionary.vision.grouping.cluster_head import ClusterHead, patch_features
from captionary.vision.grouping.pgseg import PgsegTower
from captionary.vision.last_input import LastInput

Encode: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
"""Encodes pictures, (N, 3, H, W), to (N, D)."""


class Tower(Protocol):
    """The image side of a CLIP.

    ways:        in which regions can be embedded by it: some of crop, tokens, dense.
    any_size:    whether it takes pictures of other sizes than its input.
    patch:       pixels of a side of a patch; sides of pictures of other sizes are multiples of it.
    has_attention: whether its feature maps come from attention, whose last block can be altered.
    """

    ways: tuple[str, ...]
    any_size: bool
    patch: int
    has_attention: bool

    def picture_vectors(self, pictures: torch.Tensor, *, usual_size: bool) -> torch.Tensor:
        """Encode pictures, (N, 3, H, W), to (N, D), not normalised."""
        ...

    def dense_map(self, picture: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode each patch of one picture, (1, 3, H, W), to (1, h, w, D), not normalised.

        last_block: a name in LAST_BLOCKS; towers without attention ignore it.
        """
        ...

    def region_tokens(self, picture: torch.Tensor, coverage: torch.Tensor) -> torch.Tensor:
        """Encode regions of one picture, each by a class token of its own, to (1, R, D).

        coverage: (1, R, h w) in [0, 1], as `vit.region_tokens`. Only with "tokens" in `ways`.
        """
        ...

    def group_maps(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """Assign patches of one picture to groups, (1, h, w, groups) a grouping, coarsest last.

        Only of models that have learned to group; rows sum to 1.
        """
        ...


def tower_of(model: Any, head: ClusterHead | None, example: torch.Tensor) -> Tower:
    """Find the kind of a model's image tower.

    Args:
        model:   a CLIP of open_clip, or of `build_pgseg`, on the CPU in float32.
        head:    ViL-Seg's cluster head, where the model has one.
        example: a picture of its input size, (1, 3, H, W), to try it on.
    """
    visual = model.visual
    # From special to general: what none of the others can take apart only encodes whole pictures.
    encode: Encode = model.encode_image
    if isinstance(visual, PgsegTower):
        return GroupTower(visual, encode)
    if vit.is_plain_vit(visual):
        return VitTower(visual, encode) if head is None else ClusterTower(visual, encode, head)
    stride = conv.dense_stride(visual, example)
    if stride is None:
        return CropTower(visual, encode)
    return ConvolutionalTower(visual, encode, stride)


class CropTower:
    """A tower of unknown build: it encodes whole pictures of its input size and nothing else.

    encode: the model's own function; the tower's output alone may be more than the vectors (CoCa).
    """

    ways: tuple[str, ...] = ("crop",)
    any_size = False
    patch = 1
    has_attention = False

    def __init__(self, visual: Any, encode: Encode) -> None:
        self.visual = visual
        self._encode = encode

    def picture_vectors(self, pictures: torch.Tensor, *, usual_size: bool) -> torch.Tensor:
        """Encode pictures of the input size."""
        del usual_size  # it has no other
        return self._encode(pictures)

    def dense_map(self, picture: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Raise: cells of its maps cannot be projected one by one."""
        raise NotImplementedError("this tower has no feature maps")

    def region_tokens(self, picture: torch.Tensor, coverage: torch.Tensor) -> torch.Tensor:
        """Raise: it has no class token to copy."""
        raise NotImplementedError("this tower has no class token")

    def group_maps(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """Raise: it has learned no groups."""
        raise NotImplementedError("this tower has learned no groups")


class ConvolutionalTower(CropTower):
    """A convolutional tower whose last map can be projected cell by cell (`conv`).

    stride: pixels per side of a cell of the map.
    """

    ways: tuple[str, ...] = ("crop", "dense")

    def __init__(self, visual: nn.Module, encode: Encode, stride: int) -> None:
        super().__init__(visual, encode)
        self.patch = stride
        self.any_size = not conv.pools_by_attention(visual)

    def dense_map(self, picture: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode each cell of the last map."""
        del last_block  # there is no attention to alter
        return conv.dense_map(self.visual, picture)


class VitTower(CropTower):
    """A vision transformer of open_clip, run step by step (`vit`)."""

    any_size = True
    has_attention = True

    def __init__(self, visual: Any, encode: Encode) -> None:
        super().__init__(visual, encode)
        self.patch = int(visual.patch_size[0])
        self.ways = ("crop", *(("tokens",) if vit.has_class_token(visual) else ()), "dense")

    def picture_vectors(self, pictures: torch.Tensor, *, usual_size: bool) -> torch.Tensor:
        """Encode pictures; of other sizes than its input's with interpolated positions."""
        if usual_size:  # open_clip's own pass: the same numbers as anywhere else
            return super().picture_vectors(pictures, usual_size=True)
        return vit.picture_vectors(self.visual, pictures)

    def dense_map(self, picture: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode each patch, with the last block altered."""
        return vit.dense_map(self.visual, picture, LAST_BLOCKS[last_block])

    def region_tokens(self, picture: torch.Tensor, coverage: torch.Tensor) -> torch.Tensor:
        """Encode each region by a copy of the class token."""
        return vit.region_tokens(self.visual, picture, coverage)


class ClusterTower(VitTower):
    """A transformer with ViL-Seg's cluster head beside it."""

    def __init__(self, visual: Any, encode: Encode, head: ClusterHead) -> None:
        super().__init__(visual, encode)
        self._head = head
        # The proposer needs the clusters and the embedder the map of the same picture.
        self._features = LastInput(partial(patch_features, visual), same=torch.equal)

    def dense_map(self, picture: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode each patch; the unaltered last block shares its pass with `group_maps`."""
        # The head was trained on the unaltered features; only these are kept.
        if last_block != "plain":
            return super().dense_map(picture, last_block=last_block)
        features: torch.Tensor = self._features(picture) @ self.visual.proj
        return features

    def group_maps(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """Assign patches to the head's clusters."""
        return [self._head(self._features(picture)).softmax(dim=-1)]


class GroupTower(CropTower):
    """PGSeg's tower, which gathers patches into groups in the forward pass."""

    ways: tuple[str, ...] = ("crop", "dense")
    any_size = True

    def __init__(self, visual: PgsegTower, encode: Encode) -> None:
        super().__init__(visual, encode)
        self.patch = visual.patch_size[0]
        # As above: one pass for the groups and the map of a picture.
        self._grouped = LastInput(visual.group_patches, same=torch.equal)

    def dense_map(self, picture: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode each patch by its segment."""
        del last_block  # its attention is not CLIP's
        vectors: torch.Tensor = self.visual.dense_map(self._grouped(picture))
        return vectors

    def group_maps(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """Assign patches to the groups of each stage."""
        maps: list[torch.Tensor] = self.visual.group_maps(self._grouped(picture))
        return maps
