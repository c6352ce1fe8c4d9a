"""Captions that a tagger cannot read, or takes for its own language, are told from the others."""

import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.nouns.language import LanguageCheck

FOREIGN = {
    "German": ("ein Hund auf der Wiese", "eine Katze schläft unter dem Tisch"),
    "French": ("une femme avec un chapeau rouge", "l'enfant joue dans le jardin"),
    "Spanish": ("un gato duerme debajo de la mesa", "dos hombres sentados en un banco"),
    "Italian": ("il bambino gioca con una palla nel giardino",),
    "Dutch": ("een vrouw met een rode hoed", "twee mannen zitten op een bank"),
    "Portuguese": ("uma mulher com um chapéu vermelho",),
    "Polish": ("dziecko bawi się piłką w ogrodzie",),
    "Swedish": ("två män sitter på en bänk framför huset",),
    "Turkish": ("çocuk bahçede top ile oynuyor",),
    "Indonesian": ("seorang wanita dengan topi merah di rumah",),
}


@pytest.mark.parametrize(
    ("language", "caption"), [(name, text) for name, texts in FOREIGN.items() for text in texts]
)
def test_another_language(language: str, caption: str, nouns: NounExtractor) -> None:
    assert nouns.language.other_language(caption) == language


@pytest.mark.parametrize(
    "caption",
    [
        "a man in a hat with his dog and two men on a bench",
        "bald man in sunglasses",
        "Pizza Margherita",
        "crème brûlée",
        "chili con carne",
        "Puerto de la Cruz",
        "Place de la Concorde",
        "Plaza de España in Sevilla",
        "die cast car",
        "Der Spiegel magazine",
        "golden retriever",
        "",
        "42",
    ],
)
def test_english_and_names_are_not_suspected(caption: str, nouns: NounExtractor) -> None:
    assert nouns.language.other_language(caption) == ""
    assert nouns.language.unread_script(caption) == ""


@pytest.mark.parametrize(
    ("script", "caption"),
    [
        ("Han", "一只狗在草地上奔跑"),
        ("Cyrillic", "собака на траве"),
        ("Arabic", "كلب على العشب"),
        ("Thai", "สุนัขบนหญ้า"),
        ("Hangul", "잔디 위의 개"),
        ("Devanagari", "घास पर कुत्ता"),
        ("Greek", "ένας σκύλος στο γρασίδι"),
    ],
)
def test_a_script_that_is_not_read(script: str, caption: str, nouns: NounExtractor) -> None:
    assert nouns.language.unread_script(caption) == script
    assert list(nouns.nouns([caption])) == [()]


def test_words_of_another_script_are_left_out(nouns: NounExtractor) -> None:
    assert list(nouns.nouns(["a golden dog 狗 and a cat"])) == [("dog", "cat")]


def test_a_tagger_of_another_language_is_compared_with_that() -> None:
    german = LanguageCheck("de")
    assert german.other_language("ein Hund auf der Wiese") == ""
    assert german.other_language("a dog on the grass with a ball") == "English"
    assert german.unread_script("собака на траве") == "Cyrillic"
    assert LanguageCheck("ru").unread_script("собака на траве") == ""
    assert LanguageCheck("ja").unread_script("犬が芝生の上を走る") == ""


def test_a_language_without_a_list_suspects_nothing() -> None:
    unknown = LanguageCheck("xx")
    assert unknown.other_language("ein Hund auf der Wiese") == ""
    assert unknown.unread_script("собака на траве") == ""
