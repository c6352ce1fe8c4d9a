"""The part of the Python interface by which a dictionary is taught by pointing, and corrected."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from captionary.build import Parts
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.pointing import WHOLE_PICTURE, Area, BoxArea, PointedArea

if TYPE_CHECKING:
    from captionary.indexer.corrector import Corrected
    from captionary.schemas.corrections import Correction
    from captionary.vision.pictures.in_memory import PictureLike

ALL = BoxArea(0, 0, 1 << 20, 1 << 20)
"""The whole of any picture; boxes end where their picture does."""


class Correcting:
    """What `Dictionary` can be taught and told; each correction lasts until it is undone."""

    _parts: Parts
    _bands: tuple[int, ...]
    _writing: AbstractContextManager[object]

    def teach(
        self,
        noun: str,
        picture: "PictureLike",
        *,
        box: tuple[float, float, float, float] | None = None,
        area: Area | None = None,
        refused: bool = False,
        captions: Sequence[str] = (),
        id: str | None = None,
        source: str = "",
    ) -> "Corrected":
        """Point at a noun in a picture, which need not be in the dictionary yet.

        Args:
            picture:  a path, the bytes of a file, a PIL image or an array.
            box:      x, y, width and height in pixels; neither box nor area: the whole picture.
            area:     a polygon, RLE or mask instead.
            refused:  it is not that noun.
            captions: what else the picture shows.
            id, source: as of a pair that is indexed.

        Returns:
            The correction, which is listed for `undo`, and how many nouns were made anew.

        Raises:
            WrongInput: the area is none, or not within the picture; or the noun is blocked.
            UnreadablePicture: the picture cannot be read.
        """
        from captionary.vision.pictures.in_memory import picture_file

        if box is not None and area is not None:
            raise WrongInput("give either a box or another area")
        meant = BoxArea(*box) if box is not None else area or ALL
        file, _ = picture_file(picture, bands=self._bands)
        pair = ImageCaption(
            image=file,
            captions=tuple(captions),
            id=id,
            source=source,
            name=file if isinstance(file, str) else str(getattr(picture, "filename", "")),
            areas=(PointedArea(noun, meant, refused),),
        )
        with self._writing:
            item = self._parts.indexer.embed(pair)
            if isinstance(item, PairFailure):
                raise WrongInput(f"{item.image}: {item.reason}" if item.image else item.reason)
            return self._parts.corrector.teach(item)

    def refuse(self, noun: str, image_id: str, region: int | None = None) -> "Corrected":
        """Say that a stored region is not a noun; None: that it is nowhere in the picture."""
        with self._writing:
            index = WHOLE_PICTURE if region is None else region
            return self._parts.corrector.point(noun, image_id, index, refused=True)

    def confirm(self, noun: str, image_id: str, region: int) -> "Corrected":
        """Say that a stored region is a noun."""
        with self._writing:
            return self._parts.corrector.point(noun, image_id, region, refused=False)

    def rename(self, noun: str, name: str) -> "Corrected":
        """Call a noun otherwise from now on, also in captions to come."""
        with self._writing:
            return self._parts.corrector.rename(noun, name)

    def merge(self, noun: str, other: str) -> "Corrected":
        """Make a noun a part of another one, also in captions to come."""
        with self._writing:
            return self._parts.corrector.merge(noun, other)

    def alias(self, noun: str, name: str) -> "Corrected":
        """Let another name stand for a noun where classes are named."""
        with self._writing:
            return self._parts.corrector.alias(noun, name)

    def block(self, noun: str) -> "Corrected":
        """Learn a noun no more, and forget what was learned of it."""
        with self._writing:
            return self._parts.corrector.block(noun)

    def history(self) -> "tuple[Correction, ...]":
        """The corrections in force, oldest first."""
        return self._parts.stored.corrections.all()

    def undo(self, number: int | None = None) -> "Corrected":
        """Take a correction back, as if it had never been said; None: the last one."""
        with self._writing:
            return self._parts.corrector.undo(number)
