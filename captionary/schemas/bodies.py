"""JSON bodies of requests and responses over HTTP, for the services and their clients."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from captionary.schemas.correction_bodies import PointedBody

Fraction = Annotated[float, Field(ge=0, le=1)]
BoxBody = Annotated[list[int], Field(min_length=4, max_length=4)]
"""x0, y0, x1, y1 in pixels, half-open."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

JobState = Literal["queued", "running", "done", "failed"]


class Body(BaseModel):
    """Base of all bodies; read-only."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ProblemBody(Body):
    """An error (RFC 9457): `detail` says what is wrong and what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = ""
    request_id: str = ""


class HealthBody(Body):
    """The service is healthy."""

    status: Literal["ok"]


# The indexer


CaptionBody = Annotated[str, Field(max_length=5000)]
LabelBody = Annotated[str, Field(max_length=512)]


class PairBody(Body):
    """A captioned picture to index: `image` as base64, or `url` where the service allows it.

    captions: sentences; with `regions` there need not be any.
    regions: areas of the picture whose noun is certain.
    id:   the caller's own name for the picture; left out, it is derived from its content.
    name: what records and messages call the picture; left out, its place in the request.
    """

    model_config = ConfigDict(extra="forbid")

    captions: Annotated[list[CaptionBody], Field(max_length=100)] = []
    regions: Annotated[list[PointedBody], Field(max_length=100)] = []
    image: str | None = None
    url: Annotated[str, Field(max_length=2048)] | None = None
    id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    source: LabelBody = ""
    tags: Annotated[list[LabelBody], Field(max_length=100)] = []
    name: LabelBody = ""

    @field_validator("id")
    @classmethod
    def _can_be_an_address(cls, value: str | None) -> str | None:
        """An id that no address of `DELETE /v1/images/{id}` could name is refused."""
        if value is not None and (value in (".", "..") or CONTROL.search(value)):
            raise ValueError("an id has no control characters, and is not . or ..")
        return value


class AcceptedBody(Body):
    """Work that is safe on disk and will be done; poll its job."""

    job: str


class FailureBody(Body):
    """A pair that could not be indexed, and why. `pair` counts from 0 within the job."""

    pair: int
    image: str
    reason: str


class JobBody(Body):
    """The state of a job.

    pairs: how many it has; done: how many are dealt with, `failures` among them.
    """

    job: str
    state: JobState
    pairs: int
    done: int
    failures: list[FailureBody]


# The segmenter


class RleBody(Body):
    """A mask in COCO's compressed run-length encoding; `size` is [height, width]."""

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: str


class MaskBody(Body):
    """The pixels of a class. area: pixels; score: mean probability over them."""

    class_name: Annotated[str, Field(alias="class")]
    rle: RleBody
    area: int
    score: Fraction


class EvidenceBody(Body):
    """A prototype behind a region's class, to be found in `prototypes`."""

    noun: str
    number: int
    similarity: float


class RegionBody(Body):
    """A region of the picture, with the probabilities of its class.

    area: share of the picture. text, neighbours, prototype, captions: the probability of its class
    by each witness alone; null where it knows nothing of the class, or was not asked.
    """

    box: BoxBody
    area: Fraction
    class_name: Annotated[str, Field(alias="class")]
    score: Fraction
    text: Fraction
    prototype: Fraction | None
    neighbours: Fraction | None
    captions: Fraction | None
    evidence: list[EvidenceBody]


class ExemplarBody(Body):
    """A captioned region behind a prototype; thumbnail: JPEG, base64."""

    image_id: str
    index: int
    box: BoxBody
    caption: str
    source: str
    similarity: float
    thumbnail: str


class NamedPrototypeBody(Body):
    """A prototype that some region names as evidence."""

    noun: str
    number: int
    exemplars: list[ExemplarBody]


class KindBody(Body):
    """A noun of the dictionary that is a kind of a class; pictures: how many teach it."""

    noun: str
    pictures: int


class SegmentationBody(Body):
    """A class for every pixel of a picture.

    revision:     of the dictionary, null by text alone.
    without_noun: the classes that the dictionary has no noun for; none by text alone.
    kinds:        by class, the nouns that are kinds of it, and speak for it, too.
    """

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    classes: list[str]
    masks: list[MaskBody]
    regions: list[RegionBody]
    prototypes: list[NamedPrototypeBody]
    revision: int | None
    without_noun: list[str]
    kinds: dict[str, list[KindBody]]


class NounBody(Body):
    """A noun of the dictionary, with counts."""

    noun: str
    pictures: int
    regions: int
    prototypes: int


class VocabularyBody(Body):
    """Some nouns, those of most pictures first; total: how many match the query."""

    nouns: list[NounBody]
    total: int
    revision: int


class PrototypeBody(Body):
    """A prototype of a noun. size: its regions; spread: their mean distance, 1 - cosine.

    kind: whether its regions were guessed from captions, pointed at, or refused: not the noun.
    """

    number: int
    kind: Literal["guessed", "pointed", "refused"]
    size: int
    spread: float
    exemplars: list[ExemplarBody]


class NounDetailBody(NounBody):
    """A noun with its prototypes, in `looks`."""

    looks: list[PrototypeBody]
    revision: int


class NearNounBody(Body):
    """A noun whose prototype is near to the query; similarity: cosine, centred."""

    noun: str
    number: int
    similarity: float


class NearRegionBody(Body):
    """A stored region that is near to the query."""

    image_id: str
    index: int
    box: BoxBody
    area: Fraction
    nouns: list[str]
    captions: list[str]
    source: str
    tags: list[str]
    similarity: float
    thumbnail: str


class RetrievalBody(Body):
    """The nouns and regions nearest to a picture, or to a box of it, nearest first."""

    nouns: list[NearNounBody]
    regions: list[NearRegionBody]
    revision: int


class AboutBody(Body):
    """What the page needs to know.

    indexer: where captioned pictures go ("" for the same address); null: nowhere.
    keys:    whether an API key is needed.
    """

    version: str
    indexer: str | None
    keys: bool
    fingerprint: str
    images: int
    regions: int
    nouns: int
    prototypes: int
    revision: int
