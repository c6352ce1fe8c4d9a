"""What a reader yields: pictures with captions, with regions that someone pointed at, or both."""

from dataclasses import dataclass, field
from typing import TypeAlias

from captionary.schemas.errors import readable
from captionary.schemas.notes import Note
from captionary.schemas.pointing import PointedArea


@dataclass(frozen=True, slots=True)
class ImageCaption:
    """One picture, the sentences that describe it, and what was pointed at in it.

    image:    path or fsspec address of the picture, or the bytes of its file.
    captions: sentences; blank ones are the indexer's to report. None only where areas are given.
    id:       the user's own name for the picture; None: derived from its content.
    source:   the collection it belongs to, for filtering and removal.
    tags:     free labels, for filtering.
    where:    where in the SOURCE it stands ("captions.jsonl:17"), for reports.
    name:     what records and messages call the picture (`image` may be a temporary file or bytes).
    replaces: its captions take the place of those that the dictionary has of the picture.
    rows:     how many rows of the SOURCE it was made of.
    areas:    what was pointed at.
    """

    image: str | bytes
    captions: tuple[str, ...]
    id: str | None = None
    source: str = ""
    tags: tuple[str, ...] = ()
    where: str = ""
    name: str = ""
    replaces: bool = False
    rows: int = field(default=1, compare=False)
    areas: tuple[PointedArea, ...] = ()

    @property
    def picture_name(self) -> str:
        """What records and messages call the picture; "" for bytes without a name."""
        return self.name or ("" if isinstance(self.image, bytes) else self.image)


@dataclass(frozen=True, slots=True)
class PairFailure:
    """A pair that could not be indexed, and why, in one line; names as `readable` shows them."""

    where: str
    image: str
    reason: str

    def __post_init__(self) -> None:
        for name in ("where", "image", "reason"):
            object.__setattr__(self, name, readable(getattr(self, name)))


PairItem: TypeAlias = ImageCaption | PairFailure | Note
"""An item of a stream of pairs. Pairs and failures together are the entries of the source."""
