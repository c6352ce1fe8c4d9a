"""Records of pictures: made of pairs, merged with what is stored of the same picture."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from captionary.schemas.corrections import Said, with_pointing
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import readable
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.pointing import Pointing
from captionary.schemas.regions import PointedTable, RegionTable
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.thumbnails import thumbnail


@dataclass(frozen=True, slots=True)
class PairWithNouns:
    """A pair with the nouns of each of its captions, and of each of its areas."""

    pair: ImageCaption
    nouns: tuple[tuple[str, ...], ...]
    area_nouns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddedPair:
    """A pair whose picture is cut and embedded.

    picture: its record, or for a new one a record without captions.
    table:   its regions; None where they are stored already.
    notes:   how the picture was read, where that is to be told.
    pointings: what its areas say.
    pointed: regions of these that are not stored yet.
    """

    source: PairWithNouns
    picture: Picture
    table: RegionTable | None
    notes: tuple[Note, ...] = ()
    pointings: tuple[Pointing, ...] = ()
    pointed: PointedTable | None = None


@dataclass(slots=True)
class Changes:
    """What a batch changes in the dictionary.

    new:       records and regions of pictures that it lacks, by id.
    amended:   records of pictures whose regions it has, by id.
    known:     pairs that change nothing.
    conflicts: pairs whose id belongs to another picture.
    pointed:   by the ids of pictures, new regions of areas pointed at.
    """

    new: dict[str, tuple[Picture, RegionTable]] = field(default_factory=dict)
    amended: dict[str, Picture] = field(default_factory=dict)
    known: int = 0
    conflicts: list[PairFailure] = field(default_factory=list)
    pointed: dict[str, PointedTable] = field(default_factory=dict)


def new_record(
    pair: ImageCaption, image_id: str, sha256: str, loaded: LoadedPicture, *, regions: int
) -> Picture:
    """The record of a picture that is not stored yet, without the captions of its pair."""
    return Picture(
        id=image_id,
        image=readable(pair.picture_name),
        sha256=sha256,
        size_hw=loaded.size_hw,
        captions=(),
        nouns=(),
        regions=regions,
        source=pair.source,
        tags=pair.tags,
        thumbnail=thumbnail(loaded.pixels),
    )


def merge(
    pairs: Iterable[EmbeddedPair],
    stored: Callable[[str], Picture | None],
    replaced: set[int] | None = None,
) -> Changes:
    """Merge pairs with what is stored, and with those of the same picture among them.

    Pictures are read ahead, so that one may have been stored since its record was looked up.

    Args:
        stored:   the record of a picture by its id, if there is one.
        replaced: hashes of the ids of pictures whose captions this run has replaced, where it
            replaces those of all: the first pair of a picture does, and later ones join it.
    """
    changes = Changes()
    for pair in pairs:
        image_id = pair.picture.id
        is_new = image_id in changes.new
        before = changes.new[image_id][0] if is_new else changes.amended.get(image_id)
        known = before or stored(image_id)
        before = known or pair.picture
        first = replaced is not None and hash(image_id) not in replaced
        after = _with_captions(before, pair.source, alone=first or pair.source.pair.replaces)
        for item in pair.pointings:
            said: Said = "is not" if item.refused else "is"
            after = with_pointing(after, item.index, item.noun, said)
        if before.sha256 != pair.picture.sha256:
            changes.conflicts.append(id_conflict(pair.source.pair, image_id))
            continue
        if replaced is not None:
            replaced.add(hash(image_id))
        if after == before:
            changes.known += 1
            continue
        if (pointed := pair.pointed) is not None:
            before_it = changes.pointed.get(image_id)
            changes.pointed[image_id] = before_it.joined(pointed) if before_it else pointed
        if pair.table is not None and known is None:
            changes.new[image_id] = (after, pair.table)
        elif is_new:
            changes.new[image_id] = (after, changes.new[image_id][1])
        else:
            changes.amended[image_id] = after
    return changes


def _with_captions(picture: Picture, source: PairWithNouns, *, alone: bool) -> Picture:
    """The picture with the captions and tags that it does not have yet; or these captions alone."""
    if alone:
        picture = replace(picture, captions=(), nouns=())
    captions = zip(source.pair.captions, source.nouns, strict=True)
    new = [(caption, nouns) for caption, nouns in captions if caption not in picture.captions]
    return replace(
        picture,
        captions=(*picture.captions, *(caption for caption, _ in new)),
        nouns=(*picture.nouns, *(nouns for _, nouns in new)),
        tags=tuple(dict.fromkeys((*picture.tags, *source.pair.tags))),
    )


def id_conflict(pair: ImageCaption, image_id: str) -> PairFailure:
    """Report a pair whose id belongs to another picture."""
    return failure(
        pair,
        f"the id {image_id!r} belongs to another picture; remove that one first with "
        f"'captionary vocabulary remove --image {image_id}' or DELETE /v1/images/{image_id}",
    )


def failure(pair: ImageCaption, reason: str) -> PairFailure:
    """Report a pair that cannot be indexed."""
    return PairFailure(where=pair.where, image=pair.picture_name, reason=reason)
