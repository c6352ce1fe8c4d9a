"""Rows of a COCO file: one picture with all its captions, and all areas of its instances."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from captionary.indexer.readers.addresses import name_of
from captionary.indexer.readers.annotations.regions import (
    box_area,
    polygon_area,
    rle_area,
    to_noun,
)
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.values import BadValueError
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure
from captionary.schemas.pointing import Area, PointedArea

Coco = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Annotated:
    """What the annotations say of a picture."""

    captions: list[str] = field(default_factory=list)
    areas: list[PointedArea] = field(default_factory=list)


def is_coco(content: object) -> TypeGuard[Coco]:
    """Whether a JSON document has the lists of COCO."""
    lists = ("images", "annotations")
    return isinstance(content, dict) and all(isinstance(content.get(k), list) for k in lists)


def coco_rows(content: Coco, source: str) -> Rows:
    """The pictures of a COCO file of captions, of instances, or of both, in the order of `images`.

    COCO's own picture numbers are not taken as ids: two COCO files may use the same ones.

    Raises:
        WrongInput: it holds neither captions nor areas of its pictures.
    """
    name = name_of(source)
    several = _several_forms(content["images"])
    nouns = _category_names(content)
    pictures = {_key(image, several): Annotated() for image in content["images"]}
    failures: list[PairFailure] = []
    for number, annotation in enumerate(content["annotations"]):
        try:
            _add(annotation, pictures, several, nouns)
        except BadValueError as error:
            failures.append(PairFailure(f"{name}:annotations[{number}]", "", str(error)))
    with_captions = any(found.captions for found in pictures.values())
    if not with_captions and not any(found.areas for found in pictures.values()):
        raise WrongInput(
            f"{source} holds neither captions nor regions of its images; a COCO file has "
            '"annotations" with "image_id" and "caption", or with "image_id", "category_id" and '
            '"segmentation" or "bbox", and then "categories"'
            + (f"; the first of its annotations: {failures[0].reason}" if failures else "")
        )
    yield from failures
    for number, image in enumerate(content["images"]):
        where = f"{name}:images[{number}]"
        file_name = image.get("file_name") if isinstance(image, dict) else None
        # Popped, so that an id that comes twice does not give its captions to two pictures.
        found = pictures.pop(_key(image, several), Annotated())
        if file_name and not (with_captions or found.areas):
            yield Note("pictures without annotations", where)
            continue
        regions = {"regions": found.areas} if found.areas else {}
        yield Row(where, {"image": file_name, "captions": found.captions, **regions})


def _category_names(content: Coco) -> dict[str, object]:
    categories = content.get("categories")
    listed = categories if isinstance(categories, list) else []
    return {_plain(each.get("id")): each.get("name") for each in listed if isinstance(each, dict)}


def _add(
    annotation: object,
    pictures: Mapping[str, Annotated],
    several: set[str],
    nouns: Mapping[str, object],
) -> None:
    """Put a caption or an area with its picture. Raises BadValueError: it is none."""
    values = annotation if isinstance(annotation, dict) else {}
    caption, category = values.get("caption"), values.get("category_id")
    if not isinstance(caption, str) and category is None:
        raise BadValueError(f"it has no text in caption{' and no category_id' * bool(nouns)}")
    key = _key({"id": values.get("image_id")}, several)
    if key not in pictures:
        raise BadValueError(f"its image_id {key} is not among the images")
    if isinstance(caption, str):
        pictures[key].captions.append(caption)
    if category is not None:
        if (category := _plain(category)) not in nouns:
            raise BadValueError(f"its category_id {category} is not among the categories")
        noun = to_noun(nouns[category], "the name of its category")
        pictures[key].areas.append(PointedArea(noun, _area(values)))


def _area(annotation: Mapping[str, object]) -> Area:
    """The mask of an instance or, where it has none, its box."""
    segmentation, box = annotation.get("segmentation"), annotation.get("bbox")
    if isinstance(segmentation, dict):
        return rle_area(segmentation)
    if segmentation:
        return polygon_area(segmentation)
    if not box:
        raise BadValueError("it has no segmentation and no bbox")
    return box_area(box)


def _several_forms(images: list[object]) -> set[str]:
    """Ids that different pictures have in different forms, as 7 and "7"."""
    ids = [image.get("id") for image in images if isinstance(image, dict)]
    forms = Counter(_plain(form) for form in {repr(each): each for each in ids}.values())
    return {form for form, count in forms.items() if count > 1}


def _key(image: object, several: set[str]) -> str:
    """What tells pictures apart; 7, 7.0 and "7" are one id, unless there are several of them."""
    if not isinstance(image, dict):
        return ""
    plain = _plain(image.get("id"))
    return repr(image.get("id")) if plain in several else plain


def _plain(image_id: object) -> str:
    if isinstance(image_id, float) and image_id.is_integer():
        image_id = int(image_id)
    return image_id if isinstance(image_id, str) else repr(image_id)
