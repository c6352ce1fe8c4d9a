"""The methods of training by name, and what may be set for each.

Torch is not imported: the command line shows these names in its help.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """A way to learn from captioned pictures; `tasks` builds its task.

    model:       name of the default model.
    parts:       what `--without` can leave out.
    masked:      whether it takes `--masked`.
    scene_scale: how large scenes are drawn to be learned from: times the model's input size.
    """

    model: str
    parts: tuple[str, ...] = ()
    masked: bool = False
    scene_scale: int = 1


METHODS: Mapping[str, Method] = {
    "clip": Method("mini", masked=True),
    # These learn from crops: scenes are drawn larger, so that crops need not be enlarged much.
    "pgseg": Method("pgseg-mini", ("image-prototypes", "text-prototypes"), scene_scale=2),
    "vilseg": Method("vilseg-mini", ("vision-contrast", "clusters", "nouns"), scene_scale=2),
}
