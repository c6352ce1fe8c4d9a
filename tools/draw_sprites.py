"""Draws `sprites/sheet.webp` from the Noto Color Emoji font: `python -m tools.draw_sprites`.

Needed only when `nouns.tsv` changes. The font is Debian's package fonts-noto-color-emoji; its
drawings are under the SIL Open Font Licence (`sprites/LICENSE.txt`), and so is the sheet.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from captionary.pictograms.nouns import Noun, read_nouns
from captionary.pictograms.sprites import COLUMNS, SHEET, SIDE

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FONT_SIZE = 109
"""The only size, in pixels, at which the font has bitmaps."""


def draw_sprite(code_point: int, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw one character, RGBA, its longer side filling a square of SIDE pixels.

    Raises:
        ValueError: the font has no such character.
    """
    canvas = Image.new("RGBA", (2 * FONT_SIZE, 2 * FONT_SIZE))
    ImageDraw.Draw(canvas).text((20, 20), chr(code_point), font=font, embedded_color=True)
    box = canvas.getchannel("A").getbbox()
    if box is None:
        raise ValueError(f"the font does not draw U+{code_point:X}")
    character = canvas.crop(box)
    scale = SIDE / max(character.size)
    width, height = (max(1, round(side * scale)) for side in character.size)
    square = Image.new("RGBA", (SIDE, SIDE))
    scaled = character.resize((width, height), Image.Resampling.LANCZOS)
    square.paste(scaled, ((SIDE - width) // 2, (SIDE - height) // 2))
    return square


def draw_sheet(nouns: Sequence[Noun], font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw all sprites of the nouns in their order, COLUMNS to a row."""
    points = [point for noun in nouns for point in noun.code_points]
    sheet = Image.new("RGBA", (COLUMNS * SIDE, -(-len(points) // COLUMNS) * SIDE))
    for number, point in enumerate(points):
        row, column = divmod(number, COLUMNS)
        sheet.paste(draw_sprite(point, font), (column * SIDE, row * SIDE))
    return sheet


def main() -> None:
    """Draw the sheet anew."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FONT
    sheet = draw_sheet(read_nouns(), ImageFont.truetype(str(path), FONT_SIZE))
    sheet.save(SHEET, quality=90, alpha_quality=100, method=6)


if __name__ == "__main__":
    main()
