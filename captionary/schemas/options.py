"""The options of a segmentation, as command line, HTTP and Python name them."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from captionary.schemas.errors import WrongInput

Fusion: TypeAlias = Literal["text", "calibrated", "prototypes", "both"]
"""What scores regions: text alone; text calibrated on the dictionary's regions; prototypes alone;
or text and prototypes."""

BackgroundMode: TypeAlias = Literal["none", "names", "threshold", "auto"]
"""What becomes of pixels that belong to no class (segmenter.background)."""

DEFAULT_STORE = "dictionary"
DEFAULT_THRESHOLD = 0.2
"""Below it a best probability counts as none. Published settings lie between 0.1 and 0.25; a list
of many classes spreads the same certainty thinner and wants a lower one."""


def parse_bands(bands: str | Sequence[int] | None) -> tuple[int, ...]:
    """Check which bands of a TIFF file are its colours, as in "4,3,2"; none: as the file says.

    bands: three, for red, green and blue, or one, for grey, counted from 1.

    Raises:
        WrongInput: they are something else.
    """
    if bands is None:
        return ()
    items = bands.split(",") if isinstance(bands, str) else [str(band) for band in bands]
    numbers = [int(item) for item in items if item.strip().isdecimal()]
    if len(numbers) != len(items) or len(items) not in (1, 3) or min(numbers) < 1:
        raise WrongInput(
            f"the bands are {bands!r}; name three, for red, green and blue, or one, for grey, "
            "counted from 1, as in 4,3,2"
        )
    return tuple(numbers)
