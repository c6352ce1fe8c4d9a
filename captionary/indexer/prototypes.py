"""From the regions that a noun took to its prototypes, each with exemplars to be shown."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from captionary.indexer.clustering import (
    Clusters,
    cluster,
    keep_apart,
    keep_together,
    mean_direction,
)
from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.dictionary import (
    Exemplar,
    Picture,
    Prototype,
    PrototypeKind,
    TaggedRegion,
)
from captionary.vision.pictures.thumbnails import crop_thumbnail
from captionary.vocabulary.candidates import Candidates

EXEMPLARS = 4
"""Regions kept to be shown for each prototype."""


def make_prototypes(
    noun: str,
    tagged: Sequence[TaggedRegion],
    pictures: Mapping[str, Picture],
    regions: Candidates,
    *,
    thumbnails: Callable[[Sequence[str]], Mapping[str, bytes]],
    generation: str,
    kind: PrototypeKind = "guessed",
    first: int = 0,
) -> list[Prototype]:
    """Cluster regions of a noun; each cluster becomes a prototype with exemplars.

    Those that a noun chose fall into as many as are clearly apart. What someone pointed at is
    certain, so each keeps to itself, as long as they are few, beside one of all of them.

    Args:
        tagged:     the regions; pictures: theirs, by id; regions: row i is that of `tagged[i]`.
        thumbnails: reads the thumbnails of pictures, by id; only those of exemplars are read.
        first:      number of the first prototype.
    """
    if not tagged:
        return []
    looks = regions.looks
    prototypes: list[Prototype] = []
    for clusters in _clusterings(looks, kind):
        for cluster_number, centre in enumerate(clusters.centres):
            rows = np.flatnonzero(clusters.assignment == cluster_number)
            similarity = _cosines(looks[rows], centre)
            # Of equal similarity the first: the order of a sort must leave no trace.
            order = np.argsort(-similarity, kind="stable")[:EXEMPLARS]
            nearest = [int(row) for row in rows[order]]
            small = thumbnails([tagged[row].image_id for row in nearest])
            exemplars = [
                _exemplar(
                    tagged[row], pictures, regions.of_rows(slice(row, row + 1)), centre, small
                )
                for row in nearest
            ]
            prototypes.append(
                Prototype(
                    noun=noun,
                    number=first + len(prototypes),
                    vector=mean_direction(regions.vectors[rows]) if regions.has_looks else centre,
                    size=len(rows),
                    spread=float(np.mean(1 - similarity)),
                    generation=generation,
                    exemplars=tuple(exemplars),
                    look_vector=centre if regions.has_looks else None,
                    kind=kind,
                )
            )
    return prototypes


def _clusterings(looks: Vectors, kind: PrototypeKind) -> list[Clusters]:
    if kind == "guessed":
        return [cluster(looks)]
    # A mean is nearer to what is alike than any single region is, as the means of other nouns are;
    # single ones know what else there is. Together they are good beside nouns of either sort.
    together = [keep_together(looks)] if kind == "pointed" and len(looks) > 1 else []
    return [*together, keep_apart(looks)]


def _exemplar(
    tag: TaggedRegion,
    pictures: Mapping[str, Picture],
    region: Candidates,
    centre: Vector,
    thumbnails: Mapping[str, bytes],
) -> Exemplar:
    picture = pictures[tag.image_id]
    left, top, right, bottom = (int(edge) for edge in region.boxes_xyxy[0])
    box = (left, top, right, bottom)
    return Exemplar(
        image_id=picture.id,
        index=tag.index,
        box_xyxy=box,
        caption=picture.captions[tag.caption] if tag.caption >= 0 else "",
        source=picture.source,
        similarity=float(_cosines(region.looks[0], centre)),
        thumbnail=crop_thumbnail(thumbnails[picture.id], box_xyxy=box, size_hw=picture.size_hw),
    )


def _cosines(vectors: Vectors | Vector, centre: Vector) -> NDArray[np.float32]:
    """Of unit vectors, (N, D) or (D,); rounding leads none out of [-1, 1]."""
    cosines: NDArray[np.float32] = np.clip(vectors @ centre, -1, 1)
    return cosines
