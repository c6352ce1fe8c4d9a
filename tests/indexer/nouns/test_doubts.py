"""A run says once what was doubtful about its captions, and why a pair has no nouns."""

import pytest

from captionary.indexer.nouns import NounExtractor, doubts_about, why_nothing_named
from captionary.schemas.notes import merge_notes
from captionary.schemas.pairs import ImageCaption


def pair(*captions: str) -> ImageCaption:
    return ImageCaption("0.jpg", captions, where="c.jsonl:1")


def test_captions_of_another_language_are_counted(nouns: NounExtractor) -> None:
    said = pair("ein Hund auf der Wiese", "a dog on the grass", "un chien sur l'herbe")
    (note,) = merge_notes(doubts_about(said, nouns.language))
    assert str(note) == (
        "captions that look like another language than English, read as English all the same: 2 "
        "(first: c.jsonl:1, German: 'ein Hund auf der Wiese'); name an installed spaCy pipeline of "
        "that language with --pipeline"
    )


def test_a_script_that_is_left_out_is_said(nouns: NounExtractor) -> None:
    (note,) = doubts_about(pair("一只狗在草地上奔跑", "a dog"), nouns.language)
    assert note.what == "captions in scripts that the English pipeline cannot read, left out"
    assert note.first == "c.jsonl:1, Han"


def test_a_pair_that_is_refused_for_its_script_is_not_noted_too(nouns: NounExtractor) -> None:
    refused = pair("一只狗在草地上奔跑")
    assert not list(doubts_about(refused, nouns.language))
    reason = why_nothing_named(refused, nouns.language)
    assert reason.startswith("it is captioned in Han script, which the English pipeline cannot")
    assert "--pipeline" in reason


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("IMG-20210304-WA0012", "its captions are only markup, addresses or names of files"),
        ("<br>", "its captions are only markup"),
        ("a photo of nothing", "its captions name nothing that can be seen"),
    ],
)
def test_why_a_pair_has_no_nouns(caption: str, reason: str, nouns: NounExtractor) -> None:
    assert why_nothing_named(pair(caption), nouns.language).startswith(reason)
