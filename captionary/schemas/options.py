"""The options of a segmentation, as command line, HTTP and Python name them."""

from typing import Literal, TypeAlias

Fusion: TypeAlias = Literal["text", "calibrated", "prototypes", "both"]
"""What scores regions: text alone; text calibrated on the dictionary's regions; prototypes alone;
or text and prototypes."""

BackgroundMode: TypeAlias = Literal["none", "names", "threshold", "auto"]
"""What becomes of pixels that belong to no class (segmenter.background)."""

DEFAULT_STORE = "dictionary"
DEFAULT_THRESHOLD = 0.2
"""Below it a best probability counts as none. Published settings lie between 0.1 and 0.25; a list
of many classes spreads the same certainty thinner and wants a lower one."""
