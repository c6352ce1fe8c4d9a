"""The records of a dictionary: pictures, tagged regions, prototypes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from captionary.schemas.arrays import Box, Vector
from captionary.schemas.pointing import FIRST_POINTED, WHOLE_PICTURE, Pointing

PrototypeKind: TypeAlias = Literal["guessed", "pointed", "refused"]
"""What a prototype was made of: regions that the noun chose by captions, or that someone pointed
at; or regions that someone said are not the noun, which speak against it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The record of one indexed picture.

    id:        the user's id, or derived from the content.
    image:     where it was read from.
    sha256:    digest of the file's bytes, hexadecimal.
    size_hw:   height and width in pixels, after orientation.
    captions:  its sentences, in order of arrival, none twice.
    nouns:     the nouns of each caption, aligned with `captions`.
    regions:   how many regions it was cut into.
    thumbnail: JPEG bytes, longest side at most 192 pixels.
    pointings: what someone pointed at, sorted by index and noun; at most one for each of both.
    """

    id: str
    image: str
    sha256: str
    size_hw: tuple[int, int]
    captions: tuple[str, ...]
    nouns: tuple[tuple[str, ...], ...]
    regions: int
    source: str = ""
    tags: tuple[str, ...] = ()
    thumbnail: bytes = b""
    pointings: tuple[Pointing, ...] = ()

    @property
    def all_nouns(self) -> frozenset[str]:
        """The nouns of all its captions, and those of what someone pointed at."""
        said = {noun for nouns in self.nouns for noun in nouns}
        nowhere = {item.noun for item in self.pointings if item.index == WHOLE_PICTURE}
        return frozenset((said - nowhere) | {p.noun for p in self.pointings if not p.refused})

    @property
    def pointed_indices(self) -> tuple[int, ...]:
        """Of the regions that were made of areas that someone pointed at, rising."""
        return tuple(sorted({p.index for p in self.pointings if p.index >= FIRST_POINTED}))


@dataclass(frozen=True, slots=True)
class TaggedRegion:
    """A region that is associated with a noun: region `index` of picture `image_id`.

    similarity: the association score by which it was chosen, comparable within a noun.
    caption:    number of the caption that named it; -1: none did.
    basis:      digest of all that the choice depends on; "": it is not known.
    """

    noun: str
    image_id: str
    index: int
    similarity: float
    caption: int = -1
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A region behind a prototype, to be shown as evidence.

    thumbnail: JPEG bytes of the region's box, longest side at most 96 pixels.
    similarity: cosine to the prototype.
    """

    image_id: str
    index: int
    box_xyxy: Box
    caption: str
    source: str
    similarity: float
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class Prototype:
    """The centre of a cluster of a noun's regions.

    vector:      (D,) float32, unit length.
    number:      0, 1, ... within its noun, largest cluster first.
    size:        regions in the cluster.
    spread:      mean of 1 - cosine of the cluster's regions to its `look`, in [0, 2].
    generation:  digest of everything that the noun's prototypes were made from.
    look_vector: (L,) float32, unit length, the centre of their look vectors; None: they have none.
    kind:        what it was made of.
    """

    noun: str
    number: int
    vector: Vector
    size: int
    spread: float
    generation: str
    exemplars: tuple[Exemplar, ...] = ()
    look_vector: Vector | None = None
    kind: PrototypeKind = "guessed"

    @property
    def look(self) -> Vector:
        """What regions are compared with it by."""
        return self.vector if self.look_vector is None else self.look_vector


@dataclass(frozen=True, slots=True)
class NounEntry:
    """A noun of the dictionary, with counts."""

    noun: str
    pictures: int
    regions: int
    prototypes: int


@dataclass(frozen=True, slots=True)
class DictionaryStats:
    """Counts of a dictionary, its revision, and the fingerprint of its models.

    tagged:  regions that are associated with a noun.
    weights: how much each witness counts, where `calibrate` chose it for this dictionary.
    """

    images: int
    regions: int
    tagged: int
    nouns: int
    prototypes: int
    revision: int
    fingerprint: str
    weights: Mapping[str, float] = field(default_factory=dict)
