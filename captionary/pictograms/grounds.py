"""The grounds that scenes stand on, drawn as textures from noise and simple shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from captionary.pictograms.nouns import Word
from captionary.schemas.classes import ClassName

Field: TypeAlias = NDArray[np.float32]
"""A value per pixel, (H, W) float32."""

Texture: TypeAlias = NDArray[np.float32]
"""A tile, (H, W, 3) float32 in [0, 1], that repeats without a seam where its pattern does."""

Colour: TypeAlias = tuple[int, int, int]

TILES = 4
"""Textures drawn of each ground; scenes are windows of them."""
TILE_SIDES = 3
"""How many times as wide as a scene a tile is."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A ground, which is a noun itself.

    words: its name, then its synonyms.
    draw:  draws a tile, given a random generator, the tile's side and the unit: the side of a scene
        in pixels, so that a ground looks alike at all sizes.
    """

    words: tuple[Word, ...]
    draw: Callable[[np.random.Generator, int, int], Texture]

    @property
    def name(self) -> str:
        """Its usual name."""
        return self.words[0].singular

    @property
    def class_name(self) -> ClassName:
        """The class that it is in an evaluation: its name with its synonyms."""
        return ClassName(self.name, tuple(word.singular for word in self.words))


def draw_noise(random: np.random.Generator, side: int, cell: tuple[float, float] | float) -> Field:
    """Smooth noise, mean 0, deviation 1, (side, side); `cell`: size of its spots, (down, across).

    White noise blurred, wrapping at the edges, so that tiles repeat without a seam.
    """
    white = random.standard_normal((side, side), dtype=np.float32)
    smooth: Field = ndimage.gaussian_filter(white, cell, mode="wrap")
    return np.asarray((smooth - smooth.mean()) / max(float(smooth.std()), 1e-6), np.float32)


def blend_colours(values: Field, dark: Colour, light: Colour, *, contrast: float = 0.35) -> Texture:
    """Colours between two, by a field of mean 0 and deviation 1."""
    share = np.clip(0.5 + contrast * values, 0, 1)[..., None]
    low, high = (np.array(colour, np.float32) / 255 for colour in (dark, light))
    return np.asarray(low + (high - low) * share, np.float32)


def _speckled(
    dark: Colour, light: Colour, cells: tuple[float, float], *, stretch: float = 1.0
) -> Callable[[np.random.Generator, int, int], Texture]:
    """A ground of coarse and fine spots; `cells` as shares of a scene's side."""

    def draw(random: np.random.Generator, side: int, unit: int) -> Texture:
        coarse, fine = (
            draw_noise(random, side, (cell * unit * stretch, cell * unit)) for cell in cells
        )
        return blend_colours(0.6 * coarse + 0.8 * fine, dark, light)

    return draw


def _draw_water(random: np.random.Generator, side: int, unit: int) -> Texture:
    ripples = draw_noise(random, side, (0.012 * unit, 0.06 * unit))
    swell = draw_noise(random, side, (0.05 * unit, 0.2 * unit))
    texture = blend_colours(0.8 * ripples + 0.5 * swell, (20, 92, 148), (92, 176, 214))
    return np.where((ripples > 1.7)[..., None], np.array([0.85, 0.94, 0.97], np.float32), texture)


