"""JSON documents: COCO, the Karpathy split, lists and mappings, under either suffix."""

import json
from pathlib import Path

import pytest

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.sources import read

A = {"image": "a.jpg", "caption": "one"}
B = {"file_name": "b.jpg", "text": ["two", "three"]}

DOCUMENTS: dict[str, object] = {
    "a list": [A, B],
    "a list in an object": {"info": {"year": 2014}, "data": [A, B], "licences": []},
    "a mapping": {"a.jpg": "one", "b.jpg": ["two", "three"]},
    "a mapping to objects": {"a.jpg": {"caption": "one"}, "b.jpg": {"captions": ["two", "three"]}},
    "the Karpathy split": {
        "dataset": "flickr8k",
        "images": [
            {"filename": "a.jpg", "imgid": 0, "sentences": [{"raw": "one", "tokens": ["one"]}]},
            {"filename": "b.jpg", "imgid": 1, "sentences": [{"raw": "two"}, {"raw": "three"}]},
        ],
    },
}


@pytest.mark.parametrize(
    ("document", "suffix", "indent"),
    [
        *((document, ".json", None) for document in DOCUMENTS),
        *((document, ".jsonl", 2) for document in DOCUMENTS),
        ("a list", ".jsonl", None),
    ],
)
def test_documents_are_read(tmp_path: Path, document: str, suffix: str, indent: int | None) -> None:
    source = tmp_path / f"s{suffix}"
    source.write_text(json.dumps(DOCUMENTS[document], indent=indent))

    items = read(source)

    assert [(item.image, item.captions) for item in items if isinstance(item, ImageCaption)] == [
        (f"{tmp_path}/a.jpg", ("one",)),
        (f"{tmp_path}/b.jpg", ("two", "three")),
    ]
    assert len(items) == count_pairs(str(source)) == 2


def test_lines_are_read_under_the_suffix_of_a_document(tmp_path: Path) -> None:
    source = tmp_path / "s.json"
    source.write_text(f"{json.dumps(A)}\n\nnot JSON\n{json.dumps(B)}\n")

    items = sorted(read(source), key=lambda item: item.where)

    assert [item.where for item in items] == ["s.json:1", "s.json:3", "s.json:4"]
    assert isinstance(items[1], PairFailure)


def test_a_bad_entry_of_a_list_is_reported(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps([A, 3, {"image": "c.jpg"}, B]))

    failures = [item for item in read(tmp_path / "s.json") if isinstance(item, PairFailure)]

    assert failures == [
        PairFailure("s.json[1]", "", "it is JSON but not an object in braces"),
        PairFailure("s.json[2]", "c.jpg", "it has no caption, or only blank ones"),
    ]


def test_the_karpathy_split_has_folders_and_its_parts_are_tags(tmp_path: Path) -> None:
    image = {"filename": "a.jpg", "filepath": "val2014", "split": "restval"}
    document = {"images": [{**image, "sentences": [{"raw": "one"}]}], "dataset": "coco"}
    (tmp_path / "dataset_coco.json").write_text(json.dumps(document))

    (pair,) = read_pairs(str(tmp_path / "dataset_coco.json"))

    assert pair == ImageCaption(
        f"{tmp_path}/val2014/a.jpg",
        ("one",),
        tags=("restval",),
        where="dataset_coco.json:images[0]",
    )


@pytest.mark.parametrize(
    ("images", "annotations"),
    [(["7", 8], [7, "8"]), ([7, "7"], [7, "7"]), ([7.0, 8], ["7", 8.0]), (["a", 7], ["a", 7])],
)
def test_ids_of_coco_may_be_texts_on_one_side(
    tmp_path: Path, images: list[object], annotations: list[object]
) -> None:
    document = {
        "images": [{"id": key, "file_name": f"{n}.jpg"} for n, key in enumerate(images)],
        "annotations": [
            {"image_id": key, "caption": f"picture {n}"} for n, key in enumerate(annotations)
        ],
    }
    (tmp_path / "s.json").write_text(json.dumps(document))

    found = read(tmp_path / "s.json")

    assert [item.captions for item in found if isinstance(item, ImageCaption)] == [
        ("picture 0",),
        ("picture 1",),
    ]
