"""Compounds of class lists, and those that a user names, are one noun each."""

from pathlib import Path

import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.nouns.compounds import LONGEST_KEPT, listed_compounds, read_kept
from captionary.schemas.errors import WrongInput


def one(extractor: NounExtractor, caption: str) -> tuple[str, ...]:
    return next(extractor.nouns([caption]))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a red stop sign near a tree", ("stop sign", "sign", "tree")),
        ("two STOP SIGNS", ("stop sign", "sign")),
        ("a stop-sign and a potted_plant", ("stop sign", "sign", "potted plant", "plant")),
        ("a boy eats a hot dog", ("boy", "hot dog")),
        ("hot dogs on a plate", ("hot dog", "plate")),
        ("stuffed animals on a bed", ("stuffed animal", "animal", "bed")),
        ("a hair drier", ("hair drier", "drier")),
        ("two remote controls", ("remote control",)),
        ("a chest of drawers", ("chest of drawers",)),
        ("two chests of drawers", ("chest of drawers",)),
        ("a bow and arrow", ("bow and arrow", "bow", "arrow")),
        ("a hot air balloon", ("hot air balloon", "balloon")),
        ("a swimming pool ladder", ("swimming pool ladder", "ladder")),
        ("the hot dog stand", ("hot dog", "hot dog stand", "stand")),
        ("a metal stop sign", ("metal stop sign", "stop sign", "sign")),
        ("a dog that is hot, dogs that are not", ("dog",)),
        ("the bus stops at a house", ("bus", "house")),
        ("two bus stops", ("bus stop",)),
        ("two wine glasses", ("wine glass", "glass")),
    ],
)
def test_listed_compounds(caption: str, expected: tuple[str, ...], nouns: NounExtractor) -> None:
    assert one(nouns, caption) == expected


def test_the_list_is_sorted_and_plain() -> None:
    path = Path(__file__).parents[3] / "captionary" / "indexer" / "nouns" / "compounds.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    assert names == sorted(set(names), key=lambda name: name.removesuffix(" *"))
    bare = [name.removesuffix(" *") for name in names]
    assert len(set(bare)) == len(bare)
    assert all(name == name.lower() and len(name.split()) > 1 for name in bare)


def test_nearly_all_listed_compounds_are_found_in_sentences(nouns: NounExtractor) -> None:
    names = [name for name in listed_compounds() if not name.endswith("*")][::3]
    for sentence in ("a photo of a {}", "there is a {} next to the tree", "A {} and a dog."):
        found = nouns.nouns(sentence.format(name) for name in names)
        missed = [n for n, taken in zip(names, found, strict=True) if n not in taken]
        assert len(missed) < 0.05 * len(names), missed


def test_a_user_names_more(tmp_path: Path) -> None:
    file = tmp_path / "keep.txt"
    file.write_text(
        "# ours\nPrairie_Dogs *\n\nlead-free paint\ngolden hour\n", encoding="utf-8-sig"
    )
    extractor = NounExtractor(keep=file)
    assert one(extractor, "two prairie dogs") == ("prairie dog",)
    assert one(extractor, "a can of lead-free paint") == ("can", "lead free paint", "paint")
    assert one(extractor, "a dog in the golden hour") == ("dog", "golden hour")
    assert one(extractor, "a hot dog") == ("hot dog",)


def test_names_may_be_given_without_a_file() -> None:
    assert read_kept(["prairie dog"]) == ("prairie dog",)


@pytest.mark.parametrize(
    "line", ["*", "12 34", " ".join(["word"] * (LONGEST_KEPT + 1))], ids=["mark", "digits", "long"]
)
def test_a_line_that_is_no_compound_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "keep.txt"
    file.write_text(f"prairie dog\n{line}\n", encoding="utf-8")
    with pytest.raises(WrongInput, match=r"keep\.txt has '.*'; write one compound a line"):
        read_kept(file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"cannot read .*none\.txt: No such file"):
        read_kept(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("café au lait".encode("latin-1"))
    with pytest.raises(WrongInput, match="it is not UTF-8"):
        read_kept(tmp_path / "latin.txt")


def test_a_verb_before_its_noun_is_part_of_a_compound(nouns: NounExtractor) -> None:
    assert one(nouns, "stop signs on a street") == ("stop sign", "sign", "street")
