"""Rows of a COCO captions file: one picture with all its captions."""

from collections import Counter
from typing import Any, TypeGuard

from captionary.indexer.readers.addresses import name_of
from captionary.indexer.readers.rows import Row, Rows
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import PairFailure

Coco = dict[str, list[Any]]


def is_coco(content: object) -> TypeGuard[Coco]:
    """Whether a JSON document has the lists of COCO."""
    lists = ("images", "annotations")
    return isinstance(content, dict) and all(isinstance(content.get(k), list) for k in lists)


def coco_rows(content: Coco, source: str) -> Rows:
    """The pictures of a COCO captions file, in the order of its `images`.

    COCO's own picture numbers are not taken as ids: two COCO files may use the same ones.

    Raises:
        WrongInput: it holds no captions of its pictures.
    """
    name = name_of(source)
    several = _several_forms(content["images"])
    captions: dict[str, list[str]] = {_key(image, several): [] for image in content["images"]}
    failures: list[PairFailure] = []
    for number, annotation in enumerate(content["annotations"]):
        problem = _add_caption(annotation, captions, several)
        if problem:
            failures.append(PairFailure(f"{name}:annotations[{number}]", "", problem))
    if not any(captions.values()):
        raise WrongInput(
            f"{source} holds no captions of its images; a COCO captions file has "
            '"annotations" with "image_id" and "caption" (instances files have none: give the '
            "captions file of the same pictures)"
        )
    yield from failures
    for number, image in enumerate(content["images"]):
        file_name = image.get("file_name") if isinstance(image, dict) else None
        # Popped, so that an id that comes twice does not give its captions to two pictures.
        values = {"image": file_name, "captions": captions.pop(_key(image, several), [])}
        yield Row(f"{name}:images[{number}]", values)


def _add_caption(
    annotation: object, captions: dict[str, list[str]], several: set[str]
) -> str | None:
    """Put a caption with its picture; returns what is wrong with it, if anything is."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("caption"), str):
        return "it has no text in caption"
    key = _key({"id": annotation.get("image_id")}, several)
    if key not in captions:
        return f"its image_id {key} is not among the images"
    captions[key].append(annotation["caption"])
    return None


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
