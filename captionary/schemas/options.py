"""The options of a segmentation, as command line, HTTP and Python name them."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from captionary.schemas.errors import WrongInput

Witness: TypeAlias = Literal["text", "neighbours", "prototypes", "captions"]
"""What speaks for a class of a region: its name; its name, by the stored regions that look most
like it; the prototypes of its nouns; the captions of the pictures of those stored regions."""

WITNESSES: tuple[Witness, ...] = get_args(Witness)

Fusion: TypeAlias = str
"""What scores regions: one of FUSIONS, or witnesses joined by +."""

FUSIONS: Mapping[Fusion, tuple[Witness, ...]] = {
    "text": ("text",),
    "calibrated": ("text",),
    "prototypes": ("prototypes",),
    "both": ("text", "prototypes"),
    "all": WITNESSES,
}
"""The witnesses of each; `text` alone reads no dictionary, and in all others text is calibrated on
the dictionary's regions."""

DEFAULT_FUSION: Fusion = "all"


def witnesses_of(fusion: Fusion) -> tuple[Witness, ...]:
    """The witnesses of a fusion, in order.

    Raises:
        WrongInput: it names something else.
    """
    named: Sequence[str] = FUSIONS.get(fusion) or fusion.split("+")
    if set(named) - set(WITNESSES):
        raise WrongInput(
            f"unknown fusion {fusion!r}; choose one of {', '.join(FUSIONS)}, or some of "
            f"{', '.join(WITNESSES)} joined by +"
        )
    return tuple(witness for witness in WITNESSES if witness in named)


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
