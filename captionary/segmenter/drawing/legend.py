"""Legend under an overlay: the colour of each class, and its share of the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from captionary.segmenter.drawing.lettering import Lettering, truncate_text

PAPER = (24, 26, 31)
INK = (240, 242, 245)
FAINT = (150, 156, 166)


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of the legend. share: part of the picture, in (0, 1]."""

    name: str
    colour: tuple[int, int, int]
    share: float


def draw_legend(entries: Sequence[LegendEntry], *, width: int, lettering: Lettering) -> Image.Image:
    """Draw the entries in columns, first to last along the rows, on a panel `width` pixels wide.

    Names too long for a column are cut, with an ellipsis.
    """
    text_size = lettering.size
    gap, row = round(text_size * 0.8), round(text_size * 1.7)
    room = width - 2 * gap
    longest = max(lettering.getlength(entry.name) for entry in entries)
    if len(entries) > 1:
        longest = min(longest, 13 * text_size)
    # As many columns as fit; what is left over goes between them, up to a limit.
    needed = min(round(longest + lettering.getlength("100 %") + 2.6 * text_size), room)
    columns = max(1, min(len(entries), (room + 2 * gap) // (needed + 2 * gap)))
    between = min((room - columns * needed) // max(columns - 1, 1), 6 * gap)
    panel = Image.new("RGB", (width, -(-len(entries) // columns) * row + gap), PAPER)
    for index, entry in enumerate(entries):
        left = gap + index % columns * (needed + between)
        middle = gap // 2 + index // columns * row + row // 2
        _draw_entry(panel, entry, left, middle, right=left + needed, lettering=lettering)
    return panel


def _draw_entry(
    panel: Image.Image,
    entry: LegendEntry,
    left: int,
    middle: int,
    *,
    right: int,
    lettering: Lettering,
) -> None:
    chip = round(lettering.height * 0.95)
    top = middle - chip // 2
    ImageDraw.Draw(panel).rounded_rectangle(
        (left, top, left + chip, top + chip), radius=chip // 4, fill=entry.colour
    )
    share = "<1 %" if entry.share < 0.005 else f"{entry.share:.0%}".replace("%", " %")
    text = left + chip + chip // 2
    room = right - text - lettering.getlength(share) - chip // 2
    name = truncate_text(entry.name, lettering=lettering, width=room)
    lettering.draw(panel, (text, middle), name, INK, anchor="lm")
    lettering.draw(panel, (right, middle), share, FAINT, anchor="rm")
