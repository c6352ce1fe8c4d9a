"""Writing pictures with their regions, in an order in which a kill loses nothing.

Regions come before the record that counts them, and go after it; a record is pending until the
nouns that it changes are made anew.
"""

from collections.abc import Mapping, Sequence

from captionary.schemas.corrections import NounRules
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import CaptionaryError
from captionary.schemas.regions import PointedTable, RegionTable
from captionary.vocabulary.engines.engine import Collection, Where
from captionary.vocabulary.records.point_ids import picture_point_id, region_point_id
from captionary.vocabulary.records.points import (
    pending_again,
    picture_from,
    picture_point,
    region_points,
    settled,
)
from captionary.vocabulary.records.regions import region_ids


def add_pictures(
    pictures: Collection,
    regions: Collection,
    items: Sequence[tuple[Picture, RegionTable]],
    pointed: Mapping[str, PointedTable],
    *,
    fingerprint: str,
    rules: NounRules,
) -> None:
    """As `StoredDictionary.add`, of pictures that are not stored so."""
    points = [
        point
        for picture, table in items
        for point in region_points(picture, table, fingerprint=fingerprint)
    ]
    # A kill, or a former cut of the picture, may have left regions that no record counts.
    regions.delete(Where(any_of={"image_id": [picture.id for picture, _ in items]}))
    regions.upsert(points)
    _add_pointed(regions, [picture for picture, _ in items], pointed, fingerprint=fingerprint)
    regions.flush()
    pictures.upsert([picture_point(picture, state="new", rules=rules) for picture, _ in items])
    pictures.flush()


def amend_pictures(
    pictures: Collection,
    regions: Collection,
    amended: Sequence[Picture],
    pointed: Mapping[str, PointedTable],
    *,
    fingerprint: str,
    rules: NounRules,
) -> None:
    """As `StoredDictionary.amend`.

    Raises:
        CaptionaryError: a picture is unknown, or was cut into another number of regions.
    """
    ids = [picture_point_id(picture.id) for picture in amended]
    known = {point.id: point for point in pictures.retrieve(ids)}
    for name, picture in zip(ids, amended, strict=True):
        stored = known.get(name)
        before = picture_from(stored.payload) if stored is not None else None
        if stored is None or before is None or stored.payload["state"] == "gone":
            raise CaptionaryError(f"picture {picture.id!r} cannot be amended; add it instead")
        if before.regions != picture.regions:
            raise CaptionaryError(f"picture {picture.id!r} cannot be amended; add it instead")
        if (before.source, before.tags) != (picture.source, picture.tags):
            part = {"source": picture.source, "tags": list(picture.tags)}
            own = region_ids(picture, fingerprint=fingerprint) + [
                region_point_id(picture.id, index, fingerprint=fingerprint)
                for index in before.pointed_indices
            ]
            regions.set_payload(dict.fromkeys(own, part))
    _add_pointed(regions, amended, pointed, fingerprint=fingerprint)
    regions.flush()
    # A noun that an amendment takes from a picture is due as well, also after a kill.
    pictures.upsert(
        [
            pending_again(known[name].payload, rules, picture)
            for name, picture in zip(ids, amended, strict=True)
        ]
    )
    pictures.flush()


def _add_pointed(
    regions: Collection,
    pictures: Sequence[Picture],
    pointed: Mapping[str, PointedTable],
    *,
    fingerprint: str,
) -> None:
    for picture in pictures:
        if (own := pointed.get(picture.id)) is not None:
            regions.upsert(
                region_points(picture, own.table, fingerprint=fingerprint, indices=own.indices)
            )


def settle_pictures(
    pictures: Collection, regions: Collection, image_ids: Sequence[str], *, fingerprint: str
) -> list[str]:
    """Settle the records of pictures, and delete those that are retired, with their regions.

    Returns:
        The ids of the deleted ones.
    """
    ids = [picture_point_id(image_id) for image_id in image_ids]
    found = pictures.retrieve(ids, fields=["image_id", "state", "stale"])
    gone = [point for point in found if point.payload["state"] == "gone"]
    deleted = [str(point.payload["image_id"]) for point in gone]
    regions.delete(Where(any_of={"image_id": deleted}))
    regions.delete(
        [
            region_point_id(point.payload["image_id"], index, fingerprint=fingerprint)
            for point in found
            for index in point.payload.get("stale", ())
        ]
    )
    # What the states below vouch for must be safe before they are.
    regions.flush()
    new = [point for point in found if point.payload["state"] == "new"]
    plain = [point.id for point in new if "stale" not in point.payload]
    pictures.set_payload({name: {"state": "settled", "former": []} for name in plain})
    # A field can be taken from a record only with the whole of it.
    for point in pictures.retrieve([point.id for point in new if "stale" in point.payload]):
        pictures.upsert([type(point)(point.id, settled(point.payload))])
    pictures.delete([point.id for point in gone])
    return deleted
