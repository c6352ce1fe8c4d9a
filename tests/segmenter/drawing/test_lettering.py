"""Names in any script are drawn in fonts that have them, or called by their numbers."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont, features

from captionary.segmenter.drawing import fonts as fonts_module
from captionary.segmenter.drawing import lettering as module
from captionary.segmenter.drawing.fonts import clusters, machine_fonts
from captionary.segmenter.drawing.lettering import Lettering, shown_names, truncate_text
from tests.segmenter.drawing.made_fonts import BAR, EM, make_font

SIZE = 40
SCRIPTS = {
    "Straße, Ærø, ñandú": "fonts-noto-core",
    "Собака": "fonts-noto-core",
    "σκύλος": "fonts-noto-core",
    "犬": "fonts-noto-cjk",
    "ねこ": "fonts-noto-cjk",
    "개": "fonts-noto-cjk",
    "แมวน้ำ": "fonts-noto-core",
    "🐕": "fonts-noto-color-emoji",
    "👍🏽": "fonts-noto-color-emoji",
    "❤️": "fonts-noto-color-emoji",
}
SHAPED = {
    "כלב": "fonts-noto-core",
    "كلب": "fonts-noto-core",
    "कुत्ता": "fonts-noto-core",
}
"""Scripts that Pillow puts together with raqm and FriBiDi."""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    shown_names.cache_clear()
    yield
    shown_names.cache_clear()


@pytest.fixture
def dejavu() -> str:
    """The font that comes with Matplotlib."""
    return machine_fonts()[0]


def ink(lettering: Lettering, text: str) -> Image.Image:
    picture = Image.new("RGB", (1200, 120))
    lettering.draw(picture, (20, 60), text, (255, 255, 255), anchor="lm")
    return picture


PARTS = "\N{THAI CHARACTER NIKHAHIT}\N{THAI CHARACTER SARA AA}"
"""What shaping makes of a vowel of Thai: fonts of Thai have them."""

NEEDS_RAQM = pytest.mark.skipif(not features.check("raqm"), reason="needs FriBiDi (libfribidi0)")


def scripts(simple: Iterable[Any], shaped: Iterable[Any]) -> list[Any]:
    """Cases, of which the latter are skipped where Pillow cannot put their letters together."""
    cases = [each if isinstance(each, tuple) else (each,) for each in shaped]
    return [*simple, *(pytest.param(*case, marks=NEEDS_RAQM) for case in cases)]


@pytest.mark.parametrize("name", scripts(SCRIPTS, SHAPED))
def test_a_font_that_has_the_letters_is_found(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    files = (
        str(tmp_path / "gone.ttf"),
        str(tmp_path / "damaged.ttf"),
        make_font(tmp_path / "other.ttf", "xyz"),
        make_font(tmp_path / "blank.ttf", name + PARTS, blank=True),
        make_font(tmp_path / "right.ttf", name + PARTS),
    )
    assert shown_names((name, "cat"), files) == (name, "cat")
    assert not caplog.records
    lettering = Lettering([name], size=SIZE, fonts=files)
    assert {path for _, path in lettering._runs(name)} <= {"", files[-1]}
    assert ink(lettering, name).getbbox() is not None


@pytest.mark.parametrize(("name", "package"), scripts(SCRIPTS.items(), SHAPED.items()))
def test_where_none_has_them_the_class_has_its_number(
    name: str, package: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = (make_font(tmp_path / "other.ttf", "xyz"),)
    for _ in range(2):
        shown = shown_names(("cat", name, f"{name} 7"), files)
        assert shown[0] == "cat"
        assert shown[1].startswith("class 1")
        assert shown[2].startswith("class 2: ")
        assert shown[2].endswith("7")
        assert all(map(str.isascii, shown))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{name!r} and 1 other classes" in record.message
    assert record.message.endswith(f"apt-get install {package}")


def test_what_is_not_seen_needs_no_font(tmp_path: Path) -> None:
    files = (make_font(tmp_path / "han.ttf", "犬"),)
    unseen = "\N{ZERO WIDTH SPACE}", "\N{RIGHT-TO-LEFT MARK}", "\N{WORD JOINER}"
    names = tuple(f"犬{mark}dog" for mark in unseen)
    assert shown_names(names, files) == ("犬dog",) * 3
    assert shown_names(("caf" + "e\N{COMBINING ACUTE ACCENT}",), machine_fonts()[:1]) == ("café",)


def test_letters_are_as_wide_as_their_glyphs(tmp_path: Path) -> None:
    """A missing one would be a box four times as wide."""
    files = (make_font(tmp_path / "han.ttf", "犬猫"),)
    lettering = Lettering(["犬猫"], size=SIZE, fonts=files)
    assert lettering.getlength("犬猫") == pytest.approx(2 * SIZE * BAR / EM, abs=1)


def test_each_part_has_a_font_that_has_it(tmp_path: Path, dejavu: str) -> None:
    han = make_font(tmp_path / "han.ttf", "犬")
    emoji = make_font(tmp_path / "emoji.ttf", "🐕12", colour="ff0000")
    files = (dejavu, han, emoji)
    names = ["犬 Собака 🐕 12"]
    lettering = Lettering(names, size=SIZE, fonts=files)
    assert lettering._runs(names[0]) == [
        ("犬", han),
        (" Собака ", dejavu),
        ("🐕", emoji),
        (" 12", dejavu),
    ]
    assert lettering._runs("犬") == [("犬", han)]
    assert lettering.getlength(names[0]) == pytest.approx(
        sum(lettering.getlength(part) for part, _ in lettering._runs(names[0]))
    )


@NEEDS_RAQM
def test_parts_stand_from_right_to_left_where_the_script_does(tmp_path: Path, dejavu: str) -> None:
    emoji = make_font(tmp_path / "emoji.ttf", "🐕")
    lettering = Lettering(["כלב 🐕"], size=SIZE, fonts=(dejavu, emoji))
    assert lettering._runs("כלב 🐕") == [("🐕", emoji), ("כלב ", dejavu)]
    assert lettering._runs("כלב") == [("כלב", dejavu)]


def test_one_font_for_a_whole_name_comes_first(tmp_path: Path) -> None:
    first = make_font(tmp_path / "first.ttf", "犬")
    both = make_font(tmp_path / "both.ttf", "犬猫")
    lettering = Lettering(["犬猫"], size=SIZE, fonts=(first, both))
    assert lettering._runs("犬猫") == [("犬猫", both)]
    assert lettering._runs("犬") == [("犬", first)]


def test_emoji_have_their_own_colours(tmp_path: Path) -> None:
    files = (make_font(tmp_path / "emoji.ttf", "🐕", colour="ff0000"),)
    pixels = np.asarray(ink(Lettering(["🐕"], size=SIZE, fonts=files), "🐕"))
    assert pixels[..., 0].max() == 255
    assert not pixels[..., 1:].any()


def test_colour_bitmaps_are_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a font that can be loaded at one size only."""
    truetype = ImageFont.truetype

    def at_one_size(file: Any, size: float, **options: Any) -> object:
        if file in files and size != 109:
            raise OSError("invalid pixel size")
        return truetype(file, size, **options)

    files = (make_font(tmp_path / "emoji.ttf", "🐕", colour="00ff00"),)
    monkeypatch.setattr(ImageFont, "truetype", at_one_size)
    lettering = Lettering(["🐕"], size=SIZE, fonts=files)
    assert lettering.getlength("🐕") == pytest.approx(SIZE * BAR / EM, abs=1)
    rows = (np.asarray(ink(lettering, "🐕"))[..., 1] > 128).any(axis=1)
    assert rows.sum() == pytest.approx(0.7 * SIZE, abs=2)


