"""Legend under an overlay: the colour of each class, and its share of the picture."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

PAPER = (24, 26, 31)
INK = (240, 242, 245)
FAINT = (150, 156, 166)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WIDER_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf")
"""Fonts of the system for names that are not ASCII: Pillow's own has no other letters."""


def load_font(texts: Iterable[str], *, size: int) -> Font:
    """Load a font that has the texts' letters: Pillow's own, or a wider one of the system."""
    if not all(text.isascii() for text in texts):
        for name in WIDER_FONTS:
            with suppress(OSError):
                return ImageFont.truetype(name, size=size)
    return ImageFont.load_default(size=size)


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of the legend. share: part of the picture, in (0, 1]."""

    name: str
    colour: tuple[int, int, int]
    share: float


def draw_legend(entries: Sequence[LegendEntry], *, width: int, text_size: int) -> Image.Image:
    """Draw the entries in columns, first to last along the rows, on a panel `width` pixels wide.

    Names too long for a column are cut, with an ellipsis.
    """
    font = load_font((entry.name for entry in entries), size=text_size)
    gap, row = round(text_size * 0.8), round(text_size * 1.7)
    room = width - 2 * gap
    longest = max(font.getlength(entry.name) for entry in entries)
    if len(entries) > 1:
        longest = min(longest, 13 * text_size)
    # As many columns as fit; what is left over goes between them, up to a limit.
    needed = min(round(longest + font.getlength("100 %") + 2.6 * text_size), room)
    columns = max(1, min(len(entries), (room + 2 * gap) // (needed + 2 * gap)))
    between = min((room - columns * needed) // max(columns - 1, 1), 6 * gap)
    panel = Image.new("RGB", (width, -(-len(entries) // columns) * row + gap), PAPER)
    draw = ImageDraw.Draw(panel)
    for index, entry in enumerate(entries):
        left = gap + index % columns * (needed + between)
        middle = gap // 2 + index // columns * row + row // 2
        _draw_entry(draw, entry, left, middle, right=left + needed, font=font)
    return panel


def _draw_entry(
    draw: ImageDraw.ImageDraw,
    entry: LegendEntry,
    left: int,
    middle: int,
    *,
    right: int,
    font: Font,
) -> None:
    chip = round(font.getbbox("Hg")[3] * 0.95)
    top = middle - chip // 2
    draw.rounded_rectangle(
        (left, top, left + chip, top + chip), radius=chip // 4, fill=entry.colour
    )
    share = "<1 %" if entry.share < 0.005 else f"{entry.share:.0%}".replace("%", " %")
    text = left + chip + chip // 2
    room = right - text - font.getlength(share) - chip // 2
    draw.text(
        (text, middle), truncate_text(entry.name, font=font, width=room), INK, font, anchor="lm"
    )
    draw.text((right, middle), share, FAINT, font, anchor="rm")


def truncate_text(text: str, *, font: Font, width: float) -> str:
    """The text, cut with an ellipsis where it would be wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
