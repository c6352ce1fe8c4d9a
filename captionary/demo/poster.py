"""The story in one picture: captions teach a noun, and a new scene is segmented with it."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageDraw

from captionary.demo.panels import Gallery, Panel
from captionary.segmenter.drawing.legend import FAINT, INK, PAPER, Font, fit, text_font

WIDTH = 1200
EDGE, GAP = 32, 16
HEADING, TITLE, TEXT = 22, 17, 15
LEADING = 1.35
"""Height of a line of text, as a share of its size."""
LINES = 5
"""Lines of a caption, at most."""
SMALL = 124
"""Pixels of a side of the pictures that are evidence."""


class Poster:
    """A page that grows downwards."""

    def __init__(self) -> None:
        self._page = Image.new("RGB", (WIDTH, 3000), PAPER)
        self._draw = ImageDraw.Draw(self._page)
        self._top = EDGE

    def heading(self, text: str) -> None:
        """Write a line over what follows."""
        self._draw.text((EDGE, self._top), text, INK, text_font([text], size=HEADING))
        self._top += round(HEADING * 1.7)

    def row(self, panels: Sequence[Panel]) -> None:
        """Large pictures beside each other, with their title and text below."""
        room = WIDTH - 2 * EDGE + GAP
        side = room // len(panels) - GAP
        lowest = self._top
        for number, panel in enumerate(panels):
            left = EDGE + number * (side + GAP)
            self._page.paste(_scaled(panel.picture, side), (left, self._top))
            bottom = self._write(panel, left, self._top + side + 8, width=side)
            lowest = max(lowest, bottom)
        self._top = lowest + GAP

    def small_row(self, panels: Sequence[Panel]) -> None:
        """Small pictures beside each other, with their title and text to the right."""
        room = WIDTH - 2 * EDGE + GAP
        pitch = room // len(panels)
        for number, panel in enumerate(panels):
            left = EDGE + number * pitch
            self._page.paste(_scaled(panel.picture, SMALL), (left, self._top))
            self._write(panel, left + SMALL + 10, self._top + 2, width=pitch - SMALL - GAP - 10)
        self._top += SMALL + GAP

    def picture(self) -> Image.Image:
        """The page as far as it was written."""
        return self._page.crop((0, 0, WIDTH, self._top + EDGE - GAP))

    def _write(self, panel: Panel, left: int, top: int, *, width: int) -> int:
        """Write title and text of a panel; answers where they end."""
        parts = ((panel.title, TITLE, INK, 1), (panel.text, TEXT, FAINT, LINES))
        for text, size, colour, lines in parts:
            font = text_font([text], size=size)
            for line in wrapped(text, font=font, width=width, lines=lines):
                self._draw.text((left, top), line, colour, font)
                top += round(size * LEADING)
        return top


def draw_poster(gallery: Gallery, noun: str) -> Image.Image:
    """The story of the newcomer, WIDTH pixels wide."""
    poster = Poster()
    poster.heading(f"Captioned pictures teach a new word: {noun}")
    poster.row(gallery.taught)
    poster.heading("It then names every pixel of other pictures")
    scene, text, _, after = gallery.grown
    poster.row((scene, text, replace(after, title="with the dictionary")))
    if gallery.lesson:
        poster.heading("and says why")
        poster.small_row(gallery.lesson)
    return poster.picture()


def wrapped(text: str, *, font: Font, width: float, lines: int) -> list[str]:
    """The text in at most so many lines of a width in pixels; what is too much is cut."""
    words = text.split()
    found: list[str] = []
    while words and len(found) < lines - 1:
        count = 1
        while count < len(words) and font.getlength(" ".join(words[: count + 1])) <= width:
            count += 1
        found.append(" ".join(words[:count]))
        words = words[count:]
    return [fit(line, font=font, width=width) for line in (*found, " ".join(words)) if line]


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.LANCZOS)