def test_scripts_that_need_shaping_are_numbered_without_the_library(
    dejavu: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "check", lambda _name: False)
    fonts_module.covered.cache_clear()
    names = ("Собака", *SHAPED)
    assert shown_names(names, (dejavu,)) == ("Собака", "class 1", "class 2", "class 3")
    assert caplog.records[0].message.endswith(" libfribidi0")
    fonts_module.covered.cache_clear()


def test_plain_sans_serif_fonts_come_first(monkeypatch: pytest.MonkeyPatch, dejavu: str) -> None:
    from matplotlib import font_manager

    names = [
        "NotoSerifThai-Regular",
        "NotoSansThai-Bold",
        "Loma",
        "NotoSansThai-Regular",
        "LastResort",
    ]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [f"/f/{n}.ttf" for n in names])
    found = machine_fonts.__wrapped__()
    assert found[0] == dejavu
    assert [Path(path).stem for path in found[1:]] == [
        *("NotoSansThai-Regular", "Loma", "NotoSansThai-Bold", "NotoSerifThai-Regular"),
    ]


def test_ascii_needs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "machine_fonts", lambda: pytest.fail("fonts were searched for"))
    assert shown_names(("cat", "fire  hydrant")) == ("cat", "fire hydrant")
    assert ink(Lettering(["cat"], size=SIZE), "cat").getbbox() is not None


def test_long_names_are_cut_to_fit(dejavu: str) -> None:
    lettering = Lettering(["é"], size=16, fonts=(dejavu,))
    assert truncate_text("cat", lettering=lettering, width=100) == "cat"
    cut = truncate_text("a very long name indeed", lettering=lettering, width=100)
    assert cut.endswith("…")
    assert lettering.getlength(cut) <= 100
    accents = "e\N{COMBINING ACUTE ACCENT}" * 30
    cut = truncate_text(accents, lettering=lettering, width=100)
    assert set(clusters(cut)) == {"e\N{COMBINING ACUTE ACCENT}", "…"}


@given(st.text(st.characters(), min_size=1, max_size=12))
def test_whatever_a_name_is_it_can_be_drawn(name: str) -> None:
    files = machine_fonts()[:1]
    (shown,) = shown_names((name,), files)
    lettering = Lettering([shown], size=14, fonts=files)
    assert ink(lettering, truncate_text(shown, lettering=lettering, width=300)).size == (1200, 120)
    assert all(
        letter in lettering._coverage[path]
        for part, path in lettering._runs(shown)
        for letter in clusters(part)
    )
