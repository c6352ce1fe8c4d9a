"""JSON bodies by which a dictionary is taught by pointing, and corrected, over HTTP."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from captionary.schemas.corrections import Correction, CorrectionKind
from captionary.schemas.pointing import (
    FIRST_POINTED,
    POINTED_BITS,
    WHOLE_PICTURE,
    Area,
    BoxArea,
    PointedArea,
    PolygonArea,
    RleArea,
)

Coordinate = Annotated[float, Field(allow_inf_nan=False)]
NounTextBody = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class _Body(BaseModel):
    """Base of these bodies; read-only."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="forbid")


class RunsBody(_Body):
    """A mask in COCO's run lengths, compressed or as numbers; `size` is [height, width]."""

    size: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    counts: str | list[Annotated[int, Field(ge=0)]]


class AreaBody(_Body):
    """An area of a picture in its pixels: a box (x, y, width, height), a polygon, or a mask."""

    box: Annotated[list[Coordinate], Field(min_length=4, max_length=4)] | None = None
    polygon: list[Coordinate] | list[list[Coordinate]] | None = None
    rle: RunsBody | None = None

    @model_validator(mode="after")
    def _has_one_shape(self) -> "AreaBody":
        if [self.box, self.polygon, self.rle].count(None) != 2:
            raise ValueError("it needs one of box, polygon and rle")
        return self

    @property
    def area(self) -> Area:
        """The area; its numbers are not checked."""
        if self.box is not None:
            return BoxArea(*self.box)
        if self.rle is not None:
            counts, (height, width) = self.rle.counts, self.rle.size
            return RleArea(counts if isinstance(counts, str) else tuple(counts), (height, width))
        parts = self.polygon or []
        flat = tuple(part for part in parts if isinstance(part, float))
        return PolygonArea(
            tuple(tuple(part) for part in parts if isinstance(part, list)) or (flat,)
        )


class PointedBody(AreaBody):
    """An area that is a noun; with `not`, that is not it."""

    noun: NounTextBody
    refused: Annotated[bool, Field(alias="not")] = False

    @property
    def pointed(self) -> PointedArea:
        """What was pointed at."""
        return PointedArea(self.noun, self.area, self.refused)


class WantedBody(_Body):
    """A correction that is wanted.

    teach, refuse:        the region `region` of the picture `image_id` is the noun, or is not; a
        noun that is refused without a region is nowhere in the picture.
    rename, merge, alias: `other` is what the noun is called from now on, the noun that it becomes
        a part of, or another name of it.
    block:                the noun is no longer learned.
    """

    kind: CorrectionKind
    noun: NounTextBody
    other: NounTextBody | None = None
    image_id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    region: Annotated[int, Field(ge=0, lt=FIRST_POINTED + (1 << POINTED_BITS))] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "WantedBody":
        of_region = self.kind in ("teach", "refuse")
        needed = {"image_id": of_region, "other": not of_region and self.kind != "block"}
        for name, wanted in needed.items():
            if wanted != (getattr(self, name) is not None):
                raise ValueError(f"{self.kind} {'needs' if wanted else 'takes no'} {name}")
        if self.region is not None and not of_region:
            raise ValueError(f"{self.kind} takes no region")
        if self.kind == "teach" and self.region is None:
            raise ValueError("teach needs region")
        return self

    @property
    def correction(self) -> Correction:
        """What is to be corrected, without a number."""
        index = WHOLE_PICTURE if self.region is None else self.region
        other, image_id = self.other or "", self.image_id or ""
        return Correction(0, self.kind, self.noun, other, image_id, index)


class CorrectionBody(_Body):
    """A correction that is in force; `number` names it, to be undone.

    image_id, region: of teach and refuse; a null region: the noun is nowhere in the picture.
    """

    number: int
    kind: CorrectionKind
    noun: str
    other: str | None
    image_id: str | None
    region: int | None


class HistoryBody(_Body):
    """The corrections in force, oldest first."""

    corrections: list[CorrectionBody]


def correction_body(item: Correction) -> CorrectionBody:
    """A correction as it is shown."""
    return CorrectionBody(
        number=item.number,
        kind=item.kind,
        noun=item.noun,
        other=item.other or None,
        image_id=item.image_id or None,
        region=None if item.index == WHOLE_PICTURE else item.index,
    )
