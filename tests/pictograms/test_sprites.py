import numpy as np

from captionary.pictograms.sprites import SIDE, read_sprites


def test_sprites_are_cut_to_what_is_drawn() -> None:
    for sprite in read_sprites():
        assert sprite.mode == "RGBA"
        assert sprite.getchannel("A").getbbox() == (0, 0, *sprite.size)
        assert SIDE - 2 <= max(sprite.size) <= SIDE


def test_sprites_have_body() -> None:
    for sprite in read_sprites():
        assert (np.asarray(sprite)[..., 3] >= 128).mean() > 0.1
