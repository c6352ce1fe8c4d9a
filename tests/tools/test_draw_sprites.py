import numpy as np
import pytest
from PIL import Image, ImageFont

from captionary.pictograms.nouns import read_nouns
from captionary.pictograms.sprites import COLUMNS, SHEET, SIDE
from tools.draw_sprites import FONT, FONT_SIZE, draw_sheet, draw_sprite

pytestmark = pytest.mark.skipif(
    not FONT.exists(), reason="needs Debian's package fonts-noto-color-emoji"
)


@pytest.fixture(scope="module")
def font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), FONT_SIZE)


def squares(sheet: Image.Image) -> np.ndarray:
    """Its sprites on grey, (N, SIDE, SIDE, 3) float."""
    page = Image.new("RGBA", sheet.size, (128, 128, 128, 255))
    page.alpha_composite(sheet)
    pixels = np.asarray(page.convert("RGB"), np.float32)
    rows = pixels.reshape(-1, SIDE, COLUMNS, SIDE, 3).swapaxes(1, 2)
    return rows.reshape(-1, SIDE, SIDE, 3)


def test_the_sheet_is_what_the_font_draws(font: ImageFont.FreeTypeFont) -> None:
    with Image.open(SHEET) as file:
        carried = squares(file.convert("RGBA"))
    drawn = squares(draw_sheet(read_nouns(), font))
    assert drawn.shape == carried.shape
    # Another version of the font has other drawings of a few things.
    near = np.abs(drawn - carried).mean(axis=(1, 2, 3)) < 6
    assert near.mean() > 0.9


def test_a_character_that_the_font_lacks(font: ImageFont.FreeTypeFont) -> None:
    with pytest.raises(ValueError, match=r"does not draw U\+2003"):
        draw_sprite(0x2003, font)