def _draw_night_sky(random: np.random.Generator, side: int, unit: int) -> Texture:
    texture = blend_colours(draw_noise(random, side, 0.2 * unit), (8, 10, 34), (34, 32, 82))
    spots = np.zeros((side, side), np.float32)
    rows, columns = random.integers(side, size=(2, 40 * side * side // unit**2))
    spots[rows, columns] = random.uniform(0.3, 1.0, len(rows))
    glow = ndimage.gaussian_filter(spots, 0.004 * unit, mode="wrap")
    glow /= max(float(glow.max()), 1e-6)
    return np.asarray(np.clip(texture + glow[..., None], 0, 1), np.float32)


def _draw_road(random: np.random.Generator, side: int, unit: int) -> Texture:
    texture = blend_colours(draw_noise(random, side, 0.006 * unit), (58, 60, 64), (100, 101, 104))
    across = np.arange(side) % unit
    along = (np.arange(side) % (unit // 2)) < unit // 4
    line = np.abs(across - unit // 2) < max(1, round(0.02 * unit))
    texture[along[:, None] & line[None, :]] = (0.93, 0.91, 0.82)
    return texture


def _draw_bricks(random: np.random.Generator, side: int, unit: int) -> Texture:
    tall, wide = max(4, unit // 10), max(8, unit // 5)
    rows = np.arange(side) // tall
    columns = (np.arange(side)[None, :] + (rows[:, None] % 2) * (wide // 2)) // wide
    shade = random.standard_normal((rows.max() + 1, columns.max() + 1), dtype=np.float32)
    each: Field = shade[rows[:, None], columns]
    texture = blend_colours(
        0.8 * each + 0.4 * draw_noise(random, side, 1.0), (138, 62, 46), (196, 104, 78)
    )
    across = (np.arange(side)[None, :] + (rows[:, None] % 2) * (wide // 2)) % wide
    mortar = (np.arange(side)[:, None] % tall < max(1, tall // 6)) | (across < max(1, tall // 6))
    texture[mortar] = (0.78, 0.75, 0.70)
    return texture


def _draw_planks(random: np.random.Generator, side: int, unit: int) -> Texture:
    wide = max(6, unit // 6)
    number = np.arange(side) // wide
    shade = random.standard_normal(number.max() + 1, dtype=np.float32)[number]
    grain = draw_noise(random, side, (0.12 * unit, 0.006 * unit))
    texture = blend_colours(0.7 * shade[None, :] + 0.7 * grain, (132, 86, 48), (206, 156, 102))
    texture[:, np.arange(side) % wide < max(1, wide // 16)] *= 0.55
    return texture


def _draw_checks(random: np.random.Generator, side: int, unit: int) -> Texture:
    wide = max(4, unit // 8)
    stripe = ((np.arange(side) // wide) % 2).astype(np.float32)
    share = (stripe[:, None] + stripe[None, :]) / 2
    colours = np.array([(0.80, 0.16, 0.20), (0.18, 0.36, 0.72)], np.float32)
    colour, white = colours[int(random.integers(2))], np.array([0.97, 0.96, 0.93], np.float32)
    weave = 0.02 * draw_noise(random, side, 0.8)
    woven = white + (colour - white) * share[..., None] + weave[..., None]
    return np.asarray(np.clip(woven, 0, 1), np.float32)


def _draw_pebbles(random: np.random.Generator, side: int, unit: int) -> Texture:
    count = 260 * side * side // unit**2
    seeds = np.ones((side, side), bool)
    rows, columns = random.integers(side, size=(2, count))
    seeds[rows, columns] = False
    distance, nearest = ndimage.distance_transform_edt(seeds, return_indices=True)
    shade = random.standard_normal((side, side), dtype=np.float32)[nearest[0], nearest[1]]
    rim = np.asarray(distance / (0.03 * unit), np.float32)
    return blend_colours(0.9 * shade - 0.8 * rim + 0.4, (92, 90, 88), (190, 186, 178))


def _draw_ice(random: np.random.Generator, side: int, unit: int) -> Texture:
    texture = blend_colours(draw_noise(random, side, 0.15 * unit), (168, 206, 226), (214, 236, 244))
    cracks = np.abs(draw_noise(random, side, 0.09 * unit)) < 0.05
    texture[cracks] = (0.97, 0.99, 1.0)
    return texture


GROUNDS: tuple[Ground, ...] = (
    Ground(
        (Word("grass"), Word("lawn", "lawns"), Word("meadow", "meadows")),
        _speckled((46, 110, 36), (128, 186, 74), (0.08, 0.008), stretch=2.0),
    ),
    Ground(
        (Word("sand"), Word("beach", "beaches"), Word("desert", "deserts")),
        _speckled((206, 176, 120), (240, 220, 172), (0.12, 0.006)),
    ),
    Ground((Word("snow"),), _speckled((218, 226, 238), (252, 253, 255), (0.15, 0.01))),
    Ground((Word("water"), Word("lake", "lakes"), Word("sea", "seas")), _draw_water),
    Ground((Word("road", "roads"), Word("street", "streets"), Word("asphalt")), _draw_road),
    Ground((Word("night sky", "night skies"),), _draw_night_sky),
    Ground((Word("wall", "walls"), Word("brickwork")), _draw_bricks),
    Ground((Word("floor", "floors"), Word("parquet")), _draw_planks),
    Ground((Word("tablecloth", "tablecloths"), Word("blanket", "blankets")), _draw_checks),
    Ground((Word("gravel"), Word("pebble", "pebbles")), _draw_pebbles),
    Ground((Word("ice"),), _draw_ice),
    Ground(
        (Word("mud"), Word("soil")),
        _speckled((70, 48, 32), (122, 88, 60), (0.05, 0.015)),
    ),
    Ground(
        (Word("carpet", "carpets"), Word("rug", "rugs")),
        _speckled((112, 44, 96), (164, 92, 150), (0.3, 0.007)),
    ),
    Ground((Word("lava"),), _speckled((60, 12, 8), (250, 128, 24), (0.06, 0.02), stretch=0.6)),
)


# Room for all tiles of two sizes, so that a long run draws each once; a short run draws only those
# that its scenes show.
@lru_cache(maxsize=2 * len(GROUNDS) * TILES)
def draw_tile(ground: Ground, tile: int, size: int) -> Texture:
    """Draw one of the TILES textures of a ground, for scenes of `size` pixels a side.

    The same arguments always give the same texture, which is shared: do not write into it.
    """
    random = np.random.default_rng([GROUNDS.index(ground), tile])
    return ground.draw(random, TILE_SIDES * size, size)
