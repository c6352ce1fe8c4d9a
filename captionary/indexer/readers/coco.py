"""Rows of a COCO captions file: one picture with all its captions."""

import json
from typing import Any

from captionary.indexer.readers.addresses import name_of, open_file
from captionary.indexer.readers.rows import Row, Rows
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure


def read_coco(source: str) -> Rows:
    """The pictures of a COCO captions file, in the order of its `images`.

    COCO's own picture numbers are not taken as ids: two COCO files may use the same ones.

    Raises:
        WrongInput: it is not JSON, not COCO, or holds no captions.
    """
    name = name_of(source)
    content = _read_content(source)
    captions: dict[str, list[str]] = {_key(image): [] for image in content["images"]}
    failures: list[PairFailure] = []
    for number, annotation in enumerate(content["annotations"]):
        problem = _add_caption(annotation, captions)
        if problem:
            failures.append(PairFailure(f"{name}:annotations[{number}]", "", problem))
    if not any(captions.values()):
        raise WrongInput(
            f"{source} holds no captions of its images; a COCO captions file has "
            '"annotations" with "image_id" and "caption" (instances files have none)'
        )
    yield from failures
    for number, image in enumerate(content["images"]):
        file_name = image.get("file_name") if isinstance(image, dict) else None
        # Popped, so that an id that comes twice does not give its captions to two pictures.
        values = {"image": file_name, "captions": captions.pop(_key(image), [])}
        yield Row(f"{name}:images[{number}]", values)


def count_coco(source: str) -> int:
    """Pictures of a COCO captions file."""
    return len(_read_content(source)["images"])


def _read_content(source: str) -> dict[str, list[Any]]:
    try:
        with open_file(source) as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise WrongInput(f"{source} is not JSON: {one_line(error)}") from error
    lists = ("images", "annotations")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in lists):
        raise WrongInput(
            f"{source} is not a COCO captions file: it needs the lists "
            '"images" and "annotations"; one pair a line goes in a .jsonl file'
        )
    return content


def _add_caption(annotation: object, captions: dict[str, list[str]]) -> str | None:
    """Put a caption with its picture; returns what is wrong with it, if anything is."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("caption"), str):
        return "it has no text in caption"
    key = _key({"id": annotation.get("image_id")})
    if key not in captions:
        return f"its image_id {key} is not among the images"
    captions[key].append(annotation["caption"])
    return None


def _key(image: object) -> str:
    # 7 and "7" are two ids.
    return repr(image.get("id")) if isinstance(image, dict) else ""
