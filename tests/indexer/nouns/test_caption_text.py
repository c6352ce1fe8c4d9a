"""Captions as shops, cameras and scrapers write them become words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.nouns.caption_text import clean_caption


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("Oak table &amp; chairs", "Oak table & chairs"),
        ("Salt &amp;amp; pepper", "Salt & pepper"),
        ("Sofa&nbsp;bed, grey", "Sofa bed, grey"),
        ("Sofa&nbspbed", "Sofa bed"),
        ("a dog&#39;s caf&eacute;", "a dog's café"),
        ("&lt;p&gt;dog&lt;/p&gt;", "dog"),
        ("R&D at AT&T", "R&D at AT&T"),
    ],
)
def test_entities(caption: str, words: str) -> None:
    assert clean_caption(caption) == words


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("<p>Reading lamp</p><br>", "Reading lamp"),
        ("<li>lamp</li><li>sofa bed</li>", "lamp , sofa bed"),
        ("a <b>red</b> dog", "a red dog"),
        ('<a href="x.html" title="a > b">dog</a>', "dog"),
        ("<a title='never closed>dog", "dog"),
        ("a dog <b", "a dog <b"),
        ("dog<!-- a cat --> here<script>var cat = 1 < 2</script>", "dog , here"),
        ("<|endoftext|>a dog", "a dog"),
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("I <3 dogs", "I <3 dogs"),
        ("<PERSON> in a red dress", "PERSON in a red dress"),
        ("man <a happy dog> runs", "man a happy dog runs"),
    ],
)
def test_tags(caption: str, words: str) -> None:
    assert clean_caption(caption) == words


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("dog (https://x.org/cat.jpg)", "dog ("),
        ("dog www.cats.de/a", "dog"),
        ("dog, cats.com", "dog,"),
        ("a dog, cat@example.org", "a dog,"),
        ("a dog by @cat.lover", "a dog by"),
        ("[a lamp](http://x.org) **on** `wood`", "a lamp , on wood"),
        (
            "my #dog #golden_retriever #GoldenRetriever",
            "my , dog , golden retriever , Golden Retriever",
        ),
        ("a dog.The cat, e.g. this", "a dog.The cat, e.g. this"),
    ],
)
def test_addresses_and_tags_of_posts(caption: str, words: str) -> None:
    assert clean_caption(caption) == words


@pytest.mark.parametrize(
    "name",
    [
        "IMG-20210304-WA0012",
        "IMG_1234.HEIC",
        "DSC_0042.JPG",
        "P1010001",
        "photo_123.png",
        "20210304_123456.mp4",
        "Screenshot_2021-03-04-10-11-12.png",
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e.webp",
        "3825391_cf8a2b9912.jpg",
        "<p></p>&nbsp;",
        "https://example.org/a",
    ],
)
def test_names_of_files_say_nothing(name: str, nouns: NounExtractor) -> None:
    assert list(nouns.nouns([name])) == [()]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("golden_retriever", "golden retriever"),
        ("golden_retriever_12.jpg", "golden retriever"),
        ("n02099601_golden_retriever", "golden retriever"),
        ("photos/2021/dog.jpg", "dog"),
        ("a t-shirt, 4x4 truck, boeing-747", "a t-shirt, 4x4 truck, boeing-747"),
        ("an 18-year-old in a f150", "an 18-year-old in a f150"),
    ],
)
def test_what_people_call_a_file_is_said(caption: str, words: str) -> None:
    assert clean_caption(caption) == words


def test_signs_that_do_not_show() -> None:
    assert clean_caption("\ufeffdo\u00adg\u200b on the\u00a0so\u200dfa") == "dog on the sofa"


@given(st.text(max_size=60) | st.text(alphabet="ab1 <>&;#_@./-\"'![]p", max_size=60))
def test_any_text_is_cleaned_to_one_line_once_and_for_all(text: str) -> None:
    once = clean_caption(text)
    assert once == " ".join(once.split())
    assert len(once) <= 3 * len(text) + 3


@given(st.lists(st.from_regex(r"[a-z]{1,9}|a-z|it's", fullmatch=True)))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    assert clean_caption(" ".join(words)) == " ".join(words)
