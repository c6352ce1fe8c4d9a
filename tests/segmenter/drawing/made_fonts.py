"""Fonts made for tests: every letter is a bar, and what they lack would be a wide box."""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

EM, BAR, BOX = 1000, 500, 2000
"""Widths: of the em, of a letter, of what stands for a missing one."""


def make_font(path: Path, letters: str, *, colour: str = "", blank: bool = False) -> str:
    """Write a font with some letters; its path.

    colour: six hexadecimal digits, in which its letters are drawn whatever the text's colour is.
    blank:  it knows the letters, but they have no shape.
    """
    names = {ord(letter): f"u{ord(letter):x}" for letter in dict.fromkeys(letters)}
    glyphs = [".notdef", *names.values()]
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap(names)
    shapes = {name: _bar(BAR - 100, blank=blank) for name in names.values()}
    builder.setupGlyf({".notdef": _bar(BOX - 100, blank=False), **shapes})
    builder.setupHorizontalMetrics(
        {name: (BOX if name == ".notdef" else BAR, 50) for name in glyphs}
    )
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    if colour:
        builder.setupCOLR({name: [(name, 0)] for name in names.values()})
        red, green, blue = bytes.fromhex(colour)
        builder.setupCPAL([[(red / 255, green / 255, blue / 255, 1)]])
    builder.save(path)
    return str(path)


def _bar(width: int, *, blank: bool) -> object:
    pen = TTGlyphPen(None)
    if not blank:
        pen.moveTo((50, 0))
        for point in ((50, 700), (50 + width, 700), (50 + width, 0)):
            pen.lineTo(point)
        pen.closePath()
    return pen.glyph()
