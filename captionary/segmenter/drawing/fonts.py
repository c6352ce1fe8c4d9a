"""Fonts for texts in any script: which of this machine's have the letters, and what is missing."""

import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import cast

import regex
from PIL import Image, ImageDraw, ImageFont, features

OWN = ""
"""Stands for Pillow's own font among paths of font files."""

ALWAYS = frozenset({*map(chr, range(32, 127)), "…"})
"""What Pillow's own font has, and drawing adds to texts: shares, and a mark where one is cut."""

SPECIAL_STYLES = (
    *("black", "bold", "condensed", "italic", "light", "medium", "mono", "oblique"),
    *("serif", "slanted", "thin", "ui"),
)
"""Parts of the names of font files that are chosen last."""

BOXES_ONLY = ("adobeblank", "lastresort", "unicodebmp")
"""Parts of the names of fonts that have a box, or nothing, for every letter."""

STRIKES = (109, 136, 160, 128, 96, 64)
"""Pixel sizes that fonts of colour bitmaps have: they are drawn so, and scaled."""

PACKAGES = {"CJK": "fonts-noto-cjk", "emoji": "fonts-noto-color-emoji", "": "fonts-noto-core"}
"""Debian's packages with the letters of some scripts, and of all others."""


@cache
def machine_fonts() -> tuple[str, ...]:
    """Paths of the fonts that are here, plain sans-serif ones first; the first has most alphabets.

    That first one, DejaVu Sans, comes with Matplotlib.
    """
    # Imported here: only names that are not ASCII need it, and it takes half a second.
    from matplotlib import font_manager, get_data_path

    found = sorted(map(str, font_manager.findSystemFonts()), key=_preference)
    dejavu = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    usable = (
        path
        for path in found
        if not any(part in Path(path).stem.casefold().replace(" ", "") for part in BOXES_ONLY)
    )
    return tuple(dict.fromkeys((str(dejavu), *usable)))


def _preference(path: str) -> tuple[int, bool, str]:
    name = Path(path).stem.casefold()
    return sum(style in name for style in SPECIAL_STYLES), "sans" not in name, path


def clusters(text: str) -> list[str]:
    """Split a text into what a reader takes for one letter each: with accents, joined emoji.

    What is not seen by itself (joiners, marks of direction) is left out.
    """
    return [each for each in regex.findall(r"\X", text) if _characters(each)]


@lru_cache(64)
def covered(files: tuple[str, ...], letters: frozenset[str]) -> dict[str, frozenset[str]]:
    """Which of some letters, and of those ALWAYS drawn, each font has, by its path, in order.

    Args:
        files:   paths of fonts.
        letters: as `clusters` makes them.
    """
    coverage = {OWN: ALWAYS}
    if letters <= ALWAYS:
        return coverage
    from matplotlib.ft2font import FaceFlags, FT2Font

    wanted = letters | ALWAYS
    possible = {letter: _characters(letter) for letter in wanted if _can_be_shaped(letter)}
    for path in files:
        with suppress(OSError, RuntimeError):  # no longer there, or no font
            font = FT2Font(path)
            has = frozenset(
                letter
                for letter, characters in possible.items()
                if all(font.get_char_index(character) for character in characters)
            )
            if FaceFlags.COLOR in font.face_flags:  # digits of emoji fonts are parts of keycaps
                has -= ALWAYS
            special = min(has - ALWAYS, default=None)
            if special is not None and _draws(path, special):
                coverage[path] = has
    return coverage


def _characters(letter: str) -> list[int]:
    """The code points of a letter that need a glyph; joiners and variation selectors do not."""
    shown = [ord(each) for each in letter if unicodedata.category(each) != "Cf"]
    return [each for each in shown if not 0xFE00 <= each <= 0xFE0F]


def _can_be_shaped(letter: str) -> bool:
    """Whether Pillow can put the letter together, which some scripts need a library for."""
    return features.check("raqm") or not any(
        unicodedata.bidirectional(each) in ("R", "AL")
        or unicodedata.category(each) == "Mc"
        or unicodedata.combining(each) == 9  # a virama, which joins consonants
        for each in letter
    )


def _draws(path: str, letter: str) -> bool:
    """Whether Pillow draws anything: of some kinds of coloured fonts it knows the names only."""
    try:
        font, _ = load_face(path, 24)
    except OSError:
        return False
    canvas = Image.new("RGB", (400, 400))
    ImageDraw.Draw(canvas).text((100, 100), letter, "white", font, embedded_color=True)
    return canvas.getbbox() is not None


def load_face(path: str, size: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """Load a font, and what its pixels are to be multiplied with: not 1 for colour bitmaps.

    Raises:
        OSError: it cannot be loaded.
    """
    if path == OWN:
        return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size=size)), 1.0
    try:
        return ImageFont.truetype(path, size), 1.0
    except OSError:
        for strike in STRIKES:
            with suppress(OSError):
                return ImageFont.truetype(path, strike), size / strike
        raise


def packages_for(letters: Iterable[str]) -> list[str]:
    """Debian's packages that would let some letters be drawn."""
    wanted = set()
    for letter in letters:
        if not _can_be_shaped(letter):
            wanted.add("libfribidi0")
            continue
        kinds = {_script(character) for character in letter}
        wanted.add(PACKAGES[next((kind for kind in PACKAGES if kind in kinds), "")])
    return sorted(wanted)


def _script(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "FULLWIDTH")):
        return "CJK"
    return "emoji" if unicodedata.category(character) == "So" else ""
