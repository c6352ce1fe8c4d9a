"""Drawing texts in any script, each part of them in a font that has its letters."""

import logging
import math
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from captionary.segmenter.drawing.fonts import (
    ALWAYS,
    OWN,
    clusters,
    covered,
    load_face,
    machine_fonts,
    packages_for,
)

log = logging.getLogger("captionary")

Colour: TypeAlias = tuple[int, int, int]


class Lettering:
    """Measures and draws texts at one size.

    Args:
        texts: those that are to be drawn. Pillow's own font draws them where all are ASCII.
        size:  of the letters, in pixels.
        fonts: paths of fonts to choose from, the best first; None: those of this machine.
    """

    def __init__(
        self, texts: Iterable[str], *, size: int, fonts: tuple[str, ...] | None = None
    ) -> None:
        letters = frozenset(letter for text in texts for letter in clusters(text))
        self._coverage = covered(_fonts_for(letters, fonts), letters)
        self.size = size
        self._faces: dict[str, tuple[ImageFont.FreeTypeFont, float]] = {}
        # One font for all that it has, so that names look alike.
        usual = (path for path, has in self._coverage.items() if has >= ALWAYS and path != OWN)
        self._usual = next(usual, OWN)

    @property
    def height(self) -> int:
        """Pixels from the line above a capital with an accent to the lowest end of a letter."""
        return round(self._face(self._usual)[0].getbbox("Hg")[3])

    def getlength(self, text: str) -> float:
        """The width of a text in pixels."""
        return sum(self._width(part, path) for part, path in self._runs(text))

    def draw(
        self,
        picture: Image.Image,
        xy: tuple[float, float],
        text: str,
        colour: Colour,
        *,
        anchor: str,
        outline: int = 0,
        outline_colour: Colour = (0, 0, 0),
    ) -> None:
        """Draw a text on an RGB picture.

        Args:
            xy:      of the point that `anchor` names.
            anchor:  as Pillow's: `l`, `m` or `r` along the text, then `a` or `m` across.
            outline: pixels around the letters.
        """
        usual, _ = self._face(self._usual)
        ascent, descent = usual.getmetrics()
        left = xy[0] - self.getlength(text) * {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]]
        baseline = xy[1] + {"a": ascent, "m": (ascent - descent) / 2}[anchor[1]]
        for part, path in self._runs(text):
            font, scale = self._face(path)
            if scale == 1:
                ImageDraw.Draw(picture).text(
                    (left, baseline),
                    part,
                    colour,
                    font,
                    anchor="ls",
                    stroke_width=outline,
                    stroke_fill=outline_colour,
                    embedded_color=path != OWN,
                )
            else:
                _paste_bitmaps(picture, (left, baseline), part, font, scale)
            left += self._width(part, path)

    def _face(self, path: str) -> tuple[ImageFont.FreeTypeFont, float]:
        if path not in self._faces:
            self._faces[path] = load_face(path, self.size)
        return self._faces[path]

    def _width(self, part: str, path: str) -> float:
        font, scale = self._face(path)
        return font.getlength(part) * scale

    def _runs(self, text: str) -> list[tuple[str, str]]:
        """The parts of a text from left to right, each with the path of a font that has it."""
        letters, paths = clusters(text), [self._usual, *self._coverage]
        # In one font if there is one: it then joins letters, and orders them, as they are written.
        for path in paths:
            if self._coverage[path].issuperset(letters):
                return [(text, path)]
        runs: list[tuple[str, str]] = []
        for letter in letters:
            before = runs[-1][1] if runs else self._usual
            has = (path for path in (before, *paths) if letter in self._coverage[path])
            path = next(has, self._usual)
            if runs and path == before:
                runs[-1] = (runs[-1][0] + letter, path)
            else:
                runs.append((letter, path))
        return runs[::-1] if _is_right_to_left(text) else runs


def _paste_bitmaps(
    picture: Image.Image,
    xy: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    scale: float,
) -> None:
    """Draw a text in a font of colour bitmaps, scaled. xy: left end of its baseline."""
    ascent, descent = font.getmetrics()
    drawn = Image.new("RGBA", (math.ceil(font.getlength(text)), ascent + descent))
    ImageDraw.Draw(drawn).text((0, ascent), text, font=font, anchor="ls", embedded_color=True)
    size = max(round(drawn.width * scale), 1), max(round(drawn.height * scale), 1)
    drawn = drawn.resize(size, Image.Resampling.LANCZOS)
    picture.paste(drawn, (round(xy[0]), round(xy[1] - ascent * scale)), drawn)


def _is_right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction is one of Hebrew, Arabic or their like."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((each for each in directions if each in ("L", "R", "AL")), "L") != "L"


def truncate_text(text: str, *, lettering: Lettering, width: float) -> str:
    """The text, cut with an ellipsis where it would be wider than `width` pixels."""
    if lettering.getlength(text) <= width:
        return text
    letters = clusters(text)
    while letters and lettering.getlength("".join(letters) + "…") > width:
        letters.pop()
    return "".join(letters).rstrip() + "…"


@lru_cache(16)
def shown_names(classes: tuple[str, ...], fonts: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """What pictures call some classes: by name, or by number where no font has the letters.

    It is logged once which are called by number, and what would help.

    Args:
        fonts: as of `Lettering`.
    """
    composed = (unicodedata.normalize("NFC", " ".join(name.split())) for name in classes)
    names = ["".join(clusters(name)) for name in composed]
    letters = frozenset(letter for name in names for letter in clusters(name))
    drawable = frozenset().union(*covered(_fonts_for(letters, fonts), letters).values())
    shown = tuple(_shown(name, number, drawable) for number, name in enumerate(names))
    numbered = [number for number, name in enumerate(names) if name != shown[number]]
    if numbered:
        first = numbered[0]
        others = f" and {len(numbered) - 1} other classes" if len(numbered) > 1 else ""
        log.warning(
            "no font here has the letters of %r%s: pictures call it %r, by its number in "
            "classes.txt from 0; install fonts, on Debian: apt-get install %s",
            classes[first],
            others,
            shown[first],
            " ".join(packages_for(letters - drawable)),
        )
    return shown


def _shown(name: str, number: int, drawable: frozenset[str]) -> str:
    letters = clusters(name)
    if drawable.issuperset(letters):
        return name
    rest = " ".join("".join(each if each in drawable else " " for each in letters).split())
    return f"class {number}: {rest}" if any(map(str.isalnum, rest)) else f"class {number}"


def _fonts_for(letters: frozenset[str], fonts: tuple[str, ...] | None) -> tuple[str, ...]:
    """The fonts that are given; or those of the machine, which take time, if they are needed."""
    if fonts is None:
        return () if all(map(str.isascii, letters)) else machine_fonts()
    return fonts
