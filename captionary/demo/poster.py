"""Draws the story in one picture: captions teach a noun, which a new scene is segmented with."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from captionary.demo.panels import Gallery, Panel
from captionary.segmenter.drawing.legend import FAINT, INK, PAPER
from captionary.segmenter.drawing.lettering import Lettering, truncate_text

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
    """A picture to which rows are added at the bottom."""

    def __init__(self) -> None:
        # Higher than any story; `picture` crops it.
        self._page = Image.new("RGB", (WIDTH, 3000), PAPER)
        self._bottom = EDGE

    def heading(self, text: str) -> None:
        """Add a heading."""
        lettering = Lettering([text], size=HEADING)
        lettering.draw(self._page, (EDGE, self._bottom), text, INK, anchor="la")
        self._bottom += round(HEADING * 1.7)

    def row(self, panels: Sequence[Panel]) -> None:
        """Add large pictures side by side, with title and text below."""
        room = WIDTH - 2 * EDGE + GAP
        side = room // len(panels) - GAP
        lowest = self._bottom
        for number, panel in enumerate(panels):
            left = EDGE + number * (side + GAP)
            self._page.paste(_resize(panel.picture, side), (left, self._bottom))
            bottom = self._write(panel, left, self._bottom + side + 8, width=side)
            lowest = max(lowest, bottom)
        self._bottom = lowest + GAP

    def small_row(self, panels: Sequence[Panel]) -> None:
        """Add small pictures side by side, with title and text to the right."""
        room = WIDTH - 2 * EDGE + GAP
        pitch = room // len(panels)
        for number, panel in enumerate(panels):
            left = EDGE + number * pitch
            self._page.paste(_resize(panel.picture, SMALL), (left, self._bottom))
            self._write(panel, left + SMALL + 10, self._bottom + 2, width=pitch - SMALL - GAP - 10)
        self._bottom += SMALL + GAP

    def picture(self) -> Image.Image:
        """The picture so far."""
        return self._page.crop((0, 0, WIDTH, self._bottom + EDGE - GAP))

    def _write(self, panel: Panel, left: int, top: int, *, width: int) -> int:
        """Write title and text of a panel; returns where they end, in pixels from the top."""
        parts = ((panel.title, TITLE, INK, 1), (panel.text, TEXT, FAINT, LINES))
        for text, size, colour, lines in parts:
            lettering = Lettering([text], size=size)
            for line in wrap_text(text, lettering=lettering, width=width, lines=lines):
                lettering.draw(self._page, (left, top), line, colour, anchor="la")
                top += round(size * LEADING)
        return top


def draw_poster(gallery: Gallery, noun: str) -> Image.Image:
    """Draw the story of the newcomer, WIDTH pixels wide."""
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


def wrap_text(text: str, *, lettering: Lettering, width: float, lines: int) -> list[str]:
    """Break a text into at most `lines` lines of a width in pixels; the rest is cut off."""
    words = text.split()
    wrapped: list[str] = []
    while words and len(wrapped) < lines - 1:
        count = 1
        while count < len(words) and lettering.getlength(" ".join(words[: count + 1])) <= width:
            count += 1
        wrapped.append(" ".join(words[:count]))
        words = words[count:]
    return [
        truncate_text(line, lettering=lettering, width=width)
        for line in (*wrapped, " ".join(words))
        if line
    ]


def _resize(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.LANCZOS)
