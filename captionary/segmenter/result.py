"""What segmenting a picture gives a Python user: classes per pixel, masks, an overlay, files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captionary.schemas.arrays import LabelMap, Mask, Rgb
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.segmentation import ClassScores, Kinds, LabelledRegion, Segmentation

# Drawing and encoding are imported where they are used: a class map alone needs neither.
if TYPE_CHECKING:
    from PIL.Image import Image

    from captionary.segmenter.outputs import Format


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """A segmented picture. Notebooks show its overlay; nothing is drawn before it is asked for.

    segmentation: the class of every pixel, with scores and evidence.
    pixels:       (H, W, 3) uint8, the picture.
    name:         path of the picture's file, or any other name; files are named after its stem.
    notes:        how the picture was read, where that is worth telling.
    """

    segmentation: Segmentation
    pixels: Rgb
    name: str
    notes: tuple[Note, ...] = ()

    @property
    def class_map(self) -> LabelMap:
        """(H, W) int32, the index into `classes` of every pixel."""
        return self.segmentation.class_map

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, among them "background" where a background mode is on."""
        return self.segmentation.classes

    @property
    def scores(self) -> ClassScores:
        """(C,) float32, mean probability of each class over the pixels it won; 0 if none."""
        return self.segmentation.scores

    @property
    def regions(self) -> tuple[LabelledRegion, ...]:
        """The regions that the class map was painted from, with scores and evidence."""
        return self.segmentation.regions

    @property
    def revision(self) -> int | None:
        """Revision of the dictionary that was read; None by text alone."""
        return self.segmentation.revision

    @property
    def without_noun(self) -> tuple[str, ...]:
        """The classes that the dictionary has no noun for; none by text alone."""
        return self.segmentation.without_noun

    @property
    def kinds(self) -> Kinds:
        """By class, the nouns that are kinds of it and speak for it, too, with their pictures."""
        return self.segmentation.kinds

    def mask(self, class_name: str) -> Mask:
        """The pixels of a class, (H, W) bool; none are set where it is nowhere in the picture.

        Raises:
            WrongInput: it is none of the classes.
        """
        if class_name not in self.classes:
            raise WrongInput(f"{class_name!r} is none of the classes {', '.join(self.classes)}")
        mask: Mask = self.class_map == self.classes.index(class_name)
        return mask

    def overlay(self) -> "Image":
        """Draw the picture under translucent class colours, with names and a legend."""
        from PIL import Image

        from captionary.segmenter.drawing.overlay import draw_overlay

        return Image.fromarray(draw_overlay(self.pixels, self.class_map, self.classes))

    def to_coco(self) -> dict[str, Any]:
        """A COCO annotation file as JSON data: an annotation for each class present."""
        from captionary.segmenter.json_data import coco_json
        from captionary.vision.pictures.loading import file_name

        return coco_json(self.segmentation, file_name(self.name))

    def to_json(self) -> dict[str, Any]:
        """JSON data as the HTTP service answers it (`schemas.bodies.SegmentationBody`)."""
        from captionary.segmenter.json_data import segmentation_json

        return segmentation_json(self.segmentation)

    def save(
        self, folder: str | Path, formats: "Sequence[Format]" = ("overlay", "png", "json")
    ) -> list[Path]:
        """Write files named after the picture, and return their paths (`outputs.write_outputs`).

        Raises:
            WrongInput: the folder cannot be written, has PNGs of other classes, or a file would
                replace the picture itself.
        """
        from captionary.segmenter.outputs import write_outputs

        return write_outputs(self, Path(folder), formats)

    def __repr__(self) -> str:
        height, width = self.class_map.shape
        return f"Result({self.name!r}, {width} x {height} pixels, classes={self.classes})"

    def _repr_jpeg_(self) -> bytes:
        """The overlay, as notebooks ask for it."""
        from captionary.segmenter.outputs import overlay_jpeg

        return overlay_jpeg(self.segmentation, self.pixels)
