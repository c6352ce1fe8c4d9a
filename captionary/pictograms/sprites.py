"""Reads the sheet of sprites: small pictures of the nouns, with transparency."""

from functools import cache
from pathlib import Path

from PIL import Image

SHEET = Path(__file__).parent / "sprites" / "sheet.webp"
SIDE = 96
"""Pixels of a sprite's side on the sheet."""
COLUMNS = 24


@cache
def read_sprites() -> tuple[Image.Image, ...]:
    """All sprites in the order of the sheet: RGBA, cropped to the drawing, at most SIDE a side."""
    with Image.open(SHEET) as file:
        sheet = file.convert("RGBA")
    sprites = []
    for top in range(0, sheet.height, SIDE):
        for left in range(0, sheet.width, SIDE):
            square = sheet.crop((left, top, left + SIDE, top + SIDE))
            box = square.getchannel("A").getbbox()
            sprites += [square.crop(box)] if box else []
    return tuple(sprites)
